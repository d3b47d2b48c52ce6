"""`wseg workers`: Beam's steps on several processes of this machine."""

from __future__ import annotations

import contextlib
import shlex
import signal
from typing import Annotated

import typer

from pipeline.commands.screen import refusals, say


def workers(
    count: Annotated[
        int, typer.Option(min=1, help="Workers, each a process.")
    ] = 2,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the job server.")
    ] = 8099,
) -> None:
    """Starts a Beam engine that survives its workers; Ctrl-C ends it."""
    with refusals():
        from pipeline.runners.job_server import engine

        with engine(count, port) as started:
            say(f"{count} workers wait for jobs. Beam's options:")
            say(shlex.join(started.options))
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
