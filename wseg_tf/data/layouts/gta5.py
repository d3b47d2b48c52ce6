"""GTA5 (Playing for Data): `images/` and `labels/`, Cityscapes' ids."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator, Sequence
from typing import Any

from wseg_tf.classes import CITYSCAPES
from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts.cityscapes_labels import TRAIN_IDS
from wseg_tf.data.pairs import Found, Pair, by_name, files, match
from wseg_tf.data.rows import Rows

# The labels are palette images whose index is Cityscapes' id; the license
# plate, -1 there, is 34 here.
LICENSE_PLATE = 34
ID_MAP: dict[int, int] = {**TRAIN_IDS, LICENSE_PLATE: CITYSCAPES.void}

# As published, these images and their labels differ in size.
MISMATCHED = frozenset({"15188", "17705"})

SPLIT_FILE = "split.mat"
_SPLITS = {"train": "trainIds", "val": "valIds", "test": "testIds"}


def find(
    folder: str, splits: Sequence[str] | None = None, dataset: str = "gta5"
) -> Iterator[Pair]:
    """Finds the pairs of a GTA5 folder, without its known bad ones.

    Frames carry no drive, so all have the drive `gta5`.

    Args:
        folder: The folder that holds `images/`, `labels/` and, where the
            published split is wanted, `split.mat`.
        splits: Splits to read. Defaults to those of `split.mat`; without that
            file every frame is in `train`.
        dataset: Name of the dataset in the pairs.

    Yields:
        The pairs, by split and then by name.

    Raises:
        DataError: If a folder is missing, a split is empty, or an image or a
            label stands alone.
    """
    images, labels = (
        _named(posixpath.join(folder, part)) for part in ("images", "labels")
    )
    frames = match(images, labels, "all", folder)
    published = _published(posixpath.join(folder, SPLIT_FILE))
    if splits is None:
        splits = ["train"] if published is None else [*published]
    for split in splits:
        if published is None:
            found = frames if split == "train" else Rows(())
        else:
            members = published.get(split, set())
            found = Rows(frame for frame in frames if frame[0] in members)
        if not found:
            raise DataError(f"{folder}: no images in split {split!r}.")
        for frame in found:
            yield Pair(*frame, split, dataset, dataset)


def _named(folder: str) -> Iterator[Found[str]]:
    return (f for f in by_name(files(folder)) if f[0] not in MISMATCHED)


def _published(path: str) -> dict[str, set[str]] | None:
    """Returns the names of each split, or None without a split file."""
    import tensorflow as tf

    if not tf.io.gfile.exists(path):
        return None
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError(
            f"{path}: reading it needs SciPy, which is not installed."
        ) from None
    with tf.io.gfile.GFile(path, "rb") as file:
        contents: dict[str, Any] = loadmat(io.BytesIO(file.read()))
    missing = [key for key in _SPLITS.values() if key not in contents]
    if missing:
        raise DataError(
            f"{path}: expected {', '.join(_SPLITS.values())}. Found: no "
            f"{missing[0]}."
        )
    return {
        split: {f"{int(number):05d}" for number in contents[key].ravel()}
        for split, key in _SPLITS.items()
    }
