"""CamVid: `train/`, `val/`, `test/` and a folder `*annot/` for each."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from wseg_tf.data.checks import DataError
from wseg_tf.data.pairs import Pair, by_name, files, folders, match

SPLITS = ("train", "val", "test")
_IMAGES = (".png", ".jpg", ".jpeg")


def find(
    folder: str, splits: Sequence[str] | None = None, dataset: str = "camvid"
) -> Iterator[Pair]:
    """Finds the pairs of a folder in the layout that SegNet published.

    The drive is what stands before the first underscore of a name:
    `0016E5_08640.png` belongs to drive `0016E5`.

    Args:
        folder: The folder that holds `train/`, `trainannot/` and so on.
        splits: Splits to read. Defaults to those of `train`, `val` and `test`
            that are there.
        dataset: Name of the dataset in the pairs.

    Yields:
        The pairs, by split and then by name.

    Raises:
        DataError: If a folder is missing, a split is empty, or an image or a
            label stands alone.
    """
    present = {posixpath.basename(path) for path in folders(folder)}
    if not present & {*SPLITS, *(splits or ())}:
        raise DataError(
            f"{folder}: expected CamVid's folders, at least one of "
            f"{', '.join(SPLITS)}, each with its annot folder. Found: none; "
            "`dataset` names another layout, or a description of the folder."
        )
    if splits is None:
        splits = [split for split in SPLITS if split in present]
    for split in splits:
        for name, image, label in match(
            by_name(files(posixpath.join(folder, split)), _IMAGES),
            by_name(files(posixpath.join(folder, f"{split}annot"))),
            split,
            folder,
        ):
            drive = name.split("_")[0]
            yield Pair(name, image, label, split, drive, dataset)
