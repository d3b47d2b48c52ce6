"""Remote paths: which there are, and what TensorFlow needs to open them.

TensorFlow opens `gs://` itself. `s3://` is in a package of its own, which must
be imported once; TensorFlow is imported here only for a path that is remote.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

# Schemes, each with the module whose import makes TensorFlow open it.
PLUGINS = {"s3://": "tensorflow_io"}


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path is no path of this machine.

    Args:
        path: A path, remote with a scheme.

    Example:

    >>> is_remote("gs://bucket/camvid"), is_remote("/data/camvid")
    (True, False)
    """
    return "://" in os.fspath(path)


def plugins(*texts: str) -> list[str]:
    """Returns the modules that open the remote paths in some texts.

    Args:
        texts: Paths, or texts with paths in them, such as a configuration.

    Example:

    >>> plugins("root: s3://bucket/runs"), plugins("gs://bucket/a", "/data")
    (['tensorflow_io'], [])
    """
    return [
        module
        for scheme, module in PLUGINS.items()
        if any(scheme in text for text in texts)
    ]


def prepare(*texts: str) -> None:
    """Makes TensorFlow open the remote paths in some texts.

    Args:
        texts: Paths, or texts with paths in them.

    Raises:
        ValueError: If the package it takes is not installed.
    """
    for module in plugins(*texts):
        try:
            importlib.import_module(module)
        except ImportError as error:
            schemes = [s for s, name in PLUGINS.items() if name == module]
            raise ValueError(
                f"Invalid path. Expected what TensorFlow opens; {schemes[0]} "
                f"takes the package {module.replace('_', '-')}: install "
                "`wseg_tf[s3]`."
            ) from error


@contextlib.contextmanager
def whole_program() -> Iterator[None]:
    """Runs a program's work and, where a plugin was loaded, ends it.

    What opens `s3://` aborts while Python unloads it, after all is done: so
    the program leaves with its exit code before.
    """
    code: int | str | None = 0
    try:
        yield
    except SystemExit as end:
        if not is_loaded():
            raise
        code = end.code
    except BaseException:
        if not is_loaded():
            raise
        traceback.print_exc()
        code = 1
    if is_loaded():
        if isinstance(code, str):
            print(code, file=sys.stderr)
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def is_loaded() -> bool:
    """Whether a plugin was loaded, so that Python cannot end by itself."""
    return any(module in sys.modules for module in PLUGINS.values())


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Returns what a file holds.

    Args:
        path: A local file, read without TensorFlow, or a remote one.

    Raises:
        OSError: If it cannot be read; its `strerror` says why.
    """
    if not is_remote(path):
        return Path(path).read_bytes()
    prepare(os.fspath(path))
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content: bytes = file.read()
    except tf.errors.NotFoundError as error:
        reason = os.strerror(errno.ENOENT)
        raise FileNotFoundError(errno.ENOENT, reason, path) from error
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, error.message, path) from error
    return content


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file.

    Args:
        path: A local file, written without TensorFlow, or a remote one.
        content: What it is to hold.
    """
    if not is_remote(path):
        Path(path).write_bytes(content)
        return
    prepare(os.fspath(path))
    import tensorflow as tf

    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)


@contextlib.contextmanager
def whole_file(path: str, aside: str) -> Iterator[str]:
    """Says where to write a file that is to be whole or not there.

    An object store shows a file when it is closed, and would have to copy one
    to give it another name; TensorFlow's S3 cannot copy an empty one.

    Args:
        path: Where it is to be.
        aside: Where it is meanwhile, if it is local.

    Yields:
        The path to write to.
    """
    if is_remote(path):
        yield path
        return
    import tensorflow as tf

    yield aside
    tf.io.gfile.rename(aside, path, overwrite=True)


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[str]:
    """Lends a file to what opens local files alone, such as HDF5.

    Args:
        path: A file, local or remote.

    Yields:
        The path itself, or that of a copy, deleted afterwards.
    """
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(path))
        write_bytes(copy, read_bytes(path))
        yield copy


@contextlib.contextmanager
def local_target(path: str) -> Iterator[str]:
    """Lets what writes local files alone write a file anywhere.

    Args:
        path: A file, local or remote.

    Yields:
        The path itself, or one whose content goes there afterwards.
    """
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(path))
        yield copy
        write_bytes(path, read_bytes(copy))
