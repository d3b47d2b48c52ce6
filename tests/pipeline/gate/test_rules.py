import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.gate.checks import check_rules, check_severities, read_gate
from pipeline.gate.rules import Gate, Rule
from wseg_tf import configuration
from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.configuration import ConfigurationError
from wseg_tf.ground import GroundMatrix

CONFIGS = Path(__file__).parents[3] / "configs"
EXAMPLE = """
minimum_images: 10
slices:
  condition: {day: [A, B], dusk: [C]}
rules:
  - {metric: iou/critical, allowed_loss: -0.02, confidence: 0.9}
  - {metric: iou/car, floor: 0.3, slice: {condition: dusk}}
  - {metric: iou/car, floor: 0.3, every: condition, absent: skip}
  - {metric: expected_severity, ceiling: 0.5, resample: drive}
"""


def gate(text: str) -> Gate:
    return configuration.load(Gate, text, "gate.yaml")


def test_a_gate_survives_its_yaml() -> None:
    found = gate(EXAMPLE)
    assert found == gate(configuration.dump(found))
    check_rules(found, CAMVID, "gate.yaml")
    assert [rule.title for rule in found.rules] == [
        "iou/critical: a loss of at most -0.02, with 0.9 confidence over "
        "images",
        "iou/car on condition dusk: at least 0.3",
        "iou/car on every condition: at least 0.3",
        "expected_severity: at most 0.5",
    ]


def test_rules_about_critical_classes_follow_the_class_set() -> None:
    rule = Rule("recall/critical", floor=0.5, every="city")
    found = Gate([rule]).expanded(CITYSCAPES)
    assert [each.metric for each in found] == [
        f"recall/{name}" for name in CITYSCAPES.critical
    ]
    assert {each.every for each in found} == {"city"}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, "exactly one finite bound"),
        ({"floor": 0.1, "ceiling": 0.2}, "exactly one finite bound"),
        ({"floor": float("nan")}, "exactly one finite bound"),
        ({"floor": 0.1, "confidence": 0.5}, "`confidence`. Expected above 0.5"),
        ({"floor": 0.1, "confidence": 1.0}, "`confidence`. Expected above 0.5"),
        ({"floor": 0.1, "absent": "pass"}, "`absent` refuse or skip"),
        ({"floor": 0.1, "slice": {"a": "b", "c": "d"}}, "one key"),
        ({"floor": 0.1, "slice": {"a": "b"}, "every": "a"}, "not both"),
    ],
)
def test_a_rule_demands_one_thing(rule: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Rule("mean_iou", **rule)


@pytest.mark.parametrize(
    ("metric", "rule", "said"),
    [
        ("iou/car", {"ceiling": 0.5}, "`floor`, since higher is better"),
        ("merged_recall/4", {"ceiling": 1.0}, "`floor`, since higher"),
        ("expected_severity", {"floor": 0.1}, "`ceiling`, since lower"),
        ("mean_iou", {"floor": 1.5}, "floor of 0 to 1.*floor=1.5"),
        ("iou/car", {"floor": -0.1}, "floor of 0 to 1"),
        ("expected_severity", {"ceiling": -1.0}, "ceiling of 0 or more"),
        ("iou/car", {"allowed_loss": 1.0}, "below 1 and at least -1"),
        ("iou/car", {"allowed_loss": -1.5}, "below 1 and at least -1"),
        ("iou/car", {"allowed_relative_loss": 1.0}, "loss below 1. "),
        ("iou/car", {"floor": 0.1, "minimum_images": -1}, "`minimum_images`"),
        ("iou/car", {"floor": 0.1, "minimum_images": 0}, "Expected at least 1"),
        ("iou/car", {"floor": 0.1, "minimum_pixels": -9}, "`minimum_pixels`"),
        ("iou_group/4", {"floor": 0.1, "absent": "skip"}, "for each class"),
        ("critical_iou", {"floor": 0.1, "absent": "skip"}, "for each class"),
    ],
)
def test_a_rule_that_cannot_fail_or_never_holds_is_refused(
    metric: str, rule: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=f"Invalid rule on `{metric}`.*{said}"):
        Rule(metric, **rule)
    text = configuration.dump(Gate([Rule("iou/car", floor=0.1)]))
    with pytest.raises(ConfigurationError, match="Invalid rule on"):
        configuration.load(
            Gate,
            text,
            "gate.yaml",
            [f"rules=[{json.dumps({'metric': metric, **rule})}]"],
        )


@pytest.mark.parametrize(
    ("metric", "rule"),
    [
        ("expected_severity", {"ceiling": 13.0}),
        ("expected_severity", {"allowed_loss": 2.0}),
        ("expected_severity", {"allowed_relative_loss": 1.0}),
        ("iou/car", {"allowed_relative_loss": -2.0}),
        ("iou/car", {"floor": 1.0, "absent": "skip", "every": "drive"}),
        ("iou/car", {"floor": 0.0, "minimum_images": 1}),
    ],
)
def test_a_rule_at_the_edge_is_a_rule(
    metric: str, rule: dict[str, Any]
) -> None:
    Rule(metric, **rule)


@pytest.mark.parametrize(
    ("replicates", "confidence", "needed"),
    [(100, 0.9, 0), (100, 0.95, 200), (1000, 0.99, 0), (1000, 0.999, 10000)],
)
def test_a_confidence_that_the_drawn_sets_do_not_carry_is_refused(
    replicates: int, confidence: float, needed: int
) -> None:
    rules = [Rule("iou/car", floor=0.1, confidence=confidence)]
    if not needed:
        Gate(rules, replicates=replicates)
        return
    said = f"`replicates`. Expected at least {needed}, since.*`iou/car`"
    with pytest.raises(ValueError, match=said):
        Gate(rules, replicates=replicates)
    Gate(rules, replicates=needed)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("baseline: maybe", "optional or required"),
        ("minimum_pixels: 0", "`minimum_pixels`.*at least 1"),
        ("replicates: 10", "at least 100"),
        ("slices: {drive: {a: [b]}}", "`slices.drive`"),
        ("slices: {hour: {a: [d], b: [d]}}", r"twice: \['d'\]"),
        ("rules: [{metric: mean_iou, floor: 0, evry: a}]", "mean `every`"),
    ],
)
def test_a_gate_that_contradicts_itself_is_refused(
    text: str, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        gate(text)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"metric": "iou/dog"}, "metric `iou/dog` in `gate.rules.0`"),
        ({"metric": "iou/crtical"}, "did you mean `iou/critical`"),
        ({"every": "cty"}, "every `cty`.*did you mean `city`"),
        ({"slice": {"hour": "1"}}, "slice `hour`"),
        ({"slice": {"condition": "dsk"}}, "slice `dsk`.*mean `dusk`"),
        ({"resample": "frame"}, "resample `frame`.*Expected one of"),
    ],
)
def test_what_the_evaluation_does_not_have_is_named(
    rule: dict[str, Any], said: str
) -> None:
    slices = {"condition": {"day": ["A"], "dusk": ["B"]}}
    wanted = Rule(**{"metric": "mean_iou", "floor": 0.1, **rule})
    with pytest.raises(ConfigurationError, match=said):
        check_rules(Gate([wanted], slices=slices), CAMVID, "gate.yaml")


