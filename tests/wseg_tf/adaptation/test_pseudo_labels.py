"""Thresholds and labels against the formulas, in whole numbers."""

import math
from fractions import Fraction

import numpy as np
import pytest

from wseg_tf.adaptation.pseudo_labels import (
    LEVELS,
    NONE,
    UNITS,
    count_levels,
    hard_labels,
    soft_labels,
    thresholds,
    to_levels,
    to_units,
)

VOID = 255


def random_levels(seed, pixels=60, classes=4, grain=2000):
    """Coarse levels, so that ties are common; the last class has none."""
    random = np.random.default_rng(seed)
    sharp = random.dirichlet(np.full(classes, 0.4), pixels)
    sharp[:, -1] = 0
    sharp /= sharp.sum(axis=1, keepdims=True)
    levels = np.round(sharp * LEVELS / grain) * grain
    levels[:5] = np.eye(classes)[0] * LEVELS  # sure of the first
    levels[5:8] = levels[8]
    return levels.clip(0, LEVELS).astype(np.uint16)


def planes(levels):
    """Rows of levels as an image of one row, in planes."""
    return np.ascontiguousarray(levels.T[:, np.newaxis])


def count(levels):
    return count_levels(planes(levels))


def hard(levels, limits):
    return hard_labels(planes(levels), limits, VOID)[0]


def soft(levels, limits, *alpha):
    """Soft labels of rows: ids, and distributions or zeros."""
    ids, kept = soft_labels(planes(levels), limits, VOID, *alpha)
    found = np.zeros(levels.shape, np.float32)
    found[ids[0] != VOID] = kept.T
    return ids[0], found


def oracle_thresholds(levels, portion):
    """The formula as it is printed, over all pixels at once."""
    found = []
    for k in range(levels.shape[1]):
        own = levels.max(axis=1)[levels.argmax(axis=1) == k]
        place = math.floor(len(own) * portion)
        ordered = sorted((int(level) for level in own), reverse=True)
        found.append(ordered[place - 1] if place > 0 else NONE)
    return found


def oracle_soft(row, limits):
    """y ~ (p / l)^4 in fractions, and whether the pixel is kept."""
    powers = [
        Fraction(int(p), int(limit)) ** 4
        for p, limit in zip(row, limits, strict=True)
    ]
    total = sum(powers)
    return [float(each / total) for each in powers], total > 1


