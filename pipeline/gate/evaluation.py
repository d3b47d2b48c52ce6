"""IoU, severity and the gate's figures for TensorFlow Model Analysis.

The model's `confusion` signature counts each image in the graph; only its
name, its drive and N x N integers go through Beam. Every score derives from
their sum, and every rule's figure from `pipeline.gate.judge`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma

from pipeline.gate.image_counts import Counts, Image, ImageCounts
from pipeline.gate.judge import judge, judged_rules
from pipeline.gate.rules import Gate
from pipeline.gate.scores import score_names, scores
from wseg_tf import configuration
from wseg_tf.classes import class_set

CONFUSION = "confusion"
IMAGE_COUNTS = "image_counts"
BASELINE = "baseline"
CANDIDATE = "candidate"


def rule_key(position: int, metric: str) -> str:
    """Returns the name of a rule's figure among TFMA's metrics."""
    return f"rule/{position}/{metric}"


class SegmentationScores(tfma.metrics.Metric):
    """Every score, each rule's figure, and the counts.

    Args:
        classes: Name of the class set.
        ground: The ground matrix, rows truth, for the expected severity.
        gate: The gate, as YAML.
        name: Not used; TFMA wants one.
    """

    def __init__(
        self,
        classes: str,
        ground: Sequence[Sequence[float]],
        gate: str,
        name: str = "segmentation_scores",
    ) -> None:
        super().__init__(
            _computations, name=name, classes=classes, ground=ground, gate=gate
        )


def _computations(
    classes: str,
    ground: Sequence[Sequence[float]],
    gate: str,
    model_names: Sequence[str] | None = None,
    **_: Any,
) -> list[tfma.metrics.MetricComputation]:
    """One computation for all models: rules compare them image by image."""
    models = tuple(model_names or [""])
    combiner = JudgeImages(classes, ground, gate, models)
    return [
        tfma.metrics.MetricComputation(
            keys=combiner.keys(),
            preprocessors=[CountsOfImage(models)],
            combiner=combiner,
        )
    ]


def _key(name: str, model: str) -> tfma.metrics.MetricKey:
    # TFMA looks thresholds up with example_weighted=None.
    return tfma.metrics.MetricKey(
        name=name, model_name=model, example_weighted=None
    )


class CountsOfImage(tfma.metrics.Preprocessor):
    """Keeps of an evaluated example what is judged: a few hundred integers.

    Args:
        models: The models' names in TFMA.
    """

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__(name="counts_of_image")
        self._models = models

    def process(self, extracts: Mapping[str, Any]) -> Iterator[Image]:
        """Yields the name, the drive and the counts of one image."""
        features, predictions = extracts["features"], extracts["predictions"]
        counts = {}
        for model in self._models:
            found = predictions
            # TFMA leaves out the name of a model, or output, that is alone.
            for key in (model, CONFUSION):
                if isinstance(found, dict) and key in found:
                    found = found[key]
            square = np.asarray(found).astype(np.int64)
            counts[model] = square.reshape(square.shape[-2:])
        yield _text(features["name"]), _text(features["drive"]), counts


def _text(feature: Any) -> str:
    (value,) = np.asarray(feature).ravel()
    return str(value.decode())


class JudgeImages(beam.CombineFn):
    """Collects the counts of images and judges them; the same in any order.

    Args:
        classes: Name of the class set.
        ground: The ground matrix, rows truth.
        gate: The gate, as YAML.
        models: The models' names in TFMA.
    """

    def __init__(
        self,
        classes: str,
        ground: Sequence[Sequence[float]],
        gate: str,
        models: tuple[str, ...],
    ) -> None:
        self._classes = class_set(classes)
        self._ground = np.asarray(ground, np.float64)
        self._gate = configuration.load(Gate, gate, "the gate")
        self._models = models
        (self._candidate,) = [name for name in models if name != BASELINE]

    def keys(self) -> list[tfma.metrics.MetricKey]:
        """Returns the keys of every metric it gives."""
        rules = judged_rules(self._gate, self._classes)
        return [
            _key(name, model)
            for model in self._models
            for name in [*score_names(self._classes), CONFUSION]
        ] + [
            _key(name, self._candidate)
            for name in [
                *(rule_key(i, rule.metric) for i, rule in enumerate(rules)),
                IMAGE_COUNTS,
            ]
        ]

    def create_accumulator(self) -> list[Image]:
        """Returns no images."""
        return []

    def add_input(self, accumulator: list[Image], image: Image) -> list[Image]:
        """Adds one image."""
        accumulator.append(image)
        return accumulator

    def merge_accumulators(
        self, accumulators: Iterable[list[Image]]
    ) -> list[Image]:
        """Brings the images of several workers together."""
        return [image for part in accumulators for image in part]

    def extract_output(
        self, accumulator: list[Image]
    ) -> dict[tfma.metrics.MetricKey, Any]:
        """Returns scores, figures and counts; NaN where there is nothing."""
        images = ImageCounts.gathered(
            accumulator,
            len(self._classes),
            self._candidate,
            BASELINE if BASELINE in self._models else None,
        )
        found: dict[tfma.metrics.MetricKey, Any] = {}
        for model in self._models:
            own = images.baseline if model == BASELINE else images.candidate
            assert own is not None
            total = own.sum(axis=0)
            for name, value in self._scores(total).items():
                found[_key(name, model)] = value
            found[_key(CONFUSION, model)] = total
        findings = judge(self._gate, images, self._classes, self._ground)
        for position, each in enumerate(findings):
            name = rule_key(position, each.rule.metric)
            found[_key(name, self._candidate)] = each.figure
        found[_key(IMAGE_COUNTS, self._candidate)] = images.to_bytes()
        return found

    def _scores(self, total: Counts) -> dict[str, float]:
        return scores(total, self._classes, self._ground)
