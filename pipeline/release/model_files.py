"""The files of a SavedModel, and the versions that are served."""

from __future__ import annotations

import os

import tensorflow as tf

from wseg_tf.filesystems import is_remote


def move(model: str, target: str) -> None:
    """Moves a SavedModel: it is whole where it is, or it is not there.

    A local folder changes its name at once. An object store copies file by
    file; `saved_model.pb`, which makes a folder a version, comes last and goes
    first.

    Args:
        model: Its folder.
        target: The folder it becomes; must not exist.
    """
    if not is_remote(model):
        tf.io.gfile.rename(model, target)
        return
    paths = [
        os.path.join(folder, name)
        for folder, _, names in tf.io.gfile.walk(model)
        for name in names
    ]
    paths.sort(key=lambda path: os.path.basename(path) == "saved_model.pb")
    for path in paths:
        copy = os.path.join(target, os.path.relpath(path, model))
        tf.io.gfile.makedirs(os.path.dirname(copy))
        tf.io.gfile.copy(path, copy, overwrite=True)
    for path in reversed(paths):
        tf.io.gfile.remove(path)


def versions(folder: str) -> list[int]:
    """Returns the versions in a serving folder, the served one last.

    Args:
        folder: The folder TensorFlow Serving watches; may not exist yet.

    Returns:
        Version numbers, ascending; a server serves the highest.
    """
    if not tf.io.gfile.isdir(folder):
        return []
    names = [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]
    return sorted(
        int(name)
        for name in names
        if name.isdigit()
        and tf.io.gfile.exists(os.path.join(folder, name, "saved_model.pb"))
    )
