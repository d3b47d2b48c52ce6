"""The files of a SavedModel: their digest, and the versions that are served."""

from __future__ import annotations

import hashlib
import os

import tensorflow as tf

from wseg_tf.filesystems import is_remote

# Where TensorFlow Serving looks for requests to warm up with.
WARMUP = os.path.join("assets.extra", "tf_serving_warmup_requests")


def digest(model: str) -> str:
    """Returns what tells one SavedModel from another.

    Args:
        model: Its folder.

    Returns:
        SHA-256 of every file's name and content, hexadecimal; the requests to
        warm up with are not part of the model.
    """
    total = hashlib.sha256()
    paths = sorted(
        os.path.join(folder, name)
        for folder, _, names in tf.io.gfile.walk(model)
        for name in names
    )
    for path in paths:
        name = os.path.relpath(path, model)
        if name == WARMUP:
            continue
        with tf.io.gfile.GFile(path, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
        total.update(f"{name}\0{content}\n".encode())
    return total.hexdigest()


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
