"""IoU and severity for TensorFlow Model Analysis, from exact counts.

The model's `confusion` signature counts each image in the graph; only N x N
integers go through Beam, and every metric derives from their sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma

from pipeline.scores import CONFUSION_METRIC, IMAGES_METRIC, scores
from wseg_tf.classes import class_set


class SegmentationScores(tfma.metrics.Metric):
    """Every score of `pipeline.scores`, and the confusion count itself.

    Args:
        classes: Name of the class set.
        ground: The ground matrix, rows truth, for the expected severity.
        name: Not used; TFMA wants one.
    """

    def __init__(
        self,
        classes: str,
        ground: Sequence[Sequence[float]],
        name: str = "segmentation_scores",
    ) -> None:
        super().__init__(
            _computations, name=name, classes=classes, ground=ground
        )


def _computations(
    classes: str,
    ground: Sequence[Sequence[float]],
    model_names: Sequence[str] | None = None,
    **_: Any,
) -> list[tfma.metrics.MetricComputation]:
    """One computation per model: the sum of its images' counts."""
    return [
        tfma.metrics.MetricComputation(
            keys=_keys(classes, ground, model),
            preprocessors=None,
            combiner=ConfusionSum(classes, ground, model),
        )
        for model in (model_names or [""])
    ]


def _key(name: str, model: str) -> tfma.metrics.MetricKey:
    # TFMA looks thresholds up with example_weighted=None.
    return tfma.metrics.MetricKey(
        name=name, model_name=model, example_weighted=None
    )


def _keys(
    classes: str, ground: Sequence[Sequence[float]], model: str
) -> list[tfma.metrics.MetricKey]:
    count = len(class_set(classes))
    empty = np.zeros([count, count], np.int64)
    names = [*scores(empty, class_set(classes), np.asarray(ground))]
    return [
        _key(name, model) for name in [*names, CONFUSION_METRIC, IMAGES_METRIC]
    ]


class ConfusionSum(beam.CombineFn):
    """Sums the counts of images; exact, and the same in any order.

    Args:
        classes: Name of the class set.
        ground: The ground matrix, rows truth.
        model: The model's name in TFMA.
    """

    def __init__(
        self, classes: str, ground: Sequence[Sequence[float]], model: str
    ) -> None:
        self._classes = classes
        self._ground = ground
        self._model = model

    def create_accumulator(self) -> tuple[Any, int]:
        """Returns a count of nothing over no images."""
        count = len(class_set(self._classes))
        return np.zeros([count, count], np.int64), 0

    def add_input(
        self, accumulator: tuple[Any, int], element: Any
    ) -> tuple[Any, int]:
        """Adds the counts of one image."""
        counts, images = accumulator
        prediction = element.get_predictions(self._model)
        if isinstance(prediction, dict):
            prediction = prediction["confusion"]
        image = np.asarray(prediction).astype(np.int64).reshape(counts.shape)
        return counts + image, images + 1

    def merge_accumulators(
        self, accumulators: Iterable[tuple[Any, int]]
    ) -> tuple[Any, int]:
        """Adds up partial sums."""
        total, images = self.create_accumulator()
        for counts, more in accumulators:
            total, images = total + counts, images + more
        return total, images

    def extract_output(
        self, accumulator: tuple[Any, int]
    ) -> dict[tfma.metrics.MetricKey, Any]:
        """Returns every score; an absent class gives NaN."""
        counts, images = accumulator
        values: dict[str, Any] = dict(
            scores(counts, class_set(self._classes), np.asarray(self._ground))
        )
        values[CONFUSION_METRIC] = counts
        values[IMAGES_METRIC] = images
        return {
            _key(name, self._model): value for name, value in values.items()
        }
