"""The contrast that is found is the one put there."""

import dataclasses

import numpy as np
import pytest

from pipeline.experiments.figures import find_contrast
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
    found = find_contrast(PLAN, runs, "val")
    assert found.place == 7
    assert (found.gentle.method, found.severe.method) == ("W", "continued CE")
    assert found.gentle.seed == found.severe.seed == 1
    # 40 pixels of 1,100, at half of a car's 4 and at all of it.
    assert found.severity == pytest.approx((40 * 2 / 1100, 40 * 4 / 1100))
    assert found.mean_iou[0] == pytest.approx(found.mean_iou[1])


def test_no_contrast_is_none():
    same = [
        dataclasses.replace(run, counts={"val": np.ones([3, 11, 11], np.int64)})
        for run in outcomes(0.6)
    ]
    assert find_contrast(PLAN, same, "val") is None
