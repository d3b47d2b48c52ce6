"""Where a result comes from: code, versions, and who started it."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from typing import Any

import pipeline
import wseg_tf
from pipeline.release.decisions import now, who
from wseg_tf.filesystems import read_bytes

PACKAGES = ("tensorflow", "keras", "tfx", "numpy")
UNKNOWN = {"commit": None, "clean": None, "changed": None}


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


def origin(started: str = "") -> str:
    """Returns who and what starts a run, for its steps on a cluster.

    Args:
        started: Who starts it; whoever runs this program by default.

    Returns:
        JSON: `by`, `command`, `commit`, `clean`, `changed`, and the digest of
        the `sources` that the commit is of.
    """
    found = {
        "by": started or who(),
        "command": command(sys.argv),
        **commit(os.path.dirname(os.path.dirname(str(pipeline.__file__)))),
        "sources": source_digest(),
    }
    # Argo takes two braces for a parameter's.
    return json.dumps(found).replace("{{", "{\\u007b")


def compiled_by() -> str:
    """Returns who starts a run whose workflow Kubeflow was given as it is."""
    return f"somebody whom Kubeflow knows; compiled by {who()}"


def started(run: str, given: str = "") -> dict[str, Any]:
    """Returns when, by whom and by what a run was started.

    Args:
        run: Id of the pipeline run; empty if it has none.
        given: What `origin` returned where the run was started; this program
            started it by default.

    Returns:
        Plain values: `when`, `run`, `by`, `command`, `commit`, `clean` and
        `changed`; what is not known is None.
    """
    found = json.loads(given or origin())
    if found.pop("sources") != source_digest():
        found |= UNKNOWN  # The commit is of other code than what runs.
    return {"when": now(), "run": run or None, **found}


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
    return {**UNKNOWN}


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
