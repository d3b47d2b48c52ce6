"""Pixel counts as a file: what ingest wrote, by split and drive."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from wseg_tf.data.statistics import PixelStatistics

STATISTICS = "statistics.json"

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
    """Reads what `write` wrote."""
    with tf.io.gfile.GFile(path) as file:
        splits = json.load(file)
    return {
        split: {drive: from_json(values) for drive, values in drives.items()}
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


def from_json(values: Mapping[str, Any]) -> PixelStatistics:
    """Returns the statistics that `as_json` was given."""
    return PixelStatistics(
        np.array(values["pixels"], np.int64),
        np.array(values["present"], np.int64),
        np.array(values["frames"], np.int64),
        values["images"],
        {(height, width): n for height, width, n in values["sizes"]},
    )
