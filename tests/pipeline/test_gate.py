import math

import numpy as np
import pytest

from pipeline.gate import eval_config, findings
from pipeline.rules import Gate, Rule
from wseg_tf.classes import CAMVID
from wseg_tf.ground import GroundMatrix

GATE = Gate(
    [
        Rule("iou/pedestrian", floor=0.25),
        Rule("expected_severity", ceiling=0.5),
        Rule("iou/pedestrian", ceiling=0.99),
    ]
)


def test_the_evaluator_is_given_the_rules_own_figures() -> None:
    ground = GroundMatrix(np.ones([11, 11]) - np.eye(11), CAMVID.names)
    config = eval_config(GATE, CAMVID, ground)
    (specs,) = config.metrics_specs
    # Not on every slice, but on the whole set.
    assert not specs.thresholds
    pedestrian = specs.per_slice_thresholds["iou/pedestrian"].thresholds
    bounds = [each.threshold.value_threshold for each in pedestrian]
    assert bounds[0].lower_bound.value == 0.25
    assert not bounds[0].HasField("upper_bound")
    assert bounds[1].upper_bound.value == 0.99
    assert [
        len(s.feature_keys) for each in pedestrian for s in each.slicing_specs
    ] == [0, 0]
    severity = specs.per_slice_thresholds["expected_severity"].thresholds
    assert severity[0].threshold.value_threshold.upper_bound.value == 0.5


@pytest.mark.parametrize(
    ("value", "holds"),
    [(0.25, True), (0.2499, False), (math.nan, False), (math.inf, False)],
)
def test_a_floor_holds_from_its_own_value_on(value: float, holds: bool) -> None:
    gate = Gate([Rule("mean_iou", floor=0.25)])
    (finding,) = findings(gate, {"mean_iou": value})
    assert finding.holds is holds


def test_a_figure_that_is_missing_fails_and_is_said() -> None:
    (finding,) = findings(Gate([Rule("iou/car", floor=0.1)]), {})
    assert not finding.holds
    assert "not measured" in finding.sentence


def test_a_sentence_names_metric_figure_and_bound() -> None:
    rule = Rule("iou/pedestrian", floor=0.25)
    (finding,) = findings(Gate([rule]), {"iou/pedestrian": 0.2345678})
    assert finding.sentence == (
        "iou/pedestrian is 0.2346; the rule wants at least 0.25"
    )
