"""Pairs of an image and its label, and how their files are matched."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from wseg_tf.data.checks import DataError
from wseg_tf.data.rows import Rows
from wseg_tf.filesystems import is_remote, read_bytes

MOST_BYTES = 2**30
_KINDS = ("", "image", "label")

Key = TypeVar("Key", str, tuple[str, str, str])
# A file by its key, with the number of the pattern that found it.
Found = tuple[Key, int, str]
# A key with the paths of its image and its label.
Matched = tuple[Key, str, str]


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
    images: Iterable[Found[str]],
    labels: Iterable[Found[str]],
    split: str,
    folder: str,
) -> Rows[Matched[str]]:
    """Matches images and labels by name.

    Args:
        images: The images.
        labels: The labels.
        split: Name of the split, for messages.
        folder: The folder, for messages.

    Returns:
        Name, image path and label path of each pair, in the order of names.

    Raises:
        DataError: If a name is there twice, an image has no label, a label has
            no image, or there is no pair; names the first and counts the
            others.
    """
    frames = group(images, labels)
    refuse_alone(frames, split, folder)
    return frames


def group(
    images: Iterable[Found[Key]], labels: Iterable[Found[Key]]
) -> Rows[Matched[Key]]:
    """Brings images and labels of one key together.

    Args:
        images: The images.
        labels: The labels.

    Returns:
        Key, image path and label path of each frame, in the order of keys; the
        path of what is not there is empty.

    Raises:
        DataError: If two images, or two labels, have one key.
    """
    found = Rows.in_order(
        (key, is_label, number, path)
        for is_label, files in ((False, images), (True, labels))
        for key, number, path in files
    )
    repeated: dict[bool, tuple[int, str, Key, str]] = {}

    def matched() -> Iterator[Matched[Key]]:
        for key, rows in groupby(found, key=itemgetter(0)):
            # Two patterns may find one file.
            own: dict[bool, dict[str, int]] = {False: {}, True: {}}
            for _, is_label, number, path in rows:
                own[is_label].setdefault(path, number)
            for is_label, paths in own.items():
                first, *more = paths or [""]
                if more:
                    one = paths[more[0]], more[0], key, first
                    repeated[is_label] = min(one, repeated.get(is_label, one))
            image, label = (next(iter(paths), "") for paths in own.values())
            yield key, image, label

    frames = Rows(matched())
    for is_label in sorted(repeated):
        _, path, key, first = repeated[is_label]
        name = key if isinstance(key, str) else key[-1]
        raise DataError(
            f"{path}: duplicate name {name!r}, already used by {first}."
        )
    return frames


def refuse_alone(
    frames: Rows[Matched[str]], split: str, folder: str, cure: str = ""
) -> None:
    """Refuses an image without a label and a label without an image.

    Args:
        frames: The frames.
        split: Name of the split, for messages.
        folder: The folder, for messages.
        cure: What ends the message of an image without label.

    Raises:
        DataError: If there is one, or no frame; names the first and counts
            the others.
    """
    for kind, other in ((1, 2), (2, 1)):
        alone = (frame[kind] for frame in frames if not frame[other])
        first = next(alone, None)
        if first is not None:
            raise DataError(
                f"{first}: {_KINDS[kind]} without {_KINDS[other]}"
                f"{_and_others(sum(1 for _ in alone))} (split {split!r})"
                f"{cure * (kind == 1)}."
            )
    if not frames:
        raise DataError(f"{folder}: no images in split {split!r}.")


def by_name(
    paths: Iterable[str], suffixes: Sequence[str] = (".png",)
) -> Iterator[Found[str]]:
    """Yields files by name, the suffix taken off.

    Args:
        paths: Paths; those without any of the suffixes are left out.
        suffixes: Endings of the names, compared in lower case.
    """
    for path in paths:
        base = posixpath.basename(path)
        ending = next((s for s in suffixes if base.lower().endswith(s)), None)
        if ending is not None and not base.startswith("."):
            yield normal(base[: -len(ending)]), 0, path


def files(folder: str) -> Iterator[str]:
    """Yields the paths of the files in a folder, in the order of names.

    Raises:
        DataError: If there is no such folder, or it cannot be read.
    """
    names = Rows.in_order(n for n, is_dir in _entries(folder) if not is_dir)
    return (posixpath.join(folder, name) for name in names)


def folders(folder: str) -> list[str]:
    """Returns the paths of the folders in a folder, but hidden ones.

    Raises:
        DataError: If there is no such folder, or it cannot be read.
    """
    return [
        posixpath.join(folder, name)
        for name in sorted(n for n, is_dir in _entries(folder) if is_dir)
        if not name.startswith(".")
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


def _entries(folder: str) -> Iterator[tuple[str, bool]]:
    """Yields the names of files and folders, and which are folders."""
    if is_remote(folder):
        yield from _remote_entries(folder)
        return
    no_text = []
    try:
        with os.scandir(folder) as entries:
            for each in entries:
                if not _is_text(each.name):
                    no_text.append(each.name)
                elif each.name.isprintable() or each.name.startswith("."):
                    yield each.name, each.is_dir()
                else:
                    raise _not_printable(folder, each.name)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{folder}: no such folder.") from None
    except DataError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{folder}: cannot be read ({reason}).") from None
    if no_text:
        raise not_unicode(folder, os.fsencode(min(no_text)))


def _remote_entries(folder: str) -> Iterator[tuple[str, bool]]:
    import tensorflow as tf

    if not tf.io.gfile.isdir(folder):
        raise DataError(f"{folder}: no such folder.")
    try:
        names = tf.io.gfile.listdir(folder)
    except tf.errors.OpError as error:
        raise DataError(f"{folder}: cannot be read ({error}).") from None
    except UnicodeDecodeError as error:
        raise not_unicode(folder, error.object) from None
    for name in names:
        if not name.isprintable():
            raise _not_printable(folder, name)
        path = posixpath.join(folder, name.rstrip("/"))
        # Object stores end the names of folders with a slash.
        is_folder = name.endswith("/") or (
            "." not in name and tf.io.gfile.isdir(path)
        )
        yield name.rstrip("/"), is_folder


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def not_unicode(folder: str, name: bytes) -> DataError:
    """Returns the refusal of a file whose name is no text."""
    return DataError(
        f"{folder}: expected file names in UTF-8. Found: {name!r}."
    )


def _not_printable(folder: str, name: str) -> DataError:
    """Refuses what a terminal takes for a command, and a list for two."""
    return DataError(
        f"{folder}: expected file names of characters that print. Found: "
        f"{name!r}."
    )


def _and_others(count: int) -> str:
    return f" and {count} others like it" if count else ""
