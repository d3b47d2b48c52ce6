"""`wseg gate`: the gate's verdict on a model, without TFX."""

from __future__ import annotations

import json
import math
import sys
from typing import Annotated, Optional

import typer
from rich.table import Table

from pipeline.commands.screen import REFUSED, SCREEN, refusals, refuse, say

# Everything heavy is imported inside the commands, as in pipeline.commands.run.


def gate(
    model: Annotated[str, typer.Argument(help="A SavedModel of this package.")],
    data: Annotated[str, typer.Argument(help="Folder of the data set.")],
    rules: Annotated[
        str, typer.Argument(help="YAML: a config, or its `gate` alone.")
    ],
    baseline: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="A SavedModel that changes are held against."),
    ] = None,
    dataset: Annotated[
        str, typer.Option(help="A layout's name or a YAML description.")
    ] = "camvid",
    split: Annotated[str, typer.Option(help="The split to judge on.")] = "val",
    report: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--json", help="Write every rule's finding here."),
    ] = None,
) -> None:
    """Judges a model by a gate's rules; exit code 3 if it is refused."""
    with refusals():
        import tensorflow as tf

        from pipeline.gate.counting import count_images, counter
        from pipeline.gate.judge import judge, verdict
        from pipeline.gate.rules import read_gate
        from pipeline.report.facts import finding_json
        from wseg_tf.data.layouts import find_pairs, layout
        from wseg_tf.serving import ServedModel

        served = ServedModel(model)
        wanted = read_gate(rules, served.classes)
        if served.ground is None:
            refuse(
                f"{model} holds no ground matrix, which the expected severity "
                "is measured by; export it with one."
            )
        described = layout(dataset)
        images = count_images(
            counter(served, described),
            find_pairs(dataset, data, split),
            described,
            None
            if baseline is None
            else counter(ServedModel(baseline), described),
        )
        findings = judge(wanted, images, served.classes, served.ground)
        if report is not None:
            rows = [finding_json(each) for each in findings]
            with tf.io.gfile.GFile(report, "w") as file:
                file.write(json.dumps(rows, indent=2))
    table = Table(title=f"{model} on {len(images)} images")
    for heading in ("rule", "figure", "interval", "holds"):
        table.add_column(heading)
    for each in findings:
        low, high = each.decisive.interval
        table.add_row(
            each.rule.title,
            _figure(each.figure),
            "" if math.isnan(low) else f"{low:.3f} .. {high:.3f}",
            "yes" if each.holds else "NO",
            style="" if each.holds else "bold",
        )
    SCREEN.print(table)
    passes = all(each.holds for each in findings)
    say(f"Verdict: {'passes' if passes else 'refused'}: {verdict(findings)}")
    if not passes:
        sys.exit(REFUSED)


def _figure(value: float) -> str:
    if not math.isfinite(value):
        return "none"
    return f"{value:g}" if value == round(value) else f"{value:.4f}"