@pytest.mark.parametrize("portion", [0.0, 0.01, 0.2, 0.35, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_thresholds_are_the_printed_element(seed, portion):
    levels = random_levels(seed)
    found = thresholds(count(levels), portion)
    assert found.tolist() == oracle_thresholds(levels, portion)


def test_counts_of_parts_add_up():
    levels = random_levels(1)
    parts = count(levels[:20]) + count(levels[20:])
    np.testing.assert_array_equal(parts, count(levels))
    assert parts.sum() == len(levels)
    stacked = np.stack([planes(levels[:30]), planes(levels[30:])])
    np.testing.assert_array_equal(count_levels(stacked), parts)


def test_levels_are_off_by_a_step_and_a_half_at_most():
    random = np.random.default_rng(0)
    given = random.random(10_000).astype(np.float32)
    before = given.copy()
    found = to_levels(given.reshape(2, 25, 50, 4))
    assert found.shape == (2, 4, 25, 50)
    flat = found.transpose(0, 2, 3, 1).ravel() / LEVELS
    error = np.abs(flat - given.astype(float)) * LEVELS
    assert (error <= 1.5 - given + 1e-2).all()
    assert error.max() > 1.4
    np.testing.assert_array_equal(given, before)
    beyond = np.array([[[[-1e-6, 0, 1e-9, 1 + 1e-6]]]], np.float32)
    assert to_levels(beyond).ravel().tolist() == [1, 1, 1, LEVELS]


@pytest.mark.parametrize("rest", [0.0, 1e-12, 1e-7])
def test_a_network_that_is_sure_of_all_is_labelled_all_the_same(rest):
    # Half of each class is at the level of 1, and so is its threshold.
    sure, unsure = [1 - rest, rest, 0.0], [0.8, 0.15, 0.05]
    rows = np.array(4 * [sure, unsure], np.float32)
    levels = to_levels(rows[np.newaxis, np.newaxis])
    limits = thresholds(count_levels(levels), 0.4)
    assert limits[0] == LEVELS
    ids, _ = soft_labels(levels[0], limits, VOID)
    assert ids.tolist() == [4 * [0, VOID]]
    assert hard_labels(levels[0], limits, VOID).tolist() == [4 * [0, VOID]]


def test_a_threshold_by_levels_is_that_of_the_probabilities():
    random = np.random.default_rng(4)
    p = random.dirichlet(np.full(4, 0.3), 500).astype(np.float32)
    counts = count_levels(to_levels(p[np.newaxis, np.newaxis]))
    for portion in (0.2, 0.5):
        found = thresholds(counts, portion) / LEVELS
        for k in range(4):
            own = np.sort(p.max(axis=1)[p.argmax(axis=1) == k])[::-1]
            exact = own[math.floor(len(own) * portion) - 1]
            assert abs(found[k] - exact) <= (1.51 - exact) / LEVELS


@pytest.mark.parametrize("portion", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_soft_labels_are_the_formula_in_fractions(seed, portion):
    levels = random_levels(seed)
    limits = thresholds(count(levels), portion)
    ids, found = soft(levels, limits)
    for row, own, k in zip(levels, found, ids, strict=True):
        expected, kept = oracle_soft(row, limits)
        if kept:
            np.testing.assert_allclose(own, expected, atol=1e-6)
            assert k == own.argmax()
        else:
            assert k == VOID


def test_the_least_rest_keeps_a_pixel_at_its_threshold():
    # 1 + (1 / 65535)^4 > 1, which no float64 sum can tell from 1.
    limits = np.array([40000, LEVELS])
    rows = [[40000, 1], [40000, 0], [39999, 1], [40001, 0]]
    ids, _ = soft(np.array(rows, np.uint16), limits)
    assert ids.tolist() == [0, VOID, VOID, 0]


def test_a_sum_as_near_to_one_as_can_be_is_told_from_it():
    # Below its threshold by one level; the next least of the others decides.
    limits = np.array([LEVELS, LEVELS])
    lack = 1 - Fraction(LEVELS - 1, LEVELS) ** 4
    least = next(
        q for q in range(LEVELS) if Fraction(q, LEVELS) ** 4 > lack
    )  # fmt: skip
    rows = [[LEVELS - 1, least], [LEVELS - 1, least - 1]]
    ids, _ = soft(np.array(rows, np.uint16), limits)
    assert ids.tolist() == [0, VOID]


def test_another_softness_is_another_power():
    levels = np.array([[50000, 15535]], np.uint16)
    _, found = soft(levels, np.array([40000, 60000]), 0.5)
    powers = np.array([50 / 40, 15.535 / 60]) ** 2
    np.testing.assert_allclose(found[0], powers / powers.sum(), rtol=1e-5)


@pytest.mark.parametrize("portion", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_hard_labels_are_the_formula_in_fractions(seed, portion):
    levels = random_levels(seed)
    limits = thresholds(count(levels), portion)
    for row, own in zip(levels, hard(levels, limits), strict=True):
        ratios = [
            Fraction(int(p), int(limit))
            for p, limit in zip(row, limits, strict=True)
        ]
        best = ratios.index(max(ratios))
        assert own == (best if ratios[best] >= 1 else VOID)


def test_portion_one_keeps_every_pixel_and_portion_zero_none():
    levels = random_levels(2)
    counts = count(levels)
    every = hard(levels, thresholds(counts, 1.0))
    assert (every != VOID).all()
    none = thresholds(counts, 0.0)
    assert (levels.max(axis=1) == LEVELS).any()  # Not even the certain ones.
    assert (hard(levels, none) == VOID).all()
    assert (soft(np.maximum(levels, 1), none)[0] == VOID).all()


def test_a_class_without_a_pixel_is_never_a_label():
    levels = random_levels(3)
    limits = thresholds(count(levels), 0.5)
    assert limits[-1] == NONE
    assert not soft(levels, limits)[1][:, -1].any()
    assert 3 not in hard(levels, limits)


def test_of_two_candidates_the_least_difference_decides():
    # 60000 / 59999 is above 60001 / 60000 by 2.8e-10: float32 sees a tie.
    levels = np.array([[60001, 60000]], np.uint16)
    assert hard(levels, np.array([60000, 59999])).tolist() == [1]
    assert hard(levels[:, ::-1], np.array([59999, 60000])).tolist() == [0]


def test_units_lose_no_mass_and_little_else():
    random = np.random.default_rng(5)
    soft = random.dirichlet(np.full(19, 0.2), 2000).astype(np.float32).T
    soft[:, :50] = 1 / 19
    units = to_units(soft)
    assert set(units.astype(int).sum(axis=0)) == {UNITS}
    assert np.abs(units / UNITS - soft).max() <= (1 + 1e-4) / UNITS
