"""Reads what TFX's Evaluator wrote: figures and exact counts."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow_model_analysis as tfma

from pipeline.gate.evaluation import BASELINE, IMAGE_COUNTS
from pipeline.gate.image_counts import ImageCounts


@dataclass(frozen=True)
class Evaluation:
    """What was measured over the whole evaluation set.

    Args:
        values: Every score by name, and each rule's figure as `rule/...`;
            NaN where there is nothing to measure.
        baseline: Every score of the baseline; empty without one.
        images: The exact counts of each image.
    """

    values: dict[str, float]
    baseline: dict[str, float]
    images: ImageCounts


def read_evaluation(folder: str) -> Evaluation:
    """Reads the metrics of an Evaluator's output.

    Args:
        folder: The ModelEvaluation artifact.

    Returns:
        The figures and counts of the overall slice.

    Raises:
        ValueError: If there are no overall metrics.
    """
    values: dict[str, float] = {}
    baseline: dict[str, float] = {}
    images: ImageCounts | None = None
    for slice_metrics in tfma.load_metrics(folder):
        if slice_metrics.slice_key.single_slice_keys:
            continue
        for each in slice_metrics.metric_keys_and_values:
            if each.key.is_diff:
                continue
            if each.key.name == IMAGE_COUNTS:
                images = ImageCounts.from_bytes(each.value.bytes_value)
            elif each.value.HasField("double_value"):
                own = baseline if each.key.model_name == BASELINE else values
                own[each.key.name] = each.value.double_value.value
    if images is None:
        raise ValueError(
            f"Invalid evaluation. Expected overall metrics in {folder}. "
            "Received: none."
        )
    return Evaluation(values, baseline, images)
