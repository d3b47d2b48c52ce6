"""What labels hold: which numbers or colours, how often, how large they are."""

from __future__ import annotations

import io
import posixpath
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from PIL import Image

from wseg_tf.classes import Colour
from wseg_tf.data.decoding import DataError, decode_label
from wseg_tf.filesystems import read_bytes

# More are no classes: instances, or colours that were mixed.
MOST_CLASSES = 1000


@dataclass
class Contents:
    """What some labels hold.

    Args:
        pixels: Pixels of each stored value; a colour is `65536 R + 256 G + B`.
        frames: Labels that show the value.
        sizes: Labels of each size, height and width.
        palette: Colour of each id, of labels that have one.
        unreadable: Labels that could not be read.
    """

    pixels: Counter[int] = field(default_factory=Counter)
    frames: Counter[int] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    palette: dict[int, Colour] = field(default_factory=dict)
    unreadable: int = 0

    def __add__(self, other: Contents) -> Contents:
        """Returns the contents of both."""
        return Contents(
            self.pixels + other.pixels,
            self.frames + other.frames,
            self.sizes + other.sizes,
            self.palette or other.palette,
            self.unreadable + other.unreadable,
        )


def contents(folder: str, labels: Sequence[str], in_colours: bool) -> Contents:
    """Counts what labels hold.

    Args:
        folder: The folder.
        labels: Paths, relative to it.
        in_colours: Whether the labels are painted in colours.

    Raises:
        DataError: If labels hold too many values to be classes, or none can
            be read.
    """

    def look(path: str) -> Contents:
        return _one(posixpath.join(folder, path), in_colours)

    total = Contents()
    with ThreadPoolExecutor() as pool:
        for each in pool.map(look, labels):
            total += each
            if len(total.pixels) > MOST_CLASSES:
                break
    if len(total.pixels) > MOST_CLASSES:
        what = "colours" if in_colours else "ids"
        raise DataError(
            f"{folder}: expected labels of classes. Found: more than "
            f"{MOST_CLASSES} {what}, which are instances, or were resized or "
            "compressed."
        )
    if not total.sizes:
        raise DataError(
            f"{posixpath.join(folder, labels[0])}: expected a label that can "
            f"be read. Found: none among {len(labels)}."
        )
    return total


def packed(colour: Colour) -> int:
    """Returns a colour as one number.

    Example:

    >>> packed((1, 2, 3))
    66051
    """
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def unpacked(value: int) -> Colour:
    """Returns the colour of a number.

    Example:

    >>> unpacked(66051)
    (1, 2, 3)
    """
    return value >> 16, value >> 8 & 255, value & 255


def _one(path: str, in_colours: bool) -> Contents:
    try:
        encoded = read_bytes(path)
        stored, _ = decode_label(encoded, path, in_colours)
    except (DataError, OSError):
        return Contents(unreadable=1)  # `wseg data check` says why.
    ids = np.asarray(stored)
    height, width = ids.shape[:2]
    if in_colours:
        red, green, blue = np.moveaxis(ids.astype(np.int64), -1, 0)
        ids = red << 16 | green << 8 | blue
    values, counts = np.unique(ids, return_counts=True)
    pixels = Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    return Contents(
        pixels,
        Counter(dict.fromkeys(pixels, 1)),
        Counter({(height, width): 1}),
        {} if in_colours else _palette(encoded),
    )


def _palette(encoded: bytes) -> dict[int, Colour]:
    """Returns the colour of each id, of a label that has a palette."""
    picture = Image.open(io.BytesIO(encoded))
    flat = picture.getpalette() if picture.mode == "P" else None
    rows = np.array(flat or []).reshape(-1, 3).tolist()
    return {index: cast(Colour, tuple(row)) for index, row in enumerate(rows)}
