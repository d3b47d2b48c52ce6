"""Verdicts on counts whose figures are known by hand."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from pipeline.gate.image_counts import ImageCounts
from pipeline.gate.judge import Finding, judge, verdict
from pipeline.gate.rules import Gate, Rule
from wseg_tf.classes import CAMVID

GROUND = 1.0 - np.eye(11)
POLE, PEDESTRIAN = CAMVID.index("pole"), CAMVID.index("pedestrian")
RANDOM = np.random.default_rng(0)


def counts(hits: list[int], pixels: int = 100) -> np.ndarray:
    """Images of `pixels` of each class; of pedestrians only `hits` are right.

    The others are taken for poles, so a pedestrian's IoU is hits / pixels.
    """
    image = np.stack([pixels * np.eye(11, dtype=np.int64)] * len(hits))
    image[:, PEDESTRIAN, PEDESTRIAN] = hits
    image[:, PEDESTRIAN, POLE] = pixels - np.array(hits)
    return image


def images(
    hits: list[int],
    baseline: list[int] | None = None,
    drives: str = "",
) -> ImageCounts:
    names = tuple(f"{i:03d}" for i in range(len(hits)))
    return ImageCounts(
        names,
        tuple(drives or "A" * len(hits)),
        counts(hits),
        None if baseline is None else counts(baseline),
    )


def find(
    evaluated: ImageCounts, gate: dict[str, Any] | None = None, **rule: Any
) -> Finding:
    own = Gate([Rule(**{"metric": "iou/pedestrian", **rule})], **(gate or {}))
    return judge(own, evaluated, CAMVID, GROUND)[-1]


@pytest.mark.parametrize(
    ("rule", "figure", "holds"),
    [
        ({"floor": 0.5}, 0.5, True),
        ({"floor": 0.5001}, 0.5, False),
        # 110 wrong pixels of 2,200.
        ({"metric": "expected_severity", "ceiling": 0.05}, 0.05, True),
        ({"metric": "expected_severity", "ceiling": 0.0499}, 0.05, False),
    ],
)
def test_a_rule_holds_from_its_own_bound_on(
    rule: dict[str, Any], figure: float, holds: bool
) -> None:
    wrong = [40, 60] if figure == 0.5 else [40, 50]
    found = find(images(wrong), **rule)
    assert found.figure == figure
    assert found.holds is holds


def test_a_sentence_names_metric_figure_and_bound() -> None:
    assert find(images([40, 60]), floor=0.25).sentence == (
        "iou/pedestrian is 0.5000; the rule wants at least 0.25"
    )


def test_every_critical_class_must_be_there_whatever_the_rules() -> None:
    evaluated = images([40, 60])
    evaluated.candidate[:, PEDESTRIAN] = 0
    findings = judge(
        Gate([Rule("mean_iou", floor=0.1)]), evaluated, CAMVID, GROUND
    )
    assert [each.holds for each in findings] == [True, False, True, True]
    assert findings[1].sentence == (
        "images/pedestrian is not measured (0 images show pedestrian, "
        "1 needed); the rule wants at least 1"
    )


@pytest.mark.parametrize(
    "metric", ["iou/pedestrian", "iou_group/4", "critical_iou"]
)
def test_an_absent_class_fails_whatever_it_is_part_of(metric: str) -> None:
    evaluated = images([40, 60])
    evaluated.candidate[:, PEDESTRIAN] = 0
    found = find(evaluated, metric=metric, floor=0.0)
    assert not found.holds
    assert "0 images show pedestrian" in found.sentence


def test_too_few_images_or_pixels_fail() -> None:
    evaluated = images([90, 90, 90])
    assert find(evaluated, {"minimum_images": 3}, floor=0.5).holds
    few = find(evaluated, {"minimum_images": 4}, floor=0.5)
    assert "3 images there, 4 needed" in few.sentence
    assert find(evaluated, minimum_pixels=300, floor=0.5).holds
    small = find(evaluated, minimum_pixels=301, floor=0.5)
    assert "300 pixels show pedestrian, 301 needed" in small.sentence
    assert not few.holds
    assert not small.holds


def test_no_images_at_all_fail() -> None:
    nothing = ImageCounts((), (), np.zeros([0, 11, 11], np.int64))
    gate = Gate([Rule("mean_iou", floor=0.0), Rule("pixel_accuracy", floor=0)])
    assert not any(f.holds for f in judge(gate, nothing, CAMVID, GROUND))


def test_a_rule_on_every_slice_is_as_good_as_its_worst_slice() -> None:
    evaluated = images([90, 20, 80, 100], drives="ABAC")
    found = find(evaluated, floor=0.3, every="drive")
    assert (found.where, found.figure, found.holds) == ("drive B", 0.2, False)
    figures = {place: each.figure for place, each in found.slices}
    assert figures == {"drive A": 0.85, "drive B": 0.2, "drive C": 1.0}
    assert find(evaluated, floor=0.7).holds
    severity = {"metric": "expected_severity", "ceiling": 0.07}
    worst = find(evaluated, **severity, every="city")
    assert (worst.where, worst.holds) == ("city B", False)


def test_a_slice_can_be_a_named_set_of_drives() -> None:
    slices = {"condition": {"day": ["A", "C"], "dusk": ["B"]}}
    evaluated = images([90, 20, 80, 100], drives="ABAC")
    dusk = find(
        evaluated, {"slices": slices}, floor=0.3, slice={"condition": "dusk"}
    )
    assert (dusk.figure, dusk.where) == (0.2, "condition dusk")
    del slices["condition"]["dusk"]
    lost = find(evaluated, {"slices": slices}, floor=0.3, every="condition")
    assert not lost.holds
    assert "the drive 'B' is in no slice of `condition`" in lost.sentence


def test_a_slice_without_the_class_refuses_unless_it_may_be_skipped() -> None:
    evaluated = images([90, 20, 80], drives="ABA")
    evaluated.candidate[1, PEDESTRIAN] = 0
    refused = find(evaluated, floor=0.3, every="drive")
    assert (refused.where, refused.holds) == ("drive B", False)
    skipped = find(evaluated, floor=0.3, every="drive", absent="skip")
    assert skipped.holds
    assert skipped.skipped == ("drive B (0 images show pedestrian, 1 needed)",)
    none = find(
        evaluated, floor=0.3, every="drive", absent="skip", minimum_images=9
    )
    assert not none.holds
    assert not find(evaluated, floor=0.3, slice={"drive": "Z"}).holds


@pytest.mark.parametrize(
    ("ours", "theirs", "bound", "holds"),
    [
        (50, 50, {"allowed_loss": 0.0}, True),
        (50, 51, {"allowed_loss": 0.0}, False),
        (50, 51, {"allowed_loss": 0.0101}, True),
        (50, 51, {"allowed_relative_loss": 0.0197}, True),
        (50, 51, {"allowed_relative_loss": 0.0196}, False),
        # An improvement that is demanded.
        (52, 51, {"allowed_loss": -0.02}, False),
        (53, 51, {"allowed_loss": -0.0199}, True),
        # A baseline of 0 is a baseline, absolutely and relatively.
        (1, 0, {"allowed_loss": 0.0}, True),
        (1, 0, {"allowed_relative_loss": 0.0}, True),
        (0, 0, {"allowed_relative_loss": 0.0}, True),
        (1, 0, {"allowed_loss": -0.02}, False),
    ],
)
def test_a_change_is_held_against_the_baseline(
    ours: int, theirs: int, bound: dict[str, float], holds: bool
) -> None:
    found = find(images([ours] * 2, [theirs] * 2), **bound)
    assert found.holds is holds, found.sentence


def test_a_severity_that_rises_is_a_loss() -> None:
    evaluated = images([50, 50], [60, 60])
    severity = {"metric": "expected_severity"}
    found = find(evaluated, **severity, allowed_loss=0.005)
    assert found.decisive.judged == pytest.approx(0.1 / 11)
    assert not found.holds
    assert find(images([60], [50]), **severity, allowed_loss=0.0).holds
    # From a baseline without any error every share is too much.
    assert not find(
        images([99], [100]), **severity, allowed_relative_loss=9
    ).holds


@pytest.mark.parametrize("bound", ["allowed_loss", "allowed_relative_loss"])
def test_a_missing_baseline_fails_where_one_is_required(bound: str) -> None:
    evaluated = images([50, 50])
    required = find(evaluated, {"baseline": "required"}, **{bound: 0.99})
    assert not required.holds
    assert "there is no baseline yet" in required.sentence
    optional = find(evaluated, {"baseline": "optional"}, **{bound: 0.0})
    assert optional.holds
    assert "which the gate allows" in optional.sentence
    # The verdict says it, once for all such rules.
    floor = find(evaluated, floor=0.5)
    assert verdict([floor]) == "the rule holds"
    assert verdict([floor, optional, optional]) == (
        "all 3 rules hold, 2 without a figure: there is no baseline yet, "
        "which the gate allows"
    )
    assert verdict([optional, required]) == required.sentence


def test_a_rule_about_critical_classes_is_one_for_each() -> None:
    gate = Gate([Rule("iou/critical", allowed_loss=0.1)])
    evaluated = images([50, 50], [90, 90])
    findings = judge(gate, evaluated, CAMVID, GROUND)[3:]
    assert [(f.rule.metric, f.holds) for f in findings] == [
        ("iou/car", True),
        ("iou/pedestrian", False),
        ("iou/bicyclist", True),
    ]


def test_a_lucky_evaluation_set_does_not_pass() -> None:
    # 0.55 on average, but one image in two is far below.
    lucky = images([10, 100] * 5)
    assert find(lucky, floor=0.5).holds
    bound = find(lucky, floor=0.5, confidence=0.95)
    assert not bound.holds
    assert bound.decisive.value == 0.55
    assert bound.figure == bound.decisive.interval[0] < 0.5
    # The same mean from images that agree clears the floor.
    assert find(images([54, 56] * 5), floor=0.5, confidence=0.95).holds


def test_a_set_of_few_images_allows_no_bound() -> None:
    found = find(images([90] * 4), floor=0.5, confidence=0.95)
    assert not found.holds
    assert "4 images to draw from, 5 needed" in found.sentence


def test_drives_are_drawn_whole() -> None:
    # Within a drive images are alike: 20 images, but 5 independent drives.
    hits = [int(h) for h in np.repeat([20, 80, 55, 70, 60], 4)]
    evaluated = images(hits, drives="".join(d * 4 for d in "ABCDE"))
    by_image = find(evaluated, floor=0.45, confidence=0.95)
    by_drive = find(evaluated, floor=0.45, confidence=0.95, resample="drive")
    assert by_image.holds
    assert not by_drive.holds
    totals = [20, 80, 55, 70, 60]
    drawn = np.random.default_rng(0).integers(0, 5, (1000, 5))
    means = sorted(np.mean(np.take(totals, drawn), axis=1) / 100)
    # Of 5 units, the 0.86 % quantile of 1,000, taken downwards.
    assert by_drive.figure == pytest.approx(means[8])


def test_better_models_are_told_from_noise_on_the_same_images() -> None:
    # Images differ far more from each other than the models on an image.
    theirs = [int(h) for h in RANDOM.integers(5, 90, 40)]
    better = [h + 3 + i % 3 for i, h in enumerate(theirs)]
    rule = {"allowed_loss": 0.0, "confidence": 0.95}
    assert find(images(better, theirs), **rule).holds
    # Unpaired, the intervals overlap widely.
    ours = find(images(better), floor=0.0).decisive.interval
    other = find(images(theirs), floor=0.0).decisive.interval
    assert ours[0] < other[1]


def test_equal_within_noise_passes_only_with_a_margin() -> None:
    theirs = [int(h) for h in RANDOM.integers(20, 80, 40)]
    noisy = [h + (4 if i % 2 else -4) for i, h in enumerate(theirs)]
    evaluated = images(noisy, theirs)
    assert find(evaluated, allowed_loss=0.0).holds
    assert not find(evaluated, allowed_loss=0.0, confidence=0.95).holds
    assert find(evaluated, allowed_loss=0.02, confidence=0.95).holds


def test_more_confidence_than_the_drawn_sets_carry_gives_no_bound() -> None:
    # Of 5 units, 0.99 lies beyond the worst of a thousand drawn sets.
    found = find(images([90] * 5), floor=0.5, confidence=0.99)
    assert not found.holds
    assert "1000 drawn sets do not carry a bound over 5 images" in (
        found.sentence
    )
    assert find(images([90] * 40), floor=0.5, confidence=0.99).holds


@pytest.mark.parametrize("baseline", [None, [100] * 6])
def test_a_class_that_is_there_but_never_predicted_is_no_absent_class(
    baseline: list[int] | None,
) -> None:
    """Drive B shows pedestrians and the model calls nothing one."""
    evaluated = images([90, 80, 0, 0, 70, 90], baseline, drives="AABBCC")
    rule = {"metric": "precision/pedestrian", "floor": 0.3}
    found = find(evaluated, **rule, every="drive", absent="skip")
    assert (found.where, found.figure, found.holds) == ("drive B", 0.0, False)
    assert found.skipped == ()
    # On the whole set all that is predicted is right.
    assert find(evaluated, **rule).figure == 1.0
    never = images([0] * 6, baseline)
    assert find(never, **rule).figure == 0.0
    assert find(never, **rule, confidence=0.95).figure == 0.0
    if baseline:
        lost = {"metric": "precision/pedestrian", "allowed_loss": 0.9}
        assert not find(never, **lost).holds
        assert not find(evaluated, **lost, every="drive").holds


@pytest.mark.parametrize("resample", ["image", "drive"])
@pytest.mark.parametrize(
    "metric", ["iou_group/4", "critical_iou", "merged_recall/4"]
)
def test_a_drawn_set_without_a_class_of_the_group_counts_against_it(
    metric: str, resample: str
) -> None:
    evaluated = images([100] * 20, drives="ABCDEFGHIJ" * 2)
    rule = {"metric": metric, "floor": 0.5, "confidence": 0.95}
    assert find(evaluated, **rule, resample=resample).figure == 1.0
    # Pedestrians on two images, one drive, alone: one draw in three or
    # seven lacks them, though whatever else is drawn is perfect.
    for image in range(20):
        if image % 10 != 3:
            evaluated.candidate[image, PEDESTRIAN, PEDESTRIAN] = 0
    found = find(evaluated, **rule, resample=resample)
    assert found.decisive.value == 1.0
    assert found.figure == -math.inf
    assert not found.holds


def test_a_verdict_does_not_depend_on_the_order_of_images() -> None:
    evaluated = images([int(h) for h in RANDOM.integers(0, 101, 30)])
    rule = {"floor": 0.4, "confidence": 0.9}
    turned = evaluated.chosen(range(29, -1, -1))
    assert find(turned, **rule).figure == find(evaluated, **rule).figure


def test_a_verdict_does_not_depend_on_the_run() -> None:
    evaluated = images([int(h) for h in RANDOM.integers(0, 101, 30)])
    rule = {"floor": 0.4, "confidence": 0.9}
    first, again = find(evaluated, **rule), find(evaluated, **rule)
    assert first.figure == again.figure
    other = find(evaluated, {"seed": 1}, **rule)
    assert other.figure != first.figure


def test_a_nan_meets_no_bound() -> None:
    found = find(images([50, 50]), floor=0.0)
    unknown = dataclasses.replace(found.decisive, figure=math.nan)
    assert not dataclasses.replace(found, decisive=unknown).holds
