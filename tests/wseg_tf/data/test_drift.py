import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wseg_tf.classes import CAMVID, class_set
from wseg_tf.data.drift import class_drift
from wseg_tf.data.statistics import PixelStatistics


def statistics(**pixels):
    counts = [pixels.get(name, 0) for name in (*CAMVID.names, "void")]
    return PixelStatistics.of_frame(counts, (1, sum(counts)))


counts = st.dictionaries(
    st.sampled_from(CAMVID.names), st.integers(1, 1000), min_size=1
).map(lambda pixels: statistics(**pixels))


def test_classes_beyond_the_factor_are_named_most_important_first():
    before = statistics(road=500, sky=400, car=80, pedestrian=20)
    now = statistics(road=690, sky=190, car=115, pedestrian=5)
    drifted = class_drift(before, now, CAMVID)
    assert [each.name for each in drifted] == ["pedestrian", "sky"]
    assert drifted[0].before == 0.02
    assert drifted[0].now == 0.005
    assert drifted[0].factor == pytest.approx(4)
    assert drifted[1].sentence == (
        "sky: 40.00% of labelled pixels before, 19.00% now (2.1 times less)."
    )
    names = [d.name for d in class_drift(before, now, CAMVID, limit=1.4)]
    assert names == ["pedestrian", "car", "sky"]


def test_a_class_that_comes_or_goes_has_drifted_whatever_the_limit():
    drifted = class_drift(
        statistics(road=10, car=1), statistics(road=10, sign=1), CAMVID, 1e9
    )
    assert [(each.name, each.factor) for each in drifted] == [
        ("car", math.inf),
        ("sign", math.inf),
    ]
    assert drifted[0].sentence.endswith("0.00% now (gone).")
    assert drifted[1].sentence.endswith("9.09% now (new).")


def test_void_and_the_number_of_frames_do_not_matter():
    before = statistics(road=50, car=50)
    now = statistics(road=50, car=50, void=900) + before + before
    assert class_drift(before, now, CAMVID, limit=1.001) == ()


@given(counts, counts, st.floats(1.1, 20))
def test_drift_is_the_same_in_both_directions(one, other, limit):
    there = class_drift(one, other, CAMVID, limit)
    back = class_drift(other, one, CAMVID, limit)
    assert {d.name: d.factor for d in there} == {d.name: d.factor for d in back}
    assert all(d.factor > limit * (1 - 1e-12) for d in there)
    assert class_drift(one, one, CAMVID, limit) == ()


@pytest.mark.parametrize(
    ("before", "limit", "said"),
    [
        (statistics(road=1), 1.0, "`limit`. Expected a factor above 1"),
        (statistics(road=1), math.nan, "`limit`"),
        (statistics(void=5), 2.0, "`reference`. Expected labelled pixels"),
        (PixelStatistics.empty(19), 2.0, "0 of 19 classes"),
    ],
)
def test_refuses(before, limit, said):
    with pytest.raises(ValueError, match=said):
        class_drift(before, statistics(road=1), CAMVID, limit)


def test_the_highest_group_comes_first_whatever_groups_there_are():
    groups = {"floor": 2, "person": 40, "crate": 7, "forklift": 40}
    classes = class_set([{"name": n, "group": g} for n, g in groups.items()])
    before, now = (
        PixelStatistics.of_frame([*pixels, 0], (1, sum(pixels)))
        for pixels in ((700, 100, 100, 100), (100, 300, 30, 570))
    )
    drifted = class_drift(before, now, classes, limit=2)
    assert [each.name for each in drifted] == [
        *("forklift", "person"),  # both of group 40, the larger factor first
        *("crate", "floor"),
    ]
