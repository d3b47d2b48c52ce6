import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wseg_tf.classes import CAMVID, class_set
from wseg_tf.data.statistics import (
    PixelStatistics,
    class_weights,
    group_weights,
)

# Two frames of 100 pixels, three classes and void; class 2 in one only.
FIRST = PixelStatistics.of_frame([50, 30, 0, 20], (10, 10))
SECOND = PixelStatistics.of_frame([60, 20, 10, 10], (5, 20))
BOTH = FIRST + SECOND


def test_counts_by_hand():
    assert BOTH.pixels.tolist() == [110, 50, 10, 30]
    assert BOTH.present.tolist() == [170, 170, 90]
    assert BOTH.frames.tolist() == [2, 2, 1]
    assert BOTH.images == 2
    assert BOTH.sizes == {(5, 20): 1, (10, 10): 1}
    np.testing.assert_allclose(
        BOTH.frequencies, [110 / 170, 50 / 170, 10 / 170]
    )
    assert BOTH.void_share == 0.15


def test_weights_by_hand():
    share = np.array([110 / 170, 50 / 170, 10 / 90])
    np.testing.assert_allclose(
        class_weights(BOTH, "median_frequency"), (50 / 170) / share
    )
    np.testing.assert_allclose(
        class_weights(BOTH, "logarithmic"),
        1 / np.log(1.02 + np.array([110, 50, 10]) / 170),
    )


def test_a_class_without_a_pixel_weighs_nothing():
    for weighting in ("median_frequency", "logarithmic"):
        weights = class_weights(FIRST, weighting)
        assert weights[2] == 0
        assert np.all(weights[:2] > 0)
        nothing = class_weights(PixelStatistics.empty(3), weighting)
        assert nothing.tolist() == [0, 0, 0]


def test_groups_count_as_one_class():
    counts = np.zeros(12, int)
    counts[[CAMVID.index(n) for n in ("sky", "road", "car", "bicyclist")]] = (
        20,
        70,
        6,
        4,
    )
    frame = PixelStatistics.of_frame(counts.tolist(), (10, 10))
    weights = group_weights(frame, CAMVID)
    expected = {1: 0.2, 3: 0.7, 4: 0.1}
    for index, group in enumerate(CAMVID.groups):
        share = expected.get(group)
        weight = 0 if share is None else 1 / np.log(1.02 + share)
        np.testing.assert_allclose(weights[index], weight)


frames = st.lists(
    st.tuples(*[st.integers(0, 2**40)] * 4).map(
        lambda counts: PixelStatistics.of_frame(counts, (2, 3))
    ),
    max_size=6,
)


@given(frames, st.randoms())
def test_the_order_of_frames_does_not_matter(parts, random):
    other = list(parts)
    random.shuffle(other)
    one = sum(parts, start=PixelStatistics.empty(3))
    two = sum(other, start=PixelStatistics.empty(3))
    for name in ("pixels", "present", "frames"):
        assert getattr(one, name).tolist() == getattr(two, name).tolist()
    assert (one.images, one.sizes) == (two.images, two.sizes)


def test_nothing_has_no_frequency():
    nothing = PixelStatistics.empty(3)
    assert np.isnan(nothing.frequencies).all()
    assert np.isnan(nothing.void_share)


def test_refuses():
    with pytest.raises(ValueError, match="argument `weighting`"):
        class_weights(BOTH, "inverse")
    with pytest.raises(ValueError, match="argument `statistics`"):
        group_weights(BOTH, CAMVID)


def test_groups_may_have_any_numbers():
    classes = class_set(
        [
            {"name": "floor", "group": 9},
            {"name": "crate", "group": 2},
            {"name": "stairs", "group": 9},
            {"name": "person", "group": 500},
        ]
    )
    found = PixelStatistics.of_frame([10, 70, 10, 10, 3], (1, 103))
    # Shares by group: 0.2 for floor and stairs, 0.7, and 0.1.
    expected = 1 / np.log(1.02 + np.array([0.2, 0.7, 0.2, 0.1]))
    np.testing.assert_allclose(group_weights(found, classes), expected)
