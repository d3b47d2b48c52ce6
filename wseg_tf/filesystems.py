"""Remote paths: which there are, and what TensorFlow needs to open them.

TensorFlow opens `gs://` itself. `s3://` is in a package of its own, which must
be imported once; TensorFlow is imported here only for a path that is remote.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fnmatch
import hashlib
import importlib
import os
import platform
import re
import stat
import sys
import tempfile
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path

# Schemes, each with the module whose import makes TensorFlow open it.
PLUGINS = {"s3://": "tensorflow_io"}
MOST_BYTES = 2**32  # of a file that is read into memory


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
                f"takes the package {module.replace('_', '-')}, which follows "
                "TensorFlow up to 2.16: install `wseg_tf[s3]` on Python 3.10."
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
    except KeyboardInterrupt:
        if not is_loaded():
            raise
        print("Interrupted.", file=sys.stderr)
        code = 130
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


def matching(pattern: str) -> list[str]:
    """Returns the files of a pattern, in the order of names.

    A path that is there means itself, and so does a folder that is there:
    `run[1]/Split-train/*` is all that the folder `run[1]/Split-train` holds.

    Args:
        pattern: A path, in whose last part `*`, `?` and `[ ]` stand for more;
            in all parts where there is no such folder.
    """
    import tensorflow as tf

    if tf.io.gfile.exists(pattern):
        return [pattern]
    folder, name = os.path.split(pattern)
    if not tf.io.gfile.isdir(folder or "."):
        return sorted(tf.io.gfile.glob(pattern))
    found = (each.rstrip("/") for each in tf.io.gfile.listdir(folder or "."))
    return sorted(
        os.path.join(folder, each)
        for each in found
        if fnmatch.fnmatchcase(each, name)
    )


@contextlib.contextmanager
def named_plainly(folder: str) -> Iterator[str]:
    """Yields a path of a folder in which TensorFlow sees no pattern.

    It looks for a SavedModel's variables by one, in which `[1]` means `1`.

    Args:
        folder: A folder that is there.
    """
    if is_remote(folder) or "[" not in folder:
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        link = os.path.join(place, "folder")
        os.symlink(os.path.abspath(folder), link)
        yield link


def read_bytes(path: str | os.PathLike[str], most: int = MOST_BYTES) -> bytes:
    """Returns what a file holds.

    Args:
        path: A local file, read without TensorFlow, or a remote one.
        most: Bytes that it may hold. Defaults to 2**32.

    Raises:
        OSError: If it cannot be read; its `strerror` says why.
    """
    if not is_remote(path):
        refuse_irregular(path, most)
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


def read_lines(path: str) -> Iterator[bytes]:
    """Yields the lines of a file of any length, with their ends.

    Args:
        path: A local file, or a remote one.

    Raises:
        OSError: If it is no regular file.
    """
    import tensorflow as tf

    prepare(path)
    if not is_remote(path):
        refuse_irregular(path)
    with tf.io.gfile.GFile(path, "rb") as file:
        yield from file


def refuse_irregular(
    path: str | os.PathLike[str], most: float = float("inf")
) -> None:
    """Refuses what is no regular file: a pipe or a device may never end.

    Args:
        path: A local path.
        most: Bytes that it may hold. Defaults to any number.

    Raises:
        OSError: If it is not there, is none, or is larger.
    """
    try:
        status = os.stat(path)
    except ValueError as error:  # A NUL byte.
        raise OSError(errno.EINVAL, str(error), path) from error
    reason = None
    if stat.S_ISDIR(status.st_mode):
        reason = "a folder, not a file"
    elif not stat.S_ISREG(status.st_mode):
        reason = "a pipe or a device, not a file"
    elif status.st_size > most:
        reason = f"{status.st_size} bytes, of at most {most}"
    if reason is not None:
        raise OSError(errno.EINVAL, reason, path)


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
def whole_file(path: str, aside: str | None = None) -> Iterator[str]:
    """Says where to write a file that is to be whole or not there.

    An object store shows a file when it is closed, and would have to copy one
    to give it another name; TensorFlow's S3 cannot copy an empty one.

    Args:
        path: Where it is to be; its folder is made.
        aside: The folder where it is meanwhile, if it is local. Defaults to
            its own.

    Yields:
        The path to write to, of a name that no other writer has.
    """
    import tensorflow as tf

    folder = os.path.dirname(path) or "."
    # A bucket is there, and TensorFlow cannot make one.
    if not is_remote(path) or "/" in folder.partition("://")[2]:
        tf.io.gfile.makedirs(folder)
    if is_remote(path):
        yield path
        return
    unfinished = _unfinished(path)
    if aside is not None:
        tf.io.gfile.makedirs(aside)
        unfinished = os.path.join(aside, os.path.basename(unfinished))
    try:
        yield unfinished
        tf.io.gfile.rename(unfinished, path, overwrite=True)
    finally:
        if tf.io.gfile.exists(unfinished):
            tf.io.gfile.remove(unfinished)


def write_whole(path: str, content: bytes | str) -> None:
    """Writes a file that is whole or not there.

    Args:
        path: Where it is to be; its folder is made.
        content: What it is to hold.
    """
    import tensorflow as tf

    with whole_file(path) as place, tf.io.gfile.GFile(place, "wb") as file:
        file.write(content)


def keep(folder: str, name: str, text: str) -> str:
    """Writes a text to a file whose path changes with its content.

    Args:
        folder: Where it is kept.
        name: What it is, e.g. `"recipe.json"`.
        text: The text.

    Returns:
        `FOLDER/DIGEST/NAME`.
    """
    import tensorflow as tf

    content = text.encode()
    digest = hashlib.sha256(content).hexdigest()[:16]
    path = os.path.join(folder, digest, name)
    # A name that promises a content keeps it, whoever edited the file.
    if not tf.io.gfile.exists(path) or read_bytes(path) != content:
        write_whole(path, text)
    return path


@contextlib.contextmanager
def whole_folder(path: str) -> Iterator[str]:
    """Says where to write a folder that is to be whole or not there.

    An object store cannot give a folder another name, so there it is written
    in its place, and what comes last must say that it is whole.

    Args:
        path: Where it is to be; must not exist, or be empty.

    Yields:
        The folder to write to, of a name that no other writer has; it is not
        made yet.
    """
    import tensorflow as tf

    gfile = tf.io.gfile
    path = path.rstrip("/")
    if is_remote(path):
        try:
            yield path
        except BaseException:
            if gfile.exists(path):
                gfile.rmtree(path)
            raise
        return
    with folder_aside(path) as folder:
        yield folder
        if gfile.exists(path):
            gfile.rmtree(path)
        gfile.rename(folder, path)


@contextlib.contextmanager
def folder_aside(path: str) -> Iterator[str]:
    """Lends a folder beside a path, of a name no other writer has.

    It is deleted at the end, with what is left in it.

    Args:
        path: What it lies beside.

    Yields:
        The folder; it is not made yet.
    """
    import tensorflow as tf

    folder = _unfinished(path.rstrip("/"))
    try:
        yield folder
    finally:
        if tf.io.gfile.exists(folder):
            tf.io.gfile.rmtree(folder)


def _unfinished(path: str) -> str:
    """Returns a name of this writer's own; sweeps those of killed ones."""
    import tensorflow as tf

    folder, name = os.path.split(path)
    host = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
    pattern = re.compile(
        re.escape(name) + rf"\.{host}-(\d+)-[0-9a-f]{{8}}\.unfinished/?"
    )
    place = folder or "."
    there = tf.io.gfile.listdir(place) if tf.io.gfile.isdir(place) else []
    for each in there:
        found = pattern.fullmatch(each)
        if found is not None and not _is_running(int(found[1])):
            left = os.path.join(folder, each)
            remove = tf.io.gfile.remove
            if tf.io.gfile.isdir(left):
                remove = tf.io.gfile.rmtree
            with contextlib.suppress(tf.errors.NotFoundError):
                remove(left)
    return f"{path}.{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}.unfinished"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # Another user's.
        return True
    return True


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
