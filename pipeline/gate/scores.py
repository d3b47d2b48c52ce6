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

# Scores each class has; `iou/critical` stands for those of critical classes.
PER_CLASS = ("iou", "recall", "precision")
CRITICAL = "critical"
# Better when lower; every other score is better when higher.
LOWER_IS_BETTER = ("expected_severity",)


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
            f"merged_recall/{group}": value
            for group, value in found["merged_recall"].items()
        },
        **{
            f"{score}/{name}": by_class[name][score]
            for score in PER_CLASS
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


def many(
    metric: str,
    counts: npt.NDArray[np.int64],
    classes: ClassSet,
    ground: npt.ArrayLike,
) -> npt.NDArray[np.float64]:
    """Returns one score of many confusion counts at once.

    Args:
        metric: A name of `scores`.
        counts: Counts `[..., N, N]`; rows truth.
        classes: The class set.
        ground: D `[N, N]`, rows truth.

    Returns:
        The score `[...]`, as `scores` gives it for each of the counts.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> pair = np.stack([np.eye(11, dtype=int), np.zeros([11, 11], int)])
    >>> many("iou/car", pair, CAMVID, np.ones([11, 11]))
    array([ 1., nan])
    """
    kind, _, name = metric.partition("/")
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    truth, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    if kind == "expected_severity":
        cost = (counts * np.asarray(ground)).sum(axis=(-2, -1))
        return _ratio(cost, truth.sum(axis=-1))
    if kind == "pixel_accuracy":
        return _ratio(hits.sum(axis=-1), truth.sum(axis=-1))
    if kind == "recall":
        return _ratio(hits, truth)[..., classes.index(name)]
    if kind == "precision":
        return _ratio(hits, predicted)[..., classes.index(name)]
    iou = _ratio(hits, truth + predicted - hits)
    if kind == "iou":
        return iou[..., classes.index(name)]
    if kind == "iou_group":
        own = [group == int(name) for group in classes.groups]
        return _mean(iou[..., own])
    if kind == "merged_recall":
        member = np.flatnonzero(np.array(classes.groups) == int(name))
        merged = counts[..., member[:, None], member].sum(axis=(-2, -1))
        return _ratio(merged, truth[..., member].sum(axis=-1))
    if kind == "critical_iou":
        critical = [classes.index(each) for each in classes.critical]
        chosen = np.where(truth > 0, iou, np.nan)[..., critical]
        # NaN if any is: `scores` says why.
        reduce = np.min if name == "minimum" else np.mean
        return np.asarray(reduce(chosen, axis=-1))
    if kind == "frequency_weighted_iou":
        weighted = np.where(truth > 0, iou * truth, 0.0).sum(axis=-1)
        return _ratio(weighted, truth.sum(axis=-1))
    return _mean(iou)


def _ratio(numerator: Any, denominator: Any) -> npt.NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.true_divide(numerator, denominator))


def _mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean over the last axis of what is present."""
    present = ~np.isnan(values)
    total = np.where(present, values, 0.0).sum(axis=-1)
    return _ratio(total, present.sum(axis=-1))


def judged_classes(metric: str, classes: ClassSet) -> list[int]:
    """Returns the classes that must be there for a score to mean something.

    Args:
        metric: A name of `scores`.
        classes: The class set.

    Returns:
        Class ids: the class of a score of one class, the members of a group,
        the critical classes for `critical_iou`; none for means over all
        classes, which leave out what is absent.
    """
    kind, _, name = metric.partition("/")
    names: tuple[str, ...] = ()
    if kind in (*PER_CLASS, "images"):
        names = (name,)
    elif kind in ("iou_group", "merged_recall"):
        names = classes.members(int(name))
    elif kind == "critical_iou":
        names = classes.critical
    return [classes.index(each) for each in names]


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
