"""Checks whole folders: every problem, and what the good frames hold."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from wseg_tf.data.checks import (
    CheckedPair,
    DataError,
    check_image,
    check_pair,
)
from wseg_tf.data.decoding import DecodedImage, decode_image
from wseg_tf.data.layouts import Layout
from wseg_tf.data.pairs import Pair
from wseg_tf.data.statistics import PixelStatistics
from wseg_tf.filesystems import read_bytes

MOST_BYTES = 2**30


@dataclass(frozen=True)
class Problem:
    """A pair that cannot be used.

    Args:
        pair: The pair.
        reason: One sentence that names the file.
    """

    pair: Pair
    reason: str


@dataclass(frozen=True)
class Inspection:
    """What an inspection found.

    Args:
        problems: The pairs that cannot be used, in their order.
        statistics: Pixel statistics of the others by split and drive.
    """

    problems: tuple[Problem, ...]
    statistics: dict[tuple[str, str], PixelStatistics]

    def total(self, split: str, classes: int) -> PixelStatistics:
        """Returns the statistics of a split, over its drives."""
        own = [v for (name, _), v in self.statistics.items() if name == split]
        return sum(own, start=PixelStatistics.empty(classes))


def read_checked(pair: Pair, layout: Layout) -> CheckedPair:
    """Reads and checks one pair, or an image without a label.

    Args:
        pair: The pair.
        layout: The layout it was found by.

    Returns:
        The `CheckedPair`.

    Raises:
        DataError: If a file cannot be read, or a check fails.
    """
    image = _read(pair.image)
    if not pair.label:
        return check_image(image, layout.classes, pair.image)
    return check_pair(
        image,
        _read(pair.label),
        layout.classes,
        layout.id_map,
        layout.colour_map,
        image_name=pair.image,
        label_name=pair.label,
        panoptic=layout.panoptic,
        divisor=layout.divisor,
    )


def inspect(
    pairs: Iterable[Pair], layout: Layout, workers: int | None = None
) -> Inspection:
    """Reads and checks all pairs, several at a time.

    Args:
        pairs: The pairs.
        layout: The layout they were found by.
        workers: Pairs checked at a time. Defaults to the number of cores.

    Returns:
        The `Inspection`; the same whatever the number of workers.
    """

    def examine(pair: Pair) -> PixelStatistics | Problem:
        try:
            checked = read_checked(pair, layout)
        except DataError as error:
            return Problem(pair, str(error))
        size = checked.height, checked.width
        return PixelStatistics.of_frame(checked.counts, size)

    pairs = list(pairs)
    problems = []
    statistics: dict[tuple[str, str], PixelStatistics] = {}
    nothing = PixelStatistics.empty(len(layout.classes))
    # Decoding leaves Python's lock, so threads use all cores.
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for pair, found in zip(pairs, pool.map(examine, pairs), strict=True):
            if isinstance(found, Problem):
                problems.append(found)
                continue
            key = pair.split, pair.drive
            statistics[key] = statistics.get(key, nothing) + found
    return Inspection(tuple(problems), statistics)


def refuse_problems(pairs: Iterable[Pair], layout: Layout) -> None:
    """Checks all pairs before any is used.

    Args:
        pairs: The pairs.
        layout: The layout they were found by.

    Raises:
        DataError: If one cannot be used: the first one's reason, and how many
            others there are.
    """
    problems = inspect(pairs, layout).problems
    if problems:
        others = len(problems) - 1
        more = f" And {others} more such pairs." if others else ""
        raise DataError(problems[0].reason + more)


def read_image(path: str) -> DecodedImage:
    """Reads and checks one image, for a prediction.

    Args:
        path: A PNG or JPEG.

    Returns:
        The `DecodedImage`, turned as EXIF says.

    Raises:
        DataError: If it cannot be read, or a check fails.
    """
    return decode_image(_read(path), path)


def _read(path: str) -> bytes:
    """Reads a regular file: a pipe or a device may never end."""
    try:
        return read_bytes(path, MOST_BYTES)
    except OSError as error:
        reason = " ".join(str(error.strerror or error).split())
        raise DataError(f"{path}: cannot be read ({reason}).") from None
