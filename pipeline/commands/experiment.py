"""`wseg experiment`: compares losses from the same start."""

from __future__ import annotations

import os

from pipeline.commands.arguments import ConfigFile, DataFolder, Overrides
from pipeline.commands.screen import refusals, say
from pipeline.commands.train import endings, log_lines


def experiment(
    config: ConfigFile,
    overrides: Overrides = None,
    data: DataFolder = None,
) -> None:
    """Trains all methods with all seeds; run again, it goes on."""
    with refusals():
        import json
        import platform

        import tensorflow as tf

        from pipeline.experiments import figures, plan, run, tables

        chosen = plan.load(config, overrides or [], data)
        tables.check_metrics(chosen, chosen.data.class_set)
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
        contrast = figures.find_contrast(chosen, outcomes, evaluation)
        if contrast is not None:
            figure = figures.plot_contrast(chosen, contrast, evaluation)
            name = f"contrast-{evaluation.replace(' ', '-')}.png"
            with tf.io.gfile.GFile(plan.folder(chosen, name), "wb") as file:
                figure.savefig(file, format="png")
    if rounds := figures.rounds_of(chosen, outcomes):
        from wseg_tf.plots import plot_rounds

        with tf.io.gfile.GFile(plan.folder(chosen, "rounds.png"), "wb") as file:
            plot_rounds(rounds).savefig(file, format="png")
    say("\n".join(pages))
    say(f"Results: {plan.folder(chosen)}/results.md and results.json")
