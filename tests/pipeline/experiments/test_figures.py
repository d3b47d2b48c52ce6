"""The contrast that is found is the one put there."""

import dataclasses

import numpy as np

from pipeline.experiments.figures import caption, find_contrasts
from pipeline.experiments.plan import START
from tests.pipeline.experiments.test_tables import PLAN, outcomes
from wseg_tf import CAMVID


def test_the_image_of_equal_mean_and_other_severity_is_found():
    runs = outcomes(0.7)
    car, road, bicyclist = (
        CAMVID.index(name) for name in ("car", "road", "bicyclist")
    )
    # One image: cars lost to bicyclists (same group) or to road, else alike.
    gentle = np.diag(np.full(11, 100))
    severe = gentle.copy()
    gentle[car, [car, bicyclist]] = 60, 40
    severe[car, [car, road]] = 60, 40
    for run in runs:
        if run.seed == 1 and run.method == "W":
            run.counts["val"][7] = gentle
        if run.seed == 1 and run.method == "continued CE":
            run.counts["val"][7] = severe
    found = find_contrasts(PLAN, runs, "val")
    assert [*found] == ["contrast"]
    found = found["contrast"]
    assert found.place == 7
    assert (found.gentle.method, found.severe.method) == ("W", "continued CE")
    assert found.gentle.seed == found.severe.seed == 1
    # 40 pixels of 1,100, at half of a car's 4 and at all of it.
    told = [
        caption(PLAN, each, "val", found.place)
        for each in (found.gentle, found.severe)
    ]
    # Of 11 classes 9 are right, and two have 100 of 140 and 60 of 100.
    iou = f"{(9 + 100 / 140 + 0.6) / 11:.2f}"
    assert told == [
        f"W\nmIoU {iou}, severity {40 * 2 / 1100:.2f}",
        f"continued CE\nmIoU {iou}, severity {40 * 4 / 1100:.2f}",
    ]


def test_the_image_with_most_objects_found_is_found():
    # Of two cars an image, continued CE misses one in ten images, W in three;
    # with the other seed, W misses more.
    missed = {START: (0,), "continued CE": (10, 2), "W": (3, 8)}
    runs = outcomes(0.7, missed=missed)
    _, reference, other, better, worse = runs
    assert (reference.seed, better.seed) == (0, 0)
    assert (other.seed, worse.seed) == (1, 1)
    # Of those found by one more, that whose severity falls most.
    better.counts["val"][8] = 100 * np.eye(11, dtype=np.int64)
    found = find_contrasts(PLAN, runs, "val")["found"]
    assert found.gentle is better
    assert found.severe is reference
    assert found.place == 8
    # An object counts more than any severity.
    better.missed["val"].missed[8] = 1
    assert 3 <= find_contrasts(PLAN, runs, "val")["found"].place < 8
    assert caption(PLAN, reference, "val", 9).endswith(
        "\nmisses 1 of 2 critical objects"
    )
    assert caption(PLAN, better, "val", 9).endswith(
        "misses 0 of 2 critical objects"
    )


def test_no_contrast_is_none():
    same = [
        dataclasses.replace(run, counts={"val": np.ones([3, 11, 11], np.int64)})
        for run in outcomes(0.6)
    ]
    assert find_contrasts(PLAN, same, "val") == {}
