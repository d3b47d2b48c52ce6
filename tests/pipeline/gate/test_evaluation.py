import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.gate import evaluation
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


def test_the_evaluator_blesses_what_fails_no_rule(tmp_path: Path) -> None:
    ground = GroundMatrix(np.ones([11, 11]) - np.eye(11), CAMVID.names)
    config = eval_config(GATE, CAMVID, ground, str(tmp_path))
    (specs,) = config.metrics_specs
    # Not on TFMA's slices, but on the whole set.
    assert not specs.thresholds
    ((name, found),) = specs.per_slice_thresholds.items()
    assert name == "failed_rules"
    (each,) = found.thresholds
    (whole,) = each.slicing_specs
    assert not whole.feature_keys
    # Never TFMA's own change threshold: it passes without a baseline.
    assert not each.threshold.HasField("change_threshold")
    value = each.threshold.value_threshold
    assert not value.HasField("lower_bound")
    assert value.upper_bound.value == 0


def test_what_decides_is_in_the_key_and_the_key_is_short(
    tmp_path: Path,
) -> None:
    ground = GroundMatrix(np.ones([11, 11]) - np.eye(11), CAMVID.names)
    own = str(eval_config(GATE, CAMVID, ground, str(tmp_path)))
    assert str(eval_config(GATE, CAMVID, ground, str(tmp_path))) == own
    assert len(own) < 2000
    rules = [*GATE.rules, Rule("mean_iou", floor=0.2)]
    named = dataclasses.replace(CAMVID, critical_classes=("sky",))
    for changed in (
        (Gate(rules), CAMVID, ground),
        (Gate(GATE.rules, seed=1), CAMVID, ground),
        (GATE, named, ground),
        (GATE, CAMVID, ground.power(2).step()),
        (GATE, CAMVID, GroundMatrix(2 * ground.values, CAMVID.names)),
    ):
        is_same = str(eval_config(*changed, str(tmp_path))) == own
        assert is_same == (
            changed[2] == ground and changed[:2] == (GATE, CAMVID)
        )


def test_the_judge_s_code_is_in_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = GroundMatrix(np.ones([11, 11]) - np.eye(11), CAMVID.names)
    own = str(eval_config(GATE, CAMVID, ground, str(tmp_path)))
    monkeypatch.setattr(evaluation, "code_digest", lambda *_: "another judge")
    assert str(eval_config(GATE, CAMVID, ground, str(tmp_path))) != own
