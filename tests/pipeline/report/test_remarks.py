"""Each remark comes with what it is about, and goes with it."""

from typing import Any

import numpy as np
import pytest

from pipeline.gate.image_counts import ImageCounts
from pipeline.gate.rules import Rule
from pipeline.report.missed import Missed
from pipeline.report.remarks import remarks
from tests.pipeline.report.sample import (
    GROUND,
    PEDESTRIAN,
    SKY,
    STARTED,
    images,
    missed,
    run,
)
from wseg_tf.classes import CAMVID

WATCHED = [
    Rule("iou/critical", floor=0.1, confidence=0.9, resample="drive"),
]


def said(**changes: Any) -> str:
    return "\n".join(each["text"] for each in remarks(run(**changes)))


def many(copies: int = 12, drives: int = 36) -> ImageCounts:
    """The sample's images, each several times, of many drives."""
    own = images().chosen([0] * (2 * copies) + [1] * copies)
    names = tuple(f"{i:02}" for i in range(len(own)))
    places = tuple(f"d{i % drives}" for i in range(len(own)))
    return ImageCounts(names, places, own.candidate)


def test_what_is_in_order_is_not_remarked_on() -> None:
    counts = many()
    counts.candidate[:, 5, 5] = 1  # a tree, so that no class is absent
    rules = [
        Rule(f"iou/{name}", floor=0.1, confidence=0.9, resample="drive")
        for name in CAMVID.critical
    ]
    clean = {"missed": None, "quarantine": (), "worst": (), "typical": ()}
    found = remarks(run(rules=rules, own=counts, **clean))
    # Each drive is one image: some show no pedestrian that is found.
    assert {each["about"] for each in found} <= {"slices"}


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (
            [Rule("critical_minimum_iou", floor=0.03)],
            "critical_minimum_iou: at least 0.03: a floor of 0.03 is no floor",
        ),
        (
            [Rule("recall/car", floor=0.09)],
            "a model with 91 % of it wrong would pass",
        ),
        (
            [Rule("iou/car", allowed_loss=0.1)],
            "each release may lose as much again",
        ),
        (
            [Rule("expected_severity", ceiling=119.0)],
            "a model that calls every pixel",
        ),
    ],
)
def test_a_bound_that_binds_nothing(rules: list[Rule], text: str) -> None:
    assert text in said(rules=rules)


@pytest.mark.parametrize(
    "rules",
    [
        [Rule("critical_minimum_iou", floor=0.1)],
        [Rule("iou/car", allowed_loss=0.01)],
        [Rule("expected_severity", ceiling=4.0)],
    ],
)
def test_a_bound_that_binds(rules: list[Rule]) -> None:
    text = said(rules=rules)
    assert "is no floor" not in text
    assert "as much again" not in text
    assert "calls every pixel" not in text


def test_the_ceiling_of_a_constant_is_worked_by_hand() -> None:
    # 17 pixels of sky, 15 of the others, 10 of pedestrian in image "b" moved.
    total = images().candidate.sum(axis=0)
    costs = total.sum(axis=1) @ GROUND / total.sum()
    least = float(costs.min())
    rule = Rule("expected_severity", ceiling=round(least + 0.01, 2))
    assert f"reaches {least:.3f}" in said(rules=[rule])
    rule = Rule("expected_severity", ceiling=round(least - 0.01, 2))
    assert "calls every pixel" not in said(rules=[rule])


def test_a_class_that_no_rule_watches() -> None:
    own = images()
    own.candidate[:, 1] = 0
    own.candidate[:, 1, 2] = 1000
    own.candidate[:, 1, 1] = 10
    rules = [Rule("mean_iou", floor=0.2), Rule("critical_iou", floor=0.2)]
    text = said(rules=rules, own=own)
    assert "the IoU of building is 0.010, and no rule watches it" in (
        text.replace("The IoU", "the IoU")
    )
    assert "No image judged shows tree" in text
    for name in CAMVID.critical:
        assert f"{name} is critical" in text  # a mean watches none
    rules += [Rule("iou/building", floor=0.0), Rule("precision/car", floor=0.9)]
    text = said(rules=rules, own=own)
    assert "building is 0.010" in text  # neither does such a floor,
    assert "car is critical" in text  # nor precision alone
    rules += [Rule("iou/building", floor=0.1), Rule("recall/car", floor=0.5)]
    text = said(rules=rules, own=own)
    assert "building is 0.010" not in text
    assert "car is critical" not in text
    assert "bicyclist is critical" in text
    worst = [Rule("critical_minimum_iou", floor=0.1)]
    assert "is critical" not in said(rules=worst)


