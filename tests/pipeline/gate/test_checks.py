"""Rules that cannot fail, never hold, or cannot be judged are refused."""

from typing import Any

import pytest

from pipeline.gate.checks import check_rules
from pipeline.gate.rules import Gate, Rule
from wseg_tf.classes import CAMVID
from wseg_tf.configuration import ConfigurationError


def check(*rules: dict[str, Any], **gate: Any) -> None:
    check_rules(
        Gate([Rule(**each) for each in rules], **gate), CAMVID, "g.yaml"
    )


@pytest.mark.parametrize(
    ("metric", "bound", "said"),
    [
        ("mean_iou", {"ceiling": 0.9}, "a floor, since more is better"),
        ("iou/critical", {"ceiling": 0.9}, "a floor, since more is better"),
        ("expected_severity", {"floor": 0.1}, "a ceiling, since less is"),
        ("expected_severity", {"ceiling": -0.1}, "a ceiling of at least 0"),
        ("iou/car", {"floor": 45}, r"a floor in 0\.\.1"),
        ("iou/car", {"floor": -0.1}, r"a floor in 0\.\.1"),
        ("iou/car", {"allowed_loss": 1.0}, "below 1"),
        ("iou/car", {"allowed_loss": -1.5}, "at least -1"),
        ("iou/car", {"allowed_relative_loss": 1.0}, "below 1"),
    ],
)
def test_a_bound_on_the_wrong_side_or_out_of_range(
    metric: str, bound: dict[str, float], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        check({"metric": metric, **bound})
    assert str(caught.value).startswith("g.yaml: `gate.rules.0`: ")
    assert "\n" not in str(caught.value)


def test_severity_may_be_lost_by_more_than_1() -> None:
    check({"metric": "expected_severity", "allowed_loss": 1.5})
    check({"metric": "expected_severity", "ceiling": 4.0})
    check({"metric": "mean_iou", "floor": 1.0})
    check({"metric": "mean_iou", "allowed_loss": -0.1})


@pytest.mark.parametrize(
    ("confidence", "replicates", "holds"),
    [
        (0.95, 200, True),
        (0.95, 199, False),
        (0.99, 1000, True),
        (0.999, 1000, False),
        (0.999, 10000, True),
    ],
)
def test_a_confidence_that_the_replicates_cannot_carry(
    confidence: float, replicates: int, holds: bool
) -> None:
    rule = {"metric": "mean_iou", "floor": 0.1, "confidence": confidence}
    if holds:
        check(rule, replicates=replicates)
        return
    with pytest.raises(ConfigurationError, match="replicates can carry"):
        check(rule, replicates=replicates)


@pytest.mark.parametrize("name", ["minimum_images", "minimum_pixels"])
@pytest.mark.parametrize("value", [0, -3])
def test_a_minimum_below_one_is_none(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"`{name}` of at least 1"):
        Rule("mean_iou", floor=0.1, **{name: value})


def test_a_group_whose_mean_hides_a_lost_class() -> None:
    group = {"metric": "iou_group/4", "floor": 0.3}
    with pytest.raises(ConfigurationError, match="without `car`"):
        check(group)
    # Two of three classes are not all.
    each = [{"metric": f"iou/{n}", "floor": 0.1} for n in ("car", "pedestrian")]
    with pytest.raises(ConfigurationError, match="without `bicyclist`"):
        check(group, *each)
    # A floor of 0 guards nothing.
    zero = {"metric": "iou/bicyclist", "floor": 0.0}
    with pytest.raises(ConfigurationError, match="without `bicyclist`"):
        check(group, *each, zero)
    check(group, *each, {"metric": "recall/bicyclist", "floor": 0.2})
    check(group, {"metric": "critical_minimum_iou", "floor": 0.1})
    check(group, {"metric": "iou/critical", "floor": 0.1})
    # Above two thirds, three classes are needed.
    check({"metric": "iou_group/4", "floor": 0.7})
    check({"metric": "iou_group/1", "floor": 0.3})
    check({"metric": "iou_group/4", "allowed_loss": 0.1})


def test_what_may_be_shared_is_named() -> None:
    with pytest.raises(ValueError, match=r"`allow_shared`.*'city'"):
        Gate([Rule("mean_iou", floor=0.1)], allow_shared=["city"])
