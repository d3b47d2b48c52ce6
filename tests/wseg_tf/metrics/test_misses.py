"""Small scenes by hand; regions against a flood fill."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wseg_tf.classes import CAMVID
from wseg_tf.metrics.misses import critical_misses

ROAD, TREE = CAMVID.index("road"), CAMVID.index("tree")
CAR, PEDESTRIAN, BICYCLIST = (
    CAMVID.index(name) for name in ("car", "pedestrian", "bicyclist")
)


def scene():
    return np.full([20, 20], ROAD)


def test_half_of_a_region_is_enough_and_less_is_not():
    labels = scene()
    labels[2:6, 2:7] = PEDESTRIAN  # 20 pixels
    for found, missed in ((10, 0), (9, 1)):
        predicted = scene()
        rows, columns = np.nonzero(labels == PEDESTRIAN)
        predicted[rows[:found], columns[:found]] = CAR  # Any critical class.
        counted = critical_misses(labels, predicted, CAMVID, smallest=20)
        assert counted.regions[PEDESTRIAN] == 1
        assert counted.missed[PEDESTRIAN, ROAD] == counted.missed.sum()
        assert counted.missed.sum() == missed


def test_what_a_missed_region_was_called_is_what_most_of_it_was():
    labels = scene()
    labels[0:5, 0:5] = BICYCLIST
    predicted = scene()
    predicted[0:5, 0:2] = PEDESTRIAN  # 10 of 25: not half, yet the most.
    predicted[0:5, 2:4].flat[:8] = TREE
    counted = critical_misses(labels, predicted, CAMVID, smallest=25)
    assert counted.missed[BICYCLIST, TREE] == counted.missed.sum() == 1


def test_small_regions_void_and_other_classes_count_nowhere():
    labels = scene()
    labels[0:3, 0:3] = CAR
    labels[10:15, 10:15] = TREE
    labels[17:, 17:] = CAMVID.void
    counted = critical_misses(labels, scene(), CAMVID, smallest=10)
    assert counted.regions.sum() == counted.missed.sum() == 0
    counted = critical_misses(labels, scene(), CAMVID, smallest=9)
    assert counted.regions[CAR] == counted.missed[CAR, ROAD] == 1


def test_corners_join_and_classes_part():
    labels = scene()
    labels[0:2, 0:2] = labels[2:4, 2:4] = CAR  # They touch by a corner.
    labels[6:8, 0:2] = CAR  # Apart from both.
    labels[8:10, 0:2] = PEDESTRIAN  # Beside a car, an object of its own.
    counted = critical_misses(labels, labels, CAMVID, smallest=1)
    assert counted.regions[CAR] == 2
    assert counted.regions[PEDESTRIAN] == 1
    assert counted.missed.sum() == 0


def flooded(mask):
    """Sizes of the regions of a mask, by a flood fill."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    sizes = []
    while left:
        queue, size = [left.pop()], 0
        while queue:
            y, x = queue.pop()
            size += 1
            for near in [
                (y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)
            ]:
                if near in left:
                    left.remove(near)
                    queue.append(near)
        sizes.append(size)
    return sizes


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_regions_are_those_of_a_flood_fill(seed, smallest):
    random = np.random.default_rng(seed)
    labels = random.choice([ROAD, CAR, BICYCLIST, CAMVID.void], (9, 11))
    counted = critical_misses(
        labels, np.full_like(labels, TREE), CAMVID, smallest
    )
    for own in (CAR, BICYCLIST):
        sizes = flooded(labels == own)
        expected = sum(size >= smallest for size in sizes)
        assert counted.regions[own] == counted.missed[own, TREE] == expected


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\[H, W\].*\(20, 19\)"):
        critical_misses(scene(), scene()[:, 1:], CAMVID)
