"""Where commands write: over nothing they read, and to no place twice."""

from __future__ import annotations

import os
from collections.abc import Iterable

import tensorflow as tf

from wseg_tf.data.pairs import Pair
from wseg_tf.filesystems import is_remote, refuse_irregular


def check_outputs(outputs: Iterable[str], inputs: Iterable[str]) -> None:
    """Refuses files that must not, or cannot, be written; before any is.

    Args:
        outputs: The files that a command writes.
        inputs: What it reads: files, and models' folders with all that they
            hold.

    Raises:
        ValueError: If one is read, is written twice, is no file, or lies in a
            folder that cannot be written to.
    """
    read = {_place(path) for each in inputs for path in _files(each)}
    written: dict[object, str] = {}
    for path in outputs:
        place = _place(path)
        if place in read:
            raise _refused(path, "what is read: it would be overwritten")
        if place in written:
            other = written[place]
            both = f" (of {other})" if other != path else ""
            raise _refused(path, f"a file that is written twice{both}")
        written[place] = path
        if not is_remote(path):
            _refuse_unwritable(path)


def files_of(pairs: Iterable[Pair]) -> list[str]:
    """Returns the files of pairs, for `check_outputs`."""
    return [path for pair in pairs for path in (pair.image, pair.label) if path]


def _files(path: str) -> list[str]:
    """Returns a file, or a model's files: others may lie beside them."""
    if not tf.io.gfile.isdir(path):
        return [path]
    is_model = tf.io.gfile.exists(os.path.join(path, "saved_model.pb"))
    return [
        os.path.join(folder, name)
        for folder, _, names in tf.io.gfile.walk(path)
        for name in names
        if not is_model or folder != path or name.endswith(".pb")
    ]


def _place(path: str) -> object:
    """Returns the same for every name of one file, links included."""
    if is_remote(path):
        return path
    try:
        status = os.stat(path)
    except OSError:  # It is not there yet.
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def _refuse_unwritable(path: str) -> None:
    try:
        refuse_irregular(path)
    except (FileNotFoundError, NotADirectoryError):
        folder = os.path.dirname(os.path.abspath(path))
        while not os.path.lexists(folder):
            folder = os.path.dirname(folder)
        if not os.path.isdir(folder):
            raise _refused(path, f"{folder} is no folder") from None
        if not os.access(folder, os.W_OK):
            raise _refused(path, f"{folder} is read-only") from None
    except OSError as error:
        raise _refused(path, str(error.strerror)) from error
    else:
        if not os.access(path, os.W_OK):
            raise _refused(path, "a file that is read-only")


def _refused(path: str, reason: str) -> ValueError:
    return ValueError(
        "Invalid place to write to. Expected a file of its own. Received: "
        f"{path}, {reason}."
    )
