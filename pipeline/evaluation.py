"""Reads what TFX's Evaluator wrote: figures, counts and its verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow_model_analysis as tfma

from pipeline.scores import CONFUSION_METRIC, IMAGES_METRIC


@dataclass(frozen=True)
class Evaluation:
    """The figures of a model over the whole evaluation set.

    Args:
        values: Every score by name; NaN where there is nothing to measure.
        confusion: Exact counts `[N, N]`, int64; rows truth.
        images: How many images were evaluated.
    """

    values: dict[str, float]
    confusion: npt.NDArray[np.int64]
    images: int


def read_evaluation(folder: str) -> Evaluation:
    """Reads the metrics of an Evaluator's output.

    Args:
        folder: The ModelEvaluation artifact.

    Returns:
        The figures of the overall slice.

    Raises:
        ValueError: If there are no overall metrics.
    """
    values: dict[str, float] = {}
    confusion: npt.NDArray[np.int64] | None = None
    for slice_metrics in tfma.load_metrics(folder):
        if slice_metrics.slice_key.single_slice_keys:
            continue
        for each in slice_metrics.metric_keys_and_values:
            if each.key.name == CONFUSION_METRIC:
                array = each.value.array_value
                confusion = np.array(array.int64_values, np.int64).reshape(
                    list(array.shape)
                )
            elif each.value.HasField("double_value"):
                values[each.key.name] = each.value.double_value.value
    if confusion is None:
        raise ValueError(
            f"Invalid evaluation. Expected overall metrics in {folder}. "
            "Received: none."
        )
    return Evaluation(values, confusion, int(values.pop(IMAGES_METRIC)))
