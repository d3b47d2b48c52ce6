"""Which weights a stage ends with: the best by a metric, or the last."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wseg_tf.classes import ClassSet
from wseg_tf.metrics import summary

LOWER_IS_BETTER = ("expected_severity",)
BY_CLASS = ("iou", "recall", "precision")


def metric_values(scores: Mapping[str, Any]) -> dict[str, float | None]:
    """Returns every metric of a summary under one flat name.

    Args:
        scores: What `wseg_tf.metrics.summary` returned.

    Returns:
        `mean_iou`, `critical_iou`, ..., `iou_group/4`,
        `merged_recall/4`, `iou/car`, `recall/car`, `precision/car`; `None` for
        what is absent.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> values = metric_values(summary(np.eye(11, dtype=int), CAMVID))
    >>> values["critical_iou"], values["iou/car"], values["iou_group/4"]
    (1.0, 1.0, 1.0)
    """
    nested = ("pixels", "groups", "merged_recall", "classes")
    flat = {name: value for name, value in scores.items() if name not in nested}
    for group, value in scores["groups"].items():
        flat[f"iou_group/{group}"] = value
    for group, value in scores["merged_recall"].items():
        flat[f"merged_recall/{group}"] = value
    for score in BY_CLASS:
        for name, values in scores["classes"].items():
            flat[f"{score}/{name}"] = values[score]
    return flat


def metric_names(classes: ClassSet) -> list[str]:
    """Returns the names of `metric_values` for a class set.

    Args:
        classes: The class set.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> metric_names(CAMVID)[:3]
    ['mean_iou', 'critical_iou', 'critical_minimum_iou']
    """
    empty = np.zeros([len(classes), len(classes)], np.int64)
    return list(metric_values(summary(empty, classes)))


def check_metric(name: str, classes: ClassSet) -> None:
    """Refuses a metric that no evaluation has.

    Args:
        name: The metric's name.
        classes: The class set.

    Raises:
        ValueError: If it is unknown; lists those there are.
    """
    names = metric_names(classes)
    if name in names:
        return
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean `{close[0]}`?)" if close else ""
    raise ValueError(
        f"Invalid value for argument `select`. Expected one of {names}{hint}. "
        f"Received: select={name!r}."
    )


@dataclass
class Selection:
    """The best evaluation so far.

    Args:
        metric: A name of `metric_names`; for `"expected_severity"` less is
            better, for every other one more is.
        patience: Evaluations in a row without a better one that end the
            stage. Defaults to None: never.
        best: The best value; None before the first.
        epoch: The epoch it was found after, from 1.
        waited: Evaluations since.

    Example:

    >>> selection = Selection("mean_iou", patience=2)
    >>> [selection.better({"mean_iou": v}, e)
    ...  for e, v in enumerate([0.2, 0.4, None, 0.4], start=1)]
    [True, True, False, False]
    >>> selection.best, selection.epoch, selection.exhausted
    (0.4, 2, True)
    """

    metric: str
    patience: int | None = None
    best: float | None = None
    epoch: int = 0
    waited: int = 0

    def better(self, values: Mapping[str, float | None], epoch: int) -> bool:
        """Takes an evaluation in.

        Args:
            values: Metrics by name; an absent one is never better.
            epoch: The epoch it was made after, from 1.

        Returns:
            Whether it is better than all before it.
        """
        value = values[self.metric]
        if value is not None and (
            self.best is None or self._gain(value, self.best) > 0
        ):
            self.best, self.epoch, self.waited = value, epoch, 0
            return True
        self.waited += 1
        return False

    def _gain(self, value: float, best: float) -> float:
        lower = self.metric in LOWER_IS_BETTER
        return best - value if lower else value - best

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.waited >= self.patience
