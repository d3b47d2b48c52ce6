"""`wseg gate`: the gate's verdict on a model, without TFX."""

from __future__ import annotations

import json
import math
import sys
from typing import Annotated, Optional

import typer
from rich.table import Table

from pipeline.commands.arguments import Dataset, JudgedFolder, Model, Split
from pipeline.commands.screen import REFUSED, SCREEN, refusals, refuse, say

# Everything heavy is imported inside the commands, as in pipeline.commands.run.


def gate(
    model: Model,
    data: JudgedFolder,
    rules: Annotated[
        str, typer.Argument(help="YAML: a config, or its `gate` alone.")
    ],
    baseline: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="A SavedModel that changes are held against."),
    ] = None,
    dataset: Dataset = "camvid",
    split: Split = "val",
    report: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--json", help="Write every rule's finding here."),
    ] = None,
) -> None:
    """Judges a model by a gate's rules; exit code 3 if it is refused."""
    with refusals():
        import tensorflow as tf

        from pipeline.gate.checks import read_gate
        from pipeline.gate.counting import check_classes, count_images
        from pipeline.gate.judge import judge, verdict
        from pipeline.report.facts import finding_json
        from wseg_tf.data.layouts import layout
        from wseg_tf.serving import ServedModel

        served = ServedModel(model)
        wanted = read_gate(rules, served.classes)
        if served.ground is None:
            refuse(
                f"{model} holds no ground matrix, which the expected severity "
                "is measured by; export it with one."
            )
        described = layout(dataset)
        models = [served, *([ServedModel(baseline)] if baseline else [])]
        for loaded in models:
            check_classes(loaded.classes, described)
        images = count_images(
            served.count_confusion,
            described.find(data, [split]),
            described,
            None if baseline is None else models[1].count_confusion,
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
