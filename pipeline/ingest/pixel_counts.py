"""Pixel counts as a file: what ingest wrote, by split and drive."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from wseg_tf.data.statistics import PixelStatistics
from wseg_tf.json_files import read_json, typed
from wseg_tf.ranges import bounded

STATISTICS = "statistics.json"
MOST_PIXELS = 2**62

# Statistics by split, then by drive.
StatisticsBySplit = dict[str, dict[str, PixelStatistics]]


def add(counts: StatisticsBySplit, split: str, drive: str, new: Any) -> None:
    """Adds the statistics of some frames to those of their drive."""
    own = counts.setdefault(split, {}).get(drive)
    counts[split][drive] = new if own is None else own + new


def total(drives: Mapping[str, PixelStatistics]) -> PixelStatistics:
    """Returns the statistics of several drives together; at least one."""
    first, *others = drives.values()
    return sum(others, start=first)


def write(path: str, counts: StatisticsBySplit) -> None:
    """Writes counts as JSON; equal counts give equal bytes."""
    values = {
        split: {
            drive: as_json(statistics)
            for drive, statistics in sorted(drives.items())
        }
        for split, drives in counts.items()
    }
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps(values, indent=1) + "\n")


def read(path: str) -> StatisticsBySplit:
    """Reads what `write` wrote.

    Args:
        path: The file.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it holds something else; names what.
    """
    splits = read_json(path, dict[str, dict[str, Any]])
    return {
        split: {
            drive: from_json(values, path, f"{split}.{drive}")
            for drive, values in drives.items()
        }
        for split, drives in splits.items()
    }


def of_records(patterns: str | Sequence[str]) -> PixelStatistics | None:
    """Returns the pixel statistics of records, without a pass over them.

    Beside the splits of a folder of records lies what was counted when they
    were written.

    Args:
        patterns: Record files of one split, e.g.
            `"runs/records/Split-train/*"`; the first tells the split.

    Returns:
        The statistics of the split; None where nobody counted.
    """
    first = patterns if isinstance(patterns, str) else patterns[0]
    folder, split = os.path.split(os.path.dirname(first))
    path = os.path.join(folder, STATISTICS)
    if not tf.io.gfile.exists(path):
        return None
    drives = read(path).get(split.removeprefix("Split-"))
    return total(drives) if drives else None


def as_json(statistics: PixelStatistics) -> dict[str, Any]:
    """Returns statistics as JSON can hold them."""
    return {
        "images": statistics.images,
        "pixels": statistics.pixels.tolist(),
        "present": statistics.present.tolist(),
        "frames": statistics.frames.tolist(),
        "sizes": [[*size, n] for size, n in statistics.sizes.items()],
    }


@dataclass(frozen=True)
class _Written:
    images: int = bounded(0, 0)
    pixels: list[int] = bounded(list, 0, MOST_PIXELS)
    present: list[int] = bounded(list, 0, MOST_PIXELS)
    frames: list[int] = bounded(list, 0)
    sizes: list[tuple[int, int, int]] = bounded(list, 1)


def from_json(
    values: Any, source: str = "the pixel counts", place: str = ""
) -> PixelStatistics:
    """Returns the statistics that `as_json` was given.

    Args:
        values: What it returned.
        source: Where they come from, for the error.
        place: Their name there.

    Raises:
        ValueError: If they are none; names what is wrong.
    """
    written: _Written = typed(_Written, values, source, place)
    classes = len(written.frames)
    if not len(written.present) == classes == len(written.pixels) - 1:
        raise ValueError(
            f"Invalid value for `{place}` in {source}. Expected `pixels` of "
            f"each class and of void. Received: {len(written.pixels)} of "
            f"{classes} classes."
        )
    return PixelStatistics(
        np.array(written.pixels, np.int64),
        np.array(written.present, np.int64),
        np.array(written.frames, np.int64),
        written.images,
        {(height, width): n for height, width, n in written.sizes},
    )
