"""`wseg models`: what networks there are, and what they cost."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Optional

import typer
from rich.table import Table

from pipeline.commands.arguments import JsonFile
from pipeline.commands.json_output import json_target, write_json
from pipeline.commands.screen import SCREEN, quiet_imports, refuse


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
    quiet_imports()
    from wseg_tf.models import ARCHITECTURES
    from wseg_tf.models.description import describe, summary_text
    from wseg_tf.models.registry import architecture

    try:
        names = [architecture(name).name] if name else list(ARCHITECTURES)
        if summary:
            for each in names:
                SCREEN.print(summary_text(each, classes))
            return
        table = Table(title=f"{classes} classes, images of {height}x{width}")
        for heading in ("", "parameters", "GFLOP", "stride", ""):
            table.add_column(heading, justify="right" if heading else "left")
        json_target(report)
        found_all = [describe(n, classes, (height, width)) for n in names]
        for found in found_all:
            table.add_row(
                found.name,
                f"{found.parameters:,}",
                f"{found.flops / 1e9:.1f}",
                str(found.output_stride),
                found.summary,
            )
        write_json(report, [asdict(each) for each in found_all])
    except ValueError as error:
        refuse(error)
    SCREEN.print(table)
