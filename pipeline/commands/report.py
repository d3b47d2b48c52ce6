"""`wseg report`: where a run's report is, or a copy of it."""

from __future__ import annotations

import os
import webbrowser
from typing import Annotated, Optional

import typer

from pipeline.commands.arguments import Overrides
from pipeline.commands.screen import refusals, refuse, say


def report(
    run: Annotated[
        str, typer.Argument(help="A file of configs/, or a run's ROOT/NAME.")
    ],
    overrides: Overrides = None,
    out: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="Write the page here: it needs no other file."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--open", help="Open it in a browser.")
    ] = False,
) -> None:
    """Finds the report of the latest run; prints its path."""
    with refusals():
        import tensorflow as tf

        from pipeline.commands.outputs import check_outputs
        from pipeline.config.loading import load
        from pipeline.release.lineage import latest_run
        from pipeline.report.pages import PAGE

        folder = run
        if not tf.io.gfile.isdir(run):
            folder = load(run, overrides or []).local_folder()
        database = os.path.join(folder, "metadata.sqlite")
        if not tf.io.gfile.exists(database):
            refuse(f"{folder}: no run so far.")
        steps = latest_run(database)
        found = steps["Reporter"].outputs if "Reporter" in steps else {}
        if not found.get("report"):
            refuse(
                f"{folder}: the latest run has no report so far; "
                f"{os.path.join(folder, 'logs', 'latest.log')} says how far "
                "it came."
            )
        path = os.path.join(found["report"][0].uri, PAGE)
        if not tf.io.gfile.exists(path):
            refuse(f"{path}: expected a report. It was moved or deleted.")
        if out is not None:
            check_outputs([out], [path, run, database])
            tf.io.gfile.copy(path, out, overwrite=True)
            path = out
    say(path)
    if show:
        webbrowser.open(f"file://{os.path.abspath(path)}")
