"""Runs the command of a container, as a process of its own or in this one."""

import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

from typer.testing import CliRunner

from pipeline.cli import app

PYTHON_MODULE = ["python", "-m"]
# What a compiled run may be given anew.
PARAMETERS = {"manifest", "training", "gate", "config", "written", "origin"}


def wseg(*arguments: str) -> tuple[int, str]:
    """Returns the exit code of `wseg`, and what it prints."""
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def start(
    command: list[str], environment: Mapping[str, str], folder: Path
) -> None:
    """Runs a command as a process of its own.

    Args:
        command: The command.
        environment: Variables that are set for it.
        folder: Where it runs.
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": path, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def call(command: list[str], environment: Mapping[str, str]) -> None:
    """Runs a command in this process, by its own entry point.

    To import TFX for each of many commands would take minutes.

    Args:
        command: `python -m MODULE ...`.
        environment: Variables that are set for it.
    """
    assert command[:2] == PYTHON_MODULE
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", command[2:]),
        # A step may end its process at once; here it is not the step's own.
        mock.patch("wseg_tf.filesystems.is_loaded", return_value=False),
    ):
        try:
            runpy.run_module(command[2], run_name="__main__")
        except SystemExit as ended:
            if ended.code:
                raise
