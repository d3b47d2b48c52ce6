"""`wseg gate`: the gate's verdict on a model, without TFX."""

from __future__ import annotations

import math
import sys
from typing import Annotated, Optional

import typer
from rich.table import Table

from pipeline.commands.arguments import Dataset, JsonFile, JudgedFolder, Split
from pipeline.commands.json_output import json_target, write_json
from pipeline.commands.screen import REFUSED, SCREEN, refusals, say

# Everything heavy is imported inside the commands, as in pipeline.commands.run.


def gate(
    model: Annotated[
        str,
        typer.Argument(
            help="A SavedModel, a .keras or .h5 file, or a folder of "
            "predicted label PNGs."
        ),
    ],
    data: JudgedFolder,
    rules: Annotated[
        str, typer.Argument(help="YAML: a config, or its `gate` alone.")
    ],
    baseline: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="A model that changes are held against."),
    ] = None,
    dataset: Dataset = "camvid",
    split: Split = "val",
    classes: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Classes of a model that does not say its own: a set's name "
            "or a YAML file. The data set's by default."
        ),
    ] = None,
    given: Annotated[
        str,
        typer.Option(
            "--input",
            help="What a model of another framework takes, as YAML: "
            "{size: [512, 1024], range: [0, 1], layout: nchw, ...}",
        ),
    ] = "{}",
    ground: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="D of the expected severity, YAML or CSV; the model's own, "
            "or that of RULES, by default."
        ),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Let a model run code of its own.")
    ] = False,
    report: JsonFile = None,
) -> None:
    """Judges a model by a gate's rules; exit code 3 if it is refused."""
    with refusals():
        from pipeline.commands.outputs import check_outputs, files_of
        from pipeline.gate.candidates import InputOptions, open_candidate
        from pipeline.gate.checks import check_severities, read_gate
        from pipeline.gate.counting import check_classes, count_images
        from pipeline.gate.ground import find_ground
        from pipeline.gate.judge import judge, verdict
        from pipeline.report.facts import finding_json
        from wseg_tf import configuration
        from wseg_tf.classes import class_set
        from wseg_tf.data.layouts import layout

        described = layout(dataset)
        told = described.classes if classes is None else class_set(classes)
        options = configuration.load(InputOptions, given, "--input")
        pairs = described.find(data, [split])
        named = [model, baseline, rules, ground, classes, dataset]
        read = [each for each in named if each is not None]
        check_outputs(json_target(report), [*read, *files_of(pairs)])
        opened = [
            open_candidate(path, told, options, trust)
            for path in (model, baseline)
            if path is not None
        ]
        for each in opened:
            check_classes(each.classes, described)
        judged = opened[0].classes
        wanted = read_gate(rules, judged)
        severity = find_ground(ground, opened[0].ground, rules, judged)
        check_severities(wanted, severity, rules)
        images = count_images(
            opened[0].count,
            pairs,
            described,
            opened[1].count if opened[1:] else None,
        )
        findings = judge(wanted, images, judged, severity)
        write_json(report, [finding_json(each) for each in findings])
    table = Table(title=f"{model} on {len(images)} images")
    for heading in ("rule", "figure", "interval", "holds"):
        table.add_column(heading)
    for found in findings:
        low, high = found.decisive.interval
        table.add_row(
            found.rule.title,
            _figure(found.figure),
            "" if math.isnan(low) else f"{low:.3f} .. {high:.3f}",
            "yes" if found.holds else "NO",
            style="" if found.holds else "bold",
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
