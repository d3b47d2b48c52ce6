"""Pairs of an image and its label, and how their files are matched."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wseg_tf.data.checks import DataError


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
) -> list[tuple[str, str, str]]:
    """Matches images and labels by name.

    Args:
        images: Path of each image, by name.
        labels: Path of each label, by name.
        split: Name of the split, for messages.
        folder: The folder, for messages.

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
                f"{_and_others(len(alone) - 1)} (split {split!r})."
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
        name = base[: -len(ending)]
        if name in named:
            raise DataError(
                f"{path}: duplicate name {name!r}, already used by "
                f"{named[name]}."
            )
        named[name] = path
    return named


def listing(folder: str) -> list[str]:
    """Returns the paths in a folder, in the order of their names.

    Raises:
        DataError: If there is no such folder, or it cannot be read.
    """
    import tensorflow as tf

    if not tf.io.gfile.isdir(folder):
        raise DataError(f"{folder}: no such folder.")
    try:
        names = tf.io.gfile.listdir(folder)
    except tf.errors.OpError as error:
        raise DataError(f"{folder}: cannot be read ({error}).") from None
    except UnicodeDecodeError as error:
        raise not_unicode(folder, error) from None
    # Object stores end the names of folders with a slash.
    return [posixpath.join(folder, name.rstrip("/")) for name in sorted(names)]


def not_unicode(folder: str, error: UnicodeDecodeError) -> DataError:
    """Returns the refusal of a file whose name is no text."""
    return DataError(
        f"{folder}: expected file names in UTF-8. Found: {error.object!r}."
    )


def _and_others(count: int) -> str:
    return f" and {count} others like it" if count else ""
