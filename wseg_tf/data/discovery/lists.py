"""Finds the lists of frames that tell the splits, such as `train.txt`."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from wseg_tf.data.checks import DataError
from wseg_tf.data.discovery.paths import files_below
from wseg_tf.data.discovery.patterns import Key, Place, split_word
from wseg_tf.data.layouts.splits import Splits, assign

_ENDINGS = (".txt", ".lst", ".list")


def find_lists(
    folder: str, pairs: Mapping[Key, tuple[Place, Place]]
) -> Splits | None:
    """Finds lists of frames that have an image and a label each.

    Args:
        folder: The folder.
        pairs: The frames.

    Returns:
        The lists of one folder, one a split, that can be read; None if there
        are no two.
    """
    images = {
        key: posixpath.join(folder, image.path)
        for key, (image, _) in pairs.items()
    }
    by_folder: dict[str, dict[str, str]] = {}
    for path in files_below(folder):
        stem, ending = posixpath.splitext(posixpath.basename(path))
        # `train.txt`, not `trainval.txt`: as a folder of that name.
        if ending.lower() in _ENDINGS and split_word(f"{stem}/") == stem:
            by_folder.setdefault(posixpath.dirname(path), {})[stem] = path
    for lists in by_folder.values():
        splits = Splits(lists=lists, source=folder)
        if len(lists) < 2:
            continue
        try:
            assign(splits, folder, images.items())
        except DataError:
            continue  # It lists others, or frames without labels.
        return splits
    return None
