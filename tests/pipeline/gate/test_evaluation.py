import numpy as np

from pipeline.gate.evaluation import eval_config
from pipeline.gate.rules import Gate, Rule
from wseg_tf.classes import CAMVID
from wseg_tf.ground import GroundMatrix

GATE = Gate(
    [
        Rule("iou/pedestrian", floor=0.25, every="drive"),
        Rule("expected_severity", ceiling=0.5),
        Rule("iou/critical", allowed_loss=-0.01),
    ]
)


def test_the_evaluator_is_given_the_rules_own_figures() -> None:
    ground = GroundMatrix(np.ones([11, 11]) - np.eye(11), CAMVID.names)
    config = eval_config(GATE, CAMVID, ground)
    (specs,) = config.metrics_specs
    # Not on TFMA's slices, but on the whole set.
    assert not specs.thresholds
    bounds = {}
    for name, found in specs.per_slice_thresholds.items():
        (each,) = found.thresholds
        (whole,) = each.slicing_specs
        assert not whole.feature_keys
        # Never TFMA's own change threshold: it passes without a baseline.
        assert not each.threshold.HasField("change_threshold")
        value = each.threshold.value_threshold
        bounds[name] = (
            value.lower_bound.value if value.HasField("lower_bound") else None,
            value.upper_bound.value if value.HasField("upper_bound") else None,
        )
    assert bounds == {
        "rule/0/images/car": (1, None),
        "rule/1/images/pedestrian": (1, None),
        "rule/2/images/bicyclist": (1, None),
        "rule/3/iou/pedestrian": (0.25, None),
        "rule/4/expected_severity": (None, 0.5),
        "rule/5/iou/car": (None, -0.01),
        "rule/6/iou/pedestrian": (None, -0.01),
        "rule/7/iou/bicyclist": (None, -0.01),
    }
