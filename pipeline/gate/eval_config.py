"""The gate for TFX's Evaluator: each rule becomes one of TFMA's thresholds."""

from __future__ import annotations

import json

import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2

from pipeline.gate.evaluation import BASELINE, CANDIDATE, rule_key
from pipeline.gate.judge import judged_rules
from pipeline.gate.rules import Gate, Rule
from wseg_tf import configuration
from wseg_tf.classes import ClassSet
from wseg_tf.ground import GroundMatrix
from wseg_tf.serving import CONFUSION


def eval_config(
    gate: Gate, classes: ClassSet, ground: GroundMatrix
) -> tfma.EvalConfig:
    """Returns the configuration with which TFX's Evaluator applies the gate.

    Each rule is a metric of its own, `rule/POSITION/METRIC`, whose value is
    the figure that the judge found and whose threshold is the rule's own
    bound. TFMA's change thresholds and slices are not used: they fail against a
    baseline of 0 and pass without one.

    Args:
        gate: The rules.
        classes: The class set.
        ground: The ground matrix of the expected severity.

    Returns:
        An `EvalConfig` for a model and, where there is one, its baseline.
    """
    metric = tfma.MetricConfig(
        class_name="SegmentationScores",
        module="pipeline.gate.evaluation",
        config=json.dumps(
            {
                "classes": classes.name,
                "ground": ground.values.tolist(),
                "gate": configuration.dump(gate),
            }
        ),
    )
    specs = tfma.MetricsSpec(metrics=[metric])
    for position, rule in enumerate(judged_rules(gate, classes)):
        key = rule_key(position, rule.metric)
        # An empty SlicingSpec is the whole set; plain `thresholds` would
        # demand the rule on every slice.
        specs.per_slice_thresholds[key].thresholds.append(
            tfma.PerSliceMetricThreshold(
                slicing_specs=[tfma.SlicingSpec()],
                threshold=tfma.MetricThreshold(
                    value_threshold=_value_threshold(rule)
                ),
            )
        )
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                name=name,
                is_baseline=name == BASELINE,
                signature_name=CONFUSION,
                model_type="tf_generic",
            )
            for name in (CANDIDATE, BASELINE)
        ],
        slicing_specs=[tfma.SlicingSpec()],
        metrics_specs=[specs],
        options=tfma.Options(
            include_default_metrics=wrappers_pb2.BoolValue(value=False)
        ),
    )


def _value_threshold(rule: Rule) -> tfma.GenericValueThreshold:
    kind, bound = rule.bound
    threshold = tfma.GenericValueThreshold()
    if kind == "floor":
        threshold.lower_bound.value = bound
    else:
        threshold.upper_bound.value = bound
    return threshold