def test_what_training_and_evaluation_share() -> None:
    shared = "1 drive is both trained and judged on (A)"
    assert f"{shared}: the model may know" in said(shared=shared)
    assert "both trained" not in said()
    one = images().chosen([0, 1])
    own = {"own": one, "worst": (), "typical": (), "missed": None}
    assert "all images judged are of one drive, A" in (
        said(**own).replace("All images", "all images")
    )
    told = {"dataset": "A", "splits": {}}
    assert "does not tell its drives" in said(**own, data=told)
    assert "one drive" not in said()


def test_rules_that_hold_with_nothing_measured() -> None:
    rules = [Rule("iou/car", allowed_loss=0.01)]
    assert "1 rule holds with nothing measured (iou/car" in said(rules=rules)
    assert "nothing measured" not in said(rules=rules, own=images(True))
    own = many(drives=3)
    own.candidate[own.candidate[:, PEDESTRIAN, SKY] > 0, PEDESTRIAN] = 0
    rule = Rule("iou/pedestrian", floor=0.1, every="drive", absent="skip")
    free = {"worst": (), "typical": (), "missed": None}
    assert "judged without" not in said(rules=[rule], own=own, **free)
    alone = ImageCounts(
        own.names, tuple(f"d{i}" for i in range(len(own))), own.candidate
    )
    assert "judged without drive d24" in said(rules=[rule], own=alone, **free)


def test_a_figure_that_is_met_by_luck() -> None:
    free = {"own": many(), "worst": (), "typical": (), "missed": None}
    near, far = (Rule("iou/pedestrian", floor=x) for x in (0.66, 0.2))
    assert "it holds by little" in said(rules=[near], **free)
    assert "it holds by little" not in said(rules=[far], **free)


def test_confidence_over_images_that_are_alike() -> None:
    free = {"worst": (), "typical": (), "missed": None}
    rule = Rule("iou/car", floor=0.1, confidence=0.9)
    text = said(rules=[rule], own=many(drives=4), **free)
    assert "1 rule draws images, not drives, although 36 images" in text
    assert "not drives" not in said(rules=[rule], own=many(), **free)
    by_drive = Rule("iou/car", floor=0.1, confidence=0.9, resample="drive")
    text = said(rules=[by_drive], own=many(drives=6), **free)
    assert "not drives" not in text
    assert "asks for confidence" not in text
    assert "No rule asks for confidence" in said()


def test_few_images_and_weak_slices() -> None:
    assert "3 images show car: too few" in said()
    free = {"worst": (), "typical": (), "missed": None}
    assert "too few" not in said(own=many(), **free)
    text = said()
    assert "drive B the IoU of car is 0.417" not in text  # 0.68 over all
    own = images()
    own.candidate[2, SKY, 8] = 70
    own.candidate[:2, 8, 8] = 50
    assert "drive B the IoU of car is 0.067, less than half" in said(own=own)


def test_objects_that_are_missed() -> None:
    assert "missed altogether" not in said()  # 1 of 4
    most = missed()
    most.missed[PEDESTRIAN, SKY] = 2
    assert "2 of 4 regions of pedestrian are missed altogether, mostly as sky" \
        in said(missed=most)  # fmt: skip
    none = Missed(0 * most.regions, 0 * most.missed, 3, 100)
    assert "missed altogether" not in said(missed=none)
    own = images()
    own.candidate[:, PEDESTRIAN, PEDESTRIAN] //= 5
    own.candidate[2, SKY, 8] = 70
    text = said(own=own)
    assert "71 % of the pixels of pedestrian are lost" in text
    assert "82 % of the pixels called car are something else" in text


def test_data_and_how_weights_were_chosen() -> None:
    assert "chosen by their critical_iou" in said(selected="critical_iou")
    assert "chosen" not in said()
    assert "1 of 4 pairs were left out" in said()
    assert "left out" not in said(quarantine=())
    split = {"images": 1000, "void": 0.2}
    text = said(data={"dataset": "x", "splits": {"eval": split}})
    assert "20 % of the pixels judged carry no label" in text
    assert "left out" not in text  # 1 of 1001


def test_a_matrix_by_which_a_pedestrian_costs_nothing() -> None:
    free = np.ones([11, 11]) - np.eye(11)
    free[PEDESTRIAN, [SKY, 3]] = 0
    assert "costs nothing to take pedestrian for sky and road" in (
        said(ground=free)
    )
    assert "costs nothing to take car" not in said(ground=free)


def test_code_that_nobody_can_check_out() -> None:
    about = [each["about"] for each in remarks(run())]
    assert "code" not in about
    changed = STARTED | {"clean": False, "changed": 1}
    assert "0123456789ab: 1 file of the tree differed" in said(started=changed)
    assert "no known commit" in said(started=STARTED | {"commit": None})
