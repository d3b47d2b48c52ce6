"""Runs a step of a cluster, which may have to open an object store.

python -m pipeline.runners.kubeflow.step MODULE ARGUMENTS ...

MODULE is TFX's own entry point; its arguments name what the step opens.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence

from wseg_tf.filesystems import prepare, whole_program

COMMAND = ("python", "-m", "pipeline.runners.kubeflow.step")


def started(command: Sequence[str]) -> list[str]:
    """Returns the command of a container, started from here.

    Args:
        command: `python -m MODULE ...`, as TFX writes it.

    Example:

    >>> started(["python", "-m", "tfx.entrypoint"])
    ['python', '-m', 'pipeline.runners.kubeflow.step', 'tfx.entrypoint']
    """
    python, option, *rest = command
    if (python, option) != COMMAND[:2]:
        raise ValueError(
            "Invalid value for argument `command`. Expected python -m MODULE. "
            f"Received: command={[*command]}."
        )
    return [*COMMAND, *rest]


def main() -> None:
    """Opens what the arguments name, and runs the module."""
    with whole_program():
        prepare(*sys.argv)
        sys.argv = sys.argv[1:]
        runpy.run_module(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
