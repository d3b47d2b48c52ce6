"""The gate: rules become TFMA thresholds, and its verdict is explained."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2

from pipeline.rules import Gate, Rule
from wseg_tf.classes import ClassSet
from wseg_tf.ground import GroundMatrix
from wseg_tf.serving import CONFUSION


def eval_config(
    gate: Gate, classes: ClassSet, ground: GroundMatrix
) -> tfma.EvalConfig:
    """Returns the configuration with which TFX's Evaluator applies the gate.

    Args:
        gate: The rules; each holds on the whole evaluation set.
        classes: The class set.
        ground: The ground matrix of the expected severity.

    Returns:
        An `EvalConfig` whose thresholds are the rules' own figures.
    """
    scores = tfma.MetricConfig(
        class_name="SegmentationScores",
        module="pipeline.components.iou_metrics",
        config=json.dumps(
            {"classes": classes.name, "ground": ground.values.tolist()}
        ),
    )
    specs = tfma.MetricsSpec(metrics=[scores])
    for rule in gate.rules:
        # An empty SlicingSpec is the whole set; plain `thresholds` would
        # demand the rule on every slice.
        specs.per_slice_thresholds[rule.metric].thresholds.append(
            tfma.PerSliceMetricThreshold(
                slicing_specs=[tfma.SlicingSpec()],
                threshold=tfma.MetricThreshold(
                    value_threshold=_value_threshold(rule)
                ),
            )
        )
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(signature_name=CONFUSION, model_type="tf_generic")
        ],
        slicing_specs=[tfma.SlicingSpec()],
        metrics_specs=[specs],
        options=tfma.Options(
            include_default_metrics=wrappers_pb2.BoolValue(value=False)
        ),
    )


def _value_threshold(rule: Rule) -> tfma.GenericValueThreshold:
    threshold = tfma.GenericValueThreshold()
    if rule.floor is not None:
        threshold.lower_bound.value = rule.floor
    if rule.ceiling is not None:
        threshold.upper_bound.value = rule.ceiling
    return threshold


@dataclass(frozen=True)
class Finding:
    """A rule with the figure it was held against.

    Args:
        rule: The rule.
        value: The figure; NaN if the evaluation has none, e.g. because the
            class is absent from the evaluation set.
    """

    rule: Rule
    value: float

    @property
    def holds(self) -> bool:
        """Whether the figure satisfies the rule; NaN never does."""
        floor, ceiling = self.rule.floor, self.rule.ceiling
        return (
            math.isfinite(self.value)
            and (floor is None or self.value >= floor)
            and (ceiling is None or self.value <= ceiling)
        )

    @property
    def sentence(self) -> str:
        """The finding in words."""
        bounds = [
            f"{word} {bound:.4g}"
            for word, bound in (
                ("at least", self.rule.floor),
                ("at most", self.rule.ceiling),
            )
            if bound is not None
        ]
        value = (
            f"{self.value:.4f}"
            if math.isfinite(self.value)
            else "not measured (nothing in the evaluation set to judge it by)"
        )
        wanted = " and ".join(bounds)
        return f"{self.rule.metric} is {value}; the rule wants {wanted}"


def findings(gate: Gate, values: Mapping[str, float]) -> list[Finding]:
    """Holds each rule against the evaluation's figures.

    Args:
        gate: The rules.
        values: Figures by metric name.

    Returns:
        One finding per rule, in order.
    """
    return [
        Finding(rule, values.get(rule.metric, math.nan)) for rule in gate.rules
    ]
