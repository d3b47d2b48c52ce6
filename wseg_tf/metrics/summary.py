"""Every score of one confusion count as a JSON-ready dictionary."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wseg_tf.classes import ClassSet
from wseg_tf.metrics import scores

if TYPE_CHECKING:
    from wseg_tf.ground import GroundMatrix


def summary(
    counts: npt.ArrayLike,
    class_set: ClassSet,
    ground: GroundMatrix | npt.ArrayLike | None = None,
) -> dict[str, Any]:
    """Gathers the scores of a confusion count, ready for JSON.

    Args:
        counts: Confusion count `[N, N]`, rows truth, in `class_set`'s order.
        class_set: Names and importance groups of the N classes.
        ground: D `[N, N]` for the expected severity. Defaults to `None`:
            no severity is given.

    Returns:
        A dictionary: `pixels`, `mean_iou`, `critical_iou` (mean over the
        critical classes), `critical_minimum_iou`, `pixel_accuracy`,
        `mean_recall`, `mean_precision`, `frequency_weighted_iou`,
        `expected_severity`, `groups` (IoU by group), `merged_recall` (by group)
        and `classes` (by name:
        `iou`, `recall`, `precision`, true `pixels`). What is absent is
        `None`.

    Raises:
        ValueError: If `counts` does not have `class_set`'s size.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> import numpy as np
    >>> scores = summary(np.diag([9] * 10 + [0]), CAMVID)
    >>> scores["mean_iou"], scores["classes"]["bicyclist"]["iou"]
    (1.0, None)
    """
    matrix = np.asarray(counts)
    if matrix.shape != (len(class_set), len(class_set)):
        raise ValueError(
            "Invalid value for argument `counts`. Expected shape "
            f"{(len(class_set), len(class_set))} for {class_set.name}. "
            f"Received: {matrix.shape}."
        )
    critical = [class_set.index(name) for name in class_set.critical]
    by_class = zip(
        class_set.names,
        scores.iou_per_class(matrix),
        scores.recall_per_class(matrix),
        scores.precision_per_class(matrix),
        matrix.sum(axis=1),
        strict=True,
    )
    return {
        "pixels": int(matrix.sum()),
        "mean_iou": _or_none(scores.mean_iou(matrix)),
        "critical_iou": _or_none(scores.mean_iou(matrix, critical)),
        "critical_minimum_iou": _or_none(scores.minimum_iou(matrix, critical)),
        "pixel_accuracy": _or_none(scores.pixel_accuracy(matrix)),
        "mean_recall": _or_none(scores.mean_recall(matrix)),
        "mean_precision": _or_none(scores.mean_precision(matrix)),
        "frequency_weighted_iou": _or_none(
            scores.frequency_weighted_iou(matrix)
        ),
        "expected_severity": None
        if ground is None
        else _or_none(scores.expected_severity(matrix, ground)),
        "groups": {
            str(group): _or_none(value)
            for group, value in scores.iou_per_group(
                matrix, class_set.groups
            ).items()
        },
        "merged_recall": {
            str(group): _or_none(value)
            for group, value in scores.merged_recall_per_group(
                matrix, class_set.groups
            ).items()
        },
        "classes": {
            name: {
                "iou": _or_none(iou),
                "recall": _or_none(recall),
                "precision": _or_none(precision),
                "pixels": int(pixels),
            }
            for name, iou, recall, precision, pixels in by_class
        },
    }


def _or_none(value: float) -> float | None:
    """JSON has no NaN: what is absent is null."""
    return None if math.isnan(value) else float(value)
