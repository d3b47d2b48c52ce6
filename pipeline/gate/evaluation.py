"""The one module that speaks TFMA: what TFX's Evaluator measures and decides.

The model's `confusion` signature counts each image in the graph; only its
name, its drive and N x N integers go through Beam. Every score derives from
their sum, and every rule's figure from `pipeline.gate.judge`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2
from tensorflow_model_analysis.proto import config_pb2

from pipeline.gate.image_counts import Image, ImageCounts
from pipeline.gate.judge import judge, judged_rules
from pipeline.gate.rules import Gate
from wseg_tf import configuration
from wseg_tf.classes import ClassSet, class_set
from wseg_tf.code import code_digest
from wseg_tf.filesystems import keep
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics import score_names, scores
from wseg_tf.serving import CONFUSION

IMAGE_COUNTS = "image_counts"
FAILED = "failed_rules"
BASELINE = "baseline"
CANDIDATE = "candidate"


def eval_config(
    gate: Gate,
    classes: ClassSet,
    ground: GroundMatrix,
    folder: str,
) -> config_pb2.EvalConfig:
    """Returns the configuration with which TFX's Evaluator applies the gate.

    What decides is in a file whose name changes with its content, since a
    cluster refuses long parameters. Each rule's figure is a metric of its own,
    `rule/POSITION/METRIC`; the model is blessed if `failed_rules`, the judge's
    own count, is 0. TFMA's change thresholds and slices are not used: they fail
    against a baseline of 0 and pass without one.

    Args:
        gate: The rules.
        classes: The class set.
        ground: The ground matrix of the expected severity.
        folder: Where the file is kept.

    Returns:
        An `EvalConfig` for a model and, where there is one, its baseline.
    """
    settings = {
        "classes": classes.as_dict(),
        "ground": ground.values.tolist(),
        # Who signs what passes changes no verdict.
        "gate": configuration.dump(replace(gate, signing_key=None)),
        "code": code_digest(__name__, "pipeline.gate.evaluator"),
    }
    path = keep(folder, "gate.json", json.dumps(settings))
    metric = config_pb2.MetricConfig(
        class_name="SegmentationScores",
        module=__name__,
        config=json.dumps({"settings": path}),
    )
    specs = config_pb2.MetricsSpec(metrics=[metric])
    none = config_pb2.GenericValueThreshold()
    none.upper_bound.value = 0.0
    # An empty SlicingSpec is the whole set; plain `thresholds` would demand it
    # on every slice.
    specs.per_slice_thresholds[FAILED].thresholds.append(
        config_pb2.PerSliceMetricThreshold(
            slicing_specs=[config_pb2.SlicingSpec()],
            threshold=config_pb2.MetricThreshold(value_threshold=none),
        )
    )
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                name=name,
                is_baseline=name == BASELINE,
                signature_name=CONFUSION,
                model_type="tf_generic",
            )
            for name in (CANDIDATE, BASELINE)
        ],
        slicing_specs=[config_pb2.SlicingSpec()],
        metrics_specs=[specs],
        options=config_pb2.Options(
            include_default_metrics=wrappers_pb2.BoolValue(value=False)
        ),
    )


class SegmentationScores(tfma.metrics.Metric):
    """Every score, each rule's figure, and the counts.

    Args:
        settings: The file that `eval_config` kept.
        name: Not used; TFMA wants one.
    """

    def __init__(
        self, settings: str, name: str = "segmentation_scores"
    ) -> None:
        super().__init__(_computations, name=name, settings=settings)


def _computations(
    settings: str,
    model_names: Sequence[str] | None = None,
    **_: Any,
) -> list[tfma.metrics.MetricComputation]:
    """One computation for all models: rules compare them image by image."""
    models = tuple(model_names or [""])
    combiner = JudgeImages(settings, models)
    return [
        tfma.metrics.MetricComputation(
            keys=combiner.keys(),
            preprocessors=[CountsOfImage(models)],
            combiner=combiner,
        )
    ]


def _rule_key(position: int, metric: str) -> str:
    return f"rule/{position}/{metric}"


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
        settings: The file that `eval_config` kept.
        models: The models' names in TFMA.
    """

    def __init__(self, settings: str, models: tuple[str, ...]) -> None:
        found = json.loads(configuration.kept_text(settings))
        self._classes = class_set(found["classes"])
        self._ground = np.asarray(found["ground"], np.float64)
        self._gate = configuration.load(Gate, found["gate"], settings)
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
                *(_rule_key(i, rule.metric) for i, rule in enumerate(rules)),
                FAILED,
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
            for name, value in scores(
                total, self._classes, self._ground
            ).items():
                found[_key(name, model)] = value
            found[_key(CONFUSION, model)] = total
        findings = judge(self._gate, images, self._classes, self._ground)
        for position, each in enumerate(findings):
            name = _rule_key(position, each.rule.metric)
            found[_key(name, self._candidate)] = each.figure
        failed = sum(not each.holds for each in findings)
        found[_key(FAILED, self._candidate)] = float(failed)
        found[_key(IMAGE_COUNTS, self._candidate)] = images.to_bytes()
        return found


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
