"""The files of a SavedModel: their digest, and the versions that are served."""

from __future__ import annotations

import hashlib
import os

import tensorflow as tf

from pipeline.serving_check import WARMUP


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
