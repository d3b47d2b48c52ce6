"""What tells the files of a folder from others: the SHA-256 of each."""

from __future__ import annotations

import hashlib
import os

import tensorflow as tf

_BLOCK = 2**24  # bytes


def file_digests(folder: str) -> dict[str, str]:
    """Returns the SHA-256 of each file below a folder, by its path there.

    Args:
        folder: The folder, here or remote. A file has its own digest alone,
            under the name `"."`; what is not there has none.

    Returns:
        Hexadecimal digests, sorted by path.

    Example:

    >>> file_digests("no such folder")
    {}
    """
    paths = [
        os.path.join(place, name)
        for place, _, names in tf.io.gfile.walk(folder)
        for name in names
    ]
    # Below a file there is nothing, which is what no two files differ in.
    if tf.io.gfile.exists(folder) and not tf.io.gfile.isdir(folder):
        paths = [folder]
    return {
        os.path.relpath(path, folder): _digest(path) for path in sorted(paths)
    }


def _digest(path: str) -> str:
    found = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()
