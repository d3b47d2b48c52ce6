"""Which weights a stage ends with: the best by a metric, or the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wseg_tf.metrics.table import kind_of


@dataclass
class Selection:
    """The best evaluation so far.

    Args:
        metric: A name of `wseg_tf.metrics.score_names`.
        patience: Evaluations in a row without a better one that end the
            stage. Defaults to None: never.
        best: The best value; None before the first.
        epoch: The epoch it was found after, from 1; 0 for the weights that a
            stage begins with.
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
            values: What `wseg_tf.metrics.summary` returned; a score that is
                absent is never better.
            epoch: The epoch it was made after; 0 before the first.

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
        lower = kind_of(self.metric).lower_is_better
        return best - value if lower else value - best

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.waited >= self.patience
