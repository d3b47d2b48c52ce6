"""`wseg models`: what networks there are, and what they cost."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Optional

import typer
from rich.table import Table

from pipeline.commands.arguments import JsonFile
from pipeline.commands.json_output import json_target, write_json
from pipeline.commands.screen import SCREEN, refusals, say


def models(
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="One network; all of them by default."),
    ] = None,
    classes: Annotated[
        int, typer.Option(min=1, max=2**16, help="Number of classes.")
    ] = 11,
    height: Annotated[
        int, typer.Option(min=1, max=2**14, help="Of the image, pixels.")
    ] = 360,
    width: Annotated[
        int, typer.Option(min=1, max=2**14, help="Of the image, pixels.")
    ] = 480,
    summary: Annotated[
        bool, typer.Option("--summary", help="List the layers.")
    ] = False,
    report: JsonFile = None,
) -> None:
    """Lists the networks: parameters, arithmetic, output stride."""
    with refusals():
        from pipeline.commands.outputs import check_outputs
        from wseg_tf.models import ARCHITECTURES
        from wseg_tf.models.description import describe, summary_text
        from wseg_tf.models.registry import architecture

        check_outputs(json_target(report), [])
        names = [architecture(name).name] if name else list(ARCHITECTURES)
        if summary:
            for each in names:
                SCREEN.print(summary_text(each, classes))
            return
        say("Building each network, to count what it costs ...")
        found = [describe(each, classes, (height, width)) for each in names]
        write_json(report, [asdict(each) for each in found])
    table = Table(title=f"{classes} classes, images of {height}x{width}")
    for heading in ("", "parameters", "GFLOP", "stride", ""):
        table.add_column(heading, justify="right" if heading else "left")
    for network in found:
        table.add_row(
            network.name,
            f"{network.parameters:,}",
            f"{network.flops / 1e9:.1f}",
            str(network.output_stride),
            network.summary,
        )
    SCREEN.print(table)
