"""Cityscapes: `leftImg8bit/SPLIT/CITY/` and `gtFine/SPLIT/CITY/`."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from wseg_tf.data.checks import DataError
from wseg_tf.data.pairs import Found, Pair, by_name, files, folders, match

# The published test labels are blank, so test is read only when asked for.
SPLITS = ("train", "val")
IMAGES = "leftImg8bit"
LABELS = "gtFine"


def find(
    folder: str,
    splits: Sequence[str] | None = None,
    kind: str = "labelIds",
    dataset: str = "cityscapes",
) -> Iterator[Pair]:
    """Finds the pairs of a Cityscapes folder.

    `leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png` belongs to
    `gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png`; its drive
    is `aachen`.

    Args:
        folder: The folder that holds `leftImg8bit/` and `gtFine/`.
        splits: Splits to read, `train`, `val` or `test`. Defaults to those of
            `train` and `val` that are there.
        kind: `"labelIds"` or `"labelTrainIds"`: which labels to take.
        dataset: Name of the dataset in the pairs.

    Yields:
        The pairs, by split and then by name.

    Raises:
        DataError: If a folder is missing, a split is empty, or an image or a
            label stands alone.
    """
    images, labels = (posixpath.join(folder, top) for top in (IMAGES, LABELS))
    present = {posixpath.basename(path) for path in folders(images)}
    if splits is None:
        splits = [split for split in SPLITS if split in present]
    if not splits:
        raise DataError(
            f"{images}: expected at least one of {', '.join(SPLITS)}. "
            "Found: none."
        )
    for split in splits:
        found = match(
            _by_frame(posixpath.join(images, split), f"_{IMAGES}.png"),
            _by_frame(posixpath.join(labels, split), f"_{LABELS}_{kind}.png"),
            split,
            images,
        )
        for name, image, label in found:
            city = posixpath.basename(posixpath.dirname(image))
            yield Pair(name, image, label, split, city, dataset)


def _by_frame(folder: str, suffix: str) -> Iterator[Found[str]]:
    """Yields the files of a split by frame, across its cities."""
    paths = (path for city in folders(folder) for path in files(city))
    return by_name(paths, [suffix.lower()])
