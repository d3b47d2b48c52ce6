"""Where a result comes from: code, versions, who started it, and on what."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from typing import Any

import tensorflow as tf

import pipeline
import wseg_tf
from pipeline.release.decisions import now, who
from wseg_tf.filesystems import read_bytes

# Kubernetes sets it in every container.
IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
PACKAGES = ("tensorflow", "keras", "tfx", "numpy")


@functools.cache
def source_digest() -> str:
    """Returns what tells one state of this project's sources from another.

    Returns:
        SHA-256 over the Python files and templates of both packages, twelve
        hexadecimal digits: the same wherever they are installed.
    """
    total = hashlib.sha256()
    for package in (pipeline, wseg_tf):
        root = os.path.dirname(str(package.__file__))
        for folder, names, files in sorted(os.walk(root)):
            names.sort()
            for name in sorted(files):
                if not name.endswith((".py", ".j2")):
                    continue
                path = os.path.join(folder, name)
                content = hashlib.sha256(read_bytes(path)).hexdigest()
                where = os.path.relpath(path, os.path.dirname(root))
                total.update(f"{where}\0{content}\n".encode())
    return total.hexdigest()[:12]


def code_versions() -> dict[str, str]:
    """Returns the versions of this project and of what it stands on."""
    return {
        "wseg_tf": f"{wseg_tf.__version__}, sources {source_digest()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
    }


def started(run: str) -> dict[str, Any]:
    """Returns when, by whom and on what a report is made.

    Args:
        run: Id of the pipeline run; empty if it has none.

    Returns:
        Plain values: `when`, `run`, `by`, `command`, `commit`, `clean`,
        `changed` and `hardware`; what is not known is None.
    """
    return {
        "when": now(),
        "run": run or None,
        "by": _by(),
        "command": command(sys.argv),
        **commit(os.path.dirname(os.path.dirname(str(pipeline.__file__)))),
        "hardware": hardware(),
    }


def _by() -> str:
    """Says who started the run; a step of a cluster knows itself alone."""
    if IN_CLUSTER in os.environ:
        return f"{who()}, a step in a cluster, which knows who started the run"
    return who()


def command(arguments: list[str]) -> str:
    """Returns a command as it was typed, but for the folder of the program.

    Args:
        arguments: The program and its arguments.

    Example:

    >>> command(["/usr/bin/wseg", "run", "my city.yaml"])
    "wseg run 'my city.yaml'"
    """
    program, *others = arguments or ["python"]
    name = os.path.basename(program)
    if name == "__main__.py":
        name = f"python -m {os.path.basename(os.path.dirname(program))}"
    return " ".join([name, *map(shlex.quote, others)])


def commit(folder: str) -> dict[str, Any]:
    """Returns the commit of the sources, and whether they differ from it.

    Args:
        folder: The folder that holds the packages.

    Returns:
        `commit`, `clean`, and `changed`, how many files differ or are new; all
        None where the packages are no files of a checkout.
    """
    # An installed package may lie inside a checkout of something else.
    if _git(folder, "ls-files", "--error-unmatch", "pipeline/__init__.py"):
        own = _git(folder, "rev-parse", "HEAD")
        status = _git(folder, "status", "--porcelain")
        if own is not None and status is not None:
            changed = len(status.splitlines())
            return {"commit": own, "clean": not changed, "changed": changed}
    return {"commit": None, "clean": None, "changed": None}


def _git(folder: str, *arguments: str) -> str | None:
    """Returns what git says; None if there is none, or it refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def hardware() -> dict[str, Any]:
    """Returns the machine: system, processor, cores, memory, accelerators."""
    accelerators = []
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        accelerators.append(str(details.get("device_name", device.name)))
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": _memory(),
        "accelerators": accelerators,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    return value.strip()
    except OSError:  # Not Linux.
        pass
    return platform.processor() or platform.machine()


def _memory() -> float | None:
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    return round(pages * size / 2**30, 1)
