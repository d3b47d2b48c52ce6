"""Where a result comes from: the code and the versions that made it."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from importlib import metadata

import pipeline
import wseg_tf
from wseg_tf.filesystems import read_bytes

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
