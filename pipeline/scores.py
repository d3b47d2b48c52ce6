"""The flat names under which every score of a model is known.

A rule of the gate, a metric in TFMA and a row of the report use the same name
for the same figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wseg_tf.classes import MOST_IMPORTANT_GROUP, ClassSet
from wseg_tf.metrics import summary

CONFUSION_METRIC = "confusion"
IMAGES_METRIC = "images"


def scores(
    counts: npt.ArrayLike, classes: ClassSet, ground: npt.ArrayLike
) -> dict[str, float]:
    """Returns every score of a confusion count by its flat name.

    Args:
        counts: Exact counts `[N, N]`; rows truth, columns predictions.
        classes: The class set.
        ground: D `[N, N]` for the expected severity, rows truth.

    Returns:
        Scores by name, e.g. `"iou/car"`, `"recall/car"`, `"iou_group/4"`,
        `"critical_iou/minimum"`; NaN for what is absent.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> perfect = scores(np.eye(11, dtype=int), CAMVID, np.ones([11, 11]))
    >>> perfect["iou/car"], perfect["critical_iou/minimum"]
    (1.0, 1.0)
    """
    found = summary(counts, classes, ground)
    by_class: Mapping[str, Mapping[str, Any]] = found["classes"]
    # A minimum over the classes that happen to be present would reward a
    # set without pedestrians: an absent critical class leaves no minimum.
    complete = all(
        by_class[name]["iou"] is not None and by_class[name]["pixels"] > 0
        for name in classes.critical
    )
    flat = {
        "mean_iou": found["mean_iou"],
        "critical_iou/minimum": found["critical_minimum_iou"]
        if complete
        else None,
        "critical_iou/mean": found["critical_iou"] if complete else None,
        "expected_severity": found["expected_severity"],
        "pixel_accuracy": found["pixel_accuracy"],
        "frequency_weighted_iou": found["frequency_weighted_iou"],
        **{
            f"iou_group/{group}": value
            for group, value in found["groups"].items()
        },
        **{
            f"{score}/{name}": by_class[name][score]
            for score in ("iou", "recall", "precision")
            for name in classes.names
        },
    }
    return {
        name: float("nan") if value is None else value
        for name, value in flat.items()
    }


def score_names(classes: ClassSet) -> list[str]:
    """Returns the names `scores` gives for a class set.

    Args:
        classes: The class set.

    Returns:
        Names in the order of `scores`.
    """
    empty = np.zeros([len(classes), len(classes)], np.int64)
    return list(scores(empty, classes, empty))


def iou_rows(
    values: Mapping[str, float], classes: ClassSet
) -> list[tuple[str, str, float]]:
    """Returns the IoU of each class and group, most important first.

    Args:
        values: Scores by name.
        classes: The class set.

    Returns:
        Rows (name, kind, IoU): a `"group"` row, then its classes as `"class"`
        rows, and last a `"mean"` row. NaN where there is nothing.
    """
    rows = []
    for group in range(MOST_IMPORTANT_GROUP, 0, -1):
        members = classes.members(group)
        if members:
            rows.append(
                (f"group {group}", "group", values[f"iou_group/{group}"])
            )
        rows += [(name, "class", values[f"iou/{name}"]) for name in members]
    rows.append(("mean", "mean", values["mean_iou"]))
    return rows
