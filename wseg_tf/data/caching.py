"""Where prepared frames are kept in files: one name for what they hold.

TensorFlow takes a cache by its path alone: other data under the same path
would not be read, and what a killed program left stops the next one.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import socket
import uuid

import tensorflow as tf

from wseg_tf.code import code_digest

_RUN = uuid.uuid4().hex  # tells this program from one before of its number


def cache_path(
    path: str,
    examples: tf.data.Dataset,
    sample: tf.data.Dataset,
    *settings: object,
) -> str:
    """Returns the path of a cache that holds these frames and no others.

    Reads the examples once. What a program that ended left unfinished is
    deleted; one that still writes is left alone, by another name.

    Args:
        path: How the names of files start.
        examples: What frames are made of; finite.
        sample: Some of the frames: other code makes others of the examples.
        settings: What else the frames depend on, by its `repr`.

    Returns:
        The path, longer by a digest.
    """
    own = (_digest(sample, ()), code_digest("wseg_tf.data.input"), *settings)
    named = f"{path}-{_digest(examples, own)}"
    if tf.io.gfile.exists(f"{named}.index"):
        return named
    owner = f"{named}.owner"
    folder = posixpath.dirname(named) or "."
    tf.io.gfile.makedirs(folder)
    if tf.io.gfile.exists(owner):
        with tf.io.gfile.GFile(owner) as file:
            host, number, run = file.read().split()
        if run == _RUN:
            return named
        if host != socket.gethostname() or _is_running(int(number)):
            return f"{named}-{uuid.uuid4().hex[:8]}"
        for name in tf.io.gfile.listdir(folder):
            if name.startswith(posixpath.basename(named)):
                tf.io.gfile.remove(posixpath.join(folder, name))
    with tf.io.gfile.GFile(owner, "w") as file:
        file.write(f"{socket.gethostname()} {os.getpid()} {_RUN}")
    return named


def _is_running(number: int) -> bool:
    if number == os.getpid():
        return False  # of another run: the number was given again
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _digest(examples: tf.data.Dataset, settings: tuple[object, ...]) -> str:
    def marks(*example: tf.Tensor) -> list[tf.Tensor]:
        return [
            mark
            for part in tf.nest.flatten(example)
            for mark in (
                tf.shape(part, tf.int64),
                tf.fingerprint(tf.reshape(part, [1, -1]))[0],
            )
        ]

    digest = hashlib.sha256(repr((examples.element_spec, settings)).encode())
    marked = examples.map(
        lambda *example: tuple(marks(*example)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    for each in marked.as_numpy_iterator():
        for mark in each:
            digest.update(mark.tobytes())
    return digest.hexdigest()[:16]
