"""The files below a folder."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from wseg_tf.data.pairs import files, folders
from wseg_tf.filesystems import is_remote

_DEEPEST = 12  # a link to a folder above would never end


def files_below(folder: str) -> list[str]:
    """Returns the paths of all files below a folder, relative to it.

    Hidden and stray files are left out.

    Args:
        folder: The folder.

    Raises:
        DataError: If there is no such folder, or one cannot be read.
    """
    start = folder.rstrip("/") or "/"
    place = len(posixpath.join(start, ""))
    return sorted(path[place:] for path in _walk(start, _DEEPEST))


def _walk(folder: str, depth: int) -> Iterator[str]:
    for path in files(folder):
        if posixpath.basename(path).startswith((".", "__MACOSX")):
            continue
        if is_remote(path) or os.path.isfile(path):  # A pipe never ends.
            yield path
    for path in folders(folder) if depth else ():
        if posixpath.basename(path) != "__MACOSX":
            yield from _walk(path, depth - 1)
