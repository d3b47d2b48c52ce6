"""Metrics: one exact confusion count, and the scores derived from it.

The NumPy part (`confusion_count` and the scores) imports NumPy alone; the
Keras metric `Confusion` is loaded when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wseg_tf.metrics.confusion import confusion_count
from wseg_tf.metrics.formulas import (
    expected_severity,
    frequency_weighted_iou,
    iou_per_class,
    mean_iou,
    mean_precision,
    mean_recall,
    merged_recall,
    minimum_iou,
    pixel_accuracy,
    precision_per_class,
    recall_per_class,
)
from wseg_tf.metrics.table import score, score_names, scores, summary

if TYPE_CHECKING:
    from wseg_tf.metrics.streaming import Confusion

__all__ = [
    "Confusion",
    "confusion_count",
    "expected_severity",
    "frequency_weighted_iou",
    "iou_per_class",
    "mean_iou",
    "mean_precision",
    "mean_recall",
    "merged_recall",
    "minimum_iou",
    "pixel_accuracy",
    "precision_per_class",
    "recall_per_class",
    "score",
    "score_names",
    "scores",
    "summary",
]


def __getattr__(name: str) -> Any:
    """Imports the Keras metric on first use: TensorFlow takes seconds."""
    if name == "Confusion":
        from wseg_tf.metrics.streaming import Confusion

        return Confusion
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
