"""`wseg experiment`: compares losses from the same start."""

from __future__ import annotations

import os
from typing import Annotated, Optional

import typer

from pipeline.commands.screen import refusals, say, with_data
from pipeline.commands.train import endings, log_lines


def experiment(
    config: Annotated[str, typer.Argument(help="A file of configs/tables.")],
    overrides: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads it at run time)
        typer.Argument(help="Changes, e.g. seeds=[0]"),
    ] = None,
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Folder of the data set."),
    ] = None,
) -> None:
    """Trains all methods with all seeds; run again, it goes on."""
    with refusals():
        import json
        import platform

        import tensorflow as tf

        from pipeline.experiments import figures as pictures
        from pipeline.experiments import plan, run, tables

        chosen = plan.load(config, with_data(overrides, data))
        tables.check_metrics(chosen, chosen.data.classes)
        run.find_frames(chosen)
    with endings(), log_lines():
        outcomes = run.run(chosen)
    found = {
        evaluation: tables.figures(chosen, outcomes, evaluation)
        for evaluation in outcomes[0].counts
    }
    hardware = f"{os.cpu_count()} cores, {platform.machine()}"
    if gpus := tf.config.list_physical_devices("GPU"):
        hardware += f", {len(gpus)} GPUs"
    pages = [
        tables.as_markdown(chosen, methods, evaluation)
        for evaluation, methods in found.items()
    ]
    if chosen.notes:
        pages.append(chosen.notes)
    content = tables.as_json(chosen, outcomes, found, hardware)
    for name, text in (
        ("results.md", "\n".join(pages)),
        ("results.json", json.dumps(content, indent=1) + "\n"),
    ):
        path = plan.folder(chosen, name)
        with tf.io.gfile.GFile(path, "w") as file:
            file.write(text)
    for evaluation in found:
        contrast = pictures.find_contrast(chosen, outcomes, evaluation)
        if contrast is not None:
            figure = pictures.plot_contrast(chosen, contrast, evaluation)
            name = f"contrast-{evaluation.replace(' ', '-')}.png"
            with tf.io.gfile.GFile(plan.folder(chosen, name), "wb") as file:
                figure.savefig(file, format="png")
    if rounds := pictures.rounds_of(chosen, outcomes):
        from wseg_tf.plots import plot_rounds

        with tf.io.gfile.GFile(plan.folder(chosen, "rounds.png"), "wb") as file:
            plot_rounds(rounds).savefig(file, format="png")
    say("\n".join(pages))
    say(f"Results: {plan.folder(chosen)}/results.md and results.json")