@pytest.mark.parametrize(
    ("bound", "is_refused"),
    [
        ({"ceiling": 3.0}, True),  # Of max(D) itself: no model is worse.
        ({"ceiling": 2.9}, False),
        ({"ceiling": 0.0}, False),
        ({"allowed_loss": 3.0}, True),
        ({"allowed_loss": -3.1}, True),  # Nobody can gain as much.
        ({"allowed_loss": -3.0}, False),
        ({"allowed_relative_loss": 9.0}, False),
    ],
)
def test_a_bound_on_the_severity_is_held_to_d(
    bound: dict[str, float], is_refused: bool
) -> None:
    ground = GroundMatrix([[0.0, 1.0], [3.0, 0.0]])
    wanted = Gate([Rule("mean_iou", floor=0.1)])
    wanted.rules.append(Rule("expected_severity", **bound))
    if not is_refused:
        check_severities(wanted, ground, "gate.yaml")
        return
    said = r"severity` in `gate\.rules\.1` of gate\.yaml.*below 3, the largest"
    with pytest.raises(ConfigurationError, match=said):
        check_severities(wanted, ground, "gate.yaml")


def test_a_gate_is_read_alone_or_from_a_config(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(EXAMPLE)
    assert read_gate(str(path), CAMVID) == gate(EXAMPLE)
    demo = read_gate(str(CONFIGS / "demo.yaml"), CAMVID)
    assert any(rule.every == "drive" for rule in demo.rules)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: []", "passes nothing"),
        ("gate: {baseline: required}", "passes nothing"),
        ("rules: [{metric: iou/dog, floor: 0}]", "iou/dog"),
        ("rules: [", "Invalid YAML"),
    ],
)
def test_a_gate_that_cannot_be_used_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        read_gate(str(path), CAMVID)
    with pytest.raises(ConfigurationError, match="nowhere"):
        read_gate(str(tmp_path / "nowhere"), CAMVID)


def test_what_may_be_shared_is_named() -> None:
    with pytest.raises(ValueError, match=r"`allow_shared`.*'city'"):
        Gate([Rule("mean_iou", floor=0.1)], allow_shared=["city"])
