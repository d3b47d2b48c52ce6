"""Pairs of an image and its label, and how their files are matched."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wseg_tf.data.checks import DataError
from wseg_tf.filesystems import is_remote, read_bytes

MOST_BYTES = 2**30


@dataclass(frozen=True)
class Pair:
    """An image, its label, and where they belong.

    Args:
        name: Name of the frame, unique in its dataset and split.
        image: Path of the image.
        label: Path of the label; empty where there is none.
        split: Name of the split, e.g. `"train"`.
        drive: The drive or the city that the frame was taken on.
        dataset: Name of the dataset: of the layout it was found by, or the
            one that a description gives.
    """

    name: str
    image: str
    label: str
    split: str
    drive: str
    dataset: str


def match(
    images: Mapping[str, str],
    labels: Mapping[str, str],
    split: str,
    folder: str,
    cure: str = "",
) -> list[tuple[str, str, str]]:
    """Matches images and labels by name.

    Args:
        images: Path of each image, by name.
        labels: Path of each label, by name.
        split: Name of the split, for messages.
        folder: The folder, for messages.
        cure: What ends the message of an image without label.

    Returns:
        Name, image path and label path of each pair, in the order of names.

    Raises:
        DataError: If an image has no label, a label has no image, or there
            is no pair; names the first and counts the others.
    """
    for ours, others, kind, other in (
        (images, labels, "image", "label"),
        (labels, images, "label", "image"),
    ):
        alone = sorted(set(ours) - set(others))
        if alone:
            raise DataError(
                f"{ours[alone[0]]}: {kind} without {other}"
                f"{_and_others(len(alone) - 1)} (split {split!r})"
                f"{cure * (kind == 'image')}."
            )
    if not images:
        raise DataError(f"{folder}: no images in split {split!r}.")
    return [(name, images[name], labels[name]) for name in sorted(images)]


def by_name(
    paths: Iterable[str], suffixes: Sequence[str] = (".png",)
) -> dict[str, str]:
    """Returns paths by file name, the suffix taken off.

    Args:
        paths: Paths; those without any of the suffixes are left out.
        suffixes: Endings of the names, compared in lower case.

    Raises:
        DataError: If two paths have the same name.
    """
    named: dict[str, str] = {}
    for path in sorted(paths):
        base = posixpath.basename(path)
        ending = next((s for s in suffixes if base.lower().endswith(s)), None)
        if ending is None or base.startswith("."):
            continue
        name = normal(base[: -len(ending)])
        if name in named:
            raise DataError(
                f"{path}: duplicate name {name!r}, already used by "
                f"{named[name]}."
            )
        named[name] = path
    return named


def files(folder: str) -> list[str]:
    """Returns the paths of the files in a folder, in the order of names.

    Raises:
        DataError: If there is no such folder, or it cannot be read.
    """
    return _entries(folder)[0]


def folders(folder: str) -> list[str]:
    """Returns the paths of the folders in a folder, but hidden ones.

    Raises:
        DataError: If there is no such folder, or it cannot be read.
    """
    return [
        path
        for path in _entries(folder)[1]
        if not posixpath.basename(path).startswith(".")
    ]


def normal(text: str) -> str:
    """Returns a text in NFC, so that one spelling compares as another does."""
    return unicodedata.normalize("NFC", text)


def read_file(path: str) -> bytes:
    """Reads a regular file: a pipe or a device may never end.

    Args:
        path: Its path.

    Raises:
        DataError: If it is none, is too large or cannot be read.
    """
    try:
        return read_bytes(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        reason = " ".join(str(reason).split())
        raise DataError(f"{path}: cannot be read ({reason}).") from None


def refuse_links_out(folder: str, paths: Iterable[str]) -> None:
    """Refuses linked files that lie outside of the data.

    Args:
        folder: The folder of the data; a folder in it may be a link.
        paths: Paths of files.

    Raises:
        DataError: If one is a link out of the folder.
    """
    if is_remote(folder):
        return
    root = os.path.realpath(folder)
    for path in paths:
        if not os.path.islink(path):
            continue
        target = os.path.realpath(path)
        homes = root, os.path.realpath(os.path.dirname(path))
        if not any(target.startswith(f"{home}/") for home in homes):
            raise DataError(
                f"{path}: expected a file of {folder}. Found: a link to "
                f"{target}; put the file itself there, or link its folder."
            )


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """Returns the paths of files and of folders, each in order."""
    if is_remote(folder):
        return _remote_entries(folder)
    try:
        with os.scandir(folder) as entries:
            found = sorted((each.name, each.is_dir()) for each in entries)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{folder}: no such folder.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{folder}: cannot be read ({reason}).") from None
    for name, _ in found:
        if not name.isascii():
            _refuse_no_text(folder, name)
    paths = [(posixpath.join(folder, name), is_dir) for name, is_dir in found]
    return (
        [path for path, is_dir in paths if not is_dir],
        [path for path, is_dir in paths if is_dir],
    )


def _remote_entries(folder: str) -> tuple[list[str], list[str]]:
    import tensorflow as tf

    if not tf.io.gfile.isdir(folder):
        raise DataError(f"{folder}: no such folder.")
    try:
        names = sorted(tf.io.gfile.listdir(folder))
    except tf.errors.OpError as error:
        raise DataError(f"{folder}: cannot be read ({error}).") from None
    except UnicodeDecodeError as error:
        raise not_unicode(folder, error.object) from None
    paths: tuple[list[str], list[str]] = [], []
    for name in names:
        path = posixpath.join(folder, name.rstrip("/"))
        # Object stores end the names of folders with a slash.
        is_folder = name.endswith("/") or (
            "." not in name and tf.io.gfile.isdir(path)
        )
        paths[is_folder].append(path)
    return paths


def _refuse_no_text(folder: str, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise not_unicode(folder, os.fsencode(name)) from None


def not_unicode(folder: str, name: bytes) -> DataError:
    """Returns the refusal of a file whose name is no text."""
    return DataError(
        f"{folder}: expected file names in UTF-8. Found: {name!r}."
    )


def _and_others(count: int) -> str:
    return f" and {count} others like it" if count else ""
