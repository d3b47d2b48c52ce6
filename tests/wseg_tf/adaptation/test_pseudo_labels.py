"""Thresholds and labels against the formulas, in whole numbers."""

import math
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf

from wseg_tf.adaptation.pseudo_labels import (
    LEVELS,
    UNITS,
    count_levels,
    hard_labels,
    of_soft,
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


def oracle_thresholds(levels, portion):
    """The formula as it is printed, over all pixels at once."""
    found = []
    for k in range(levels.shape[1]):
        own = levels.max(axis=1)[levels.argmax(axis=1) == k]
        place = math.floor(len(own) * portion)
        ordered = sorted((int(level) for level in own), reverse=True)
        found.append(ordered[place - 1] if place > 0 else LEVELS)
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
    found = thresholds(count_levels(levels), portion)
    assert found.tolist() == oracle_thresholds(levels, portion)


def test_counts_of_parts_add_up():
    levels = random_levels(1)
    parts = count_levels(levels[:20]) + count_levels(levels[20:])
    np.testing.assert_array_equal(parts, count_levels(levels))
    assert parts.sum() == len(levels)


def test_levels_are_off_by_half_a_step_at_most():
    random = np.random.default_rng(0)
    given = random.random(10_000).astype(np.float32)
    found = to_levels(tf.constant(given)).numpy() / LEVELS
    assert np.abs(found - given).max() <= 0.5 / LEVELS * (1 + 1e-2)
    assert to_levels(tf.constant([-0.1, 1.1])).numpy().tolist() == [0, LEVELS]


def test_a_threshold_by_levels_is_that_of_the_probabilities():
    random = np.random.default_rng(4)
    p = random.dirichlet(np.full(4, 0.3), 500).astype(np.float32)
    levels = to_levels(tf.constant(p)).numpy()
    for portion in (0.2, 0.5):
        found = thresholds(count_levels(levels), portion) / LEVELS
        for k in range(4):
            own = np.sort(p.max(axis=1)[p.argmax(axis=1) == k])[::-1]
            exact = own[math.floor(len(own) * portion) - 1]
            assert abs(found[k] - exact) <= 0.5 / LEVELS * (1 + 1e-2)


@pytest.mark.parametrize("portion", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_soft_labels_are_the_formula_in_fractions(seed, portion):
    levels = random_levels(seed)
    limits = thresholds(count_levels(levels), portion)
    found = soft_labels(tf.constant(levels), tf.constant(limits)).numpy()
    for row, own in zip(levels, found, strict=True):
        expected, kept = oracle_soft(row, limits)
        if kept:
            np.testing.assert_allclose(own, expected, atol=1e-6)
        else:
            assert not own.any()


def test_the_least_rest_keeps_a_pixel_at_its_threshold():
    # 1 + (1 / 65535)^4 > 1, which no float64 sum can tell from 1.
    limits = tf.constant([40000, LEVELS])
    rows = tf.constant([[40000, 1], [40000, 0], [39999, 1], [40001, 0]])
    kept = soft_labels(rows, limits).numpy().sum(axis=1) > 0
    assert kept.tolist() == [True, False, False, True]


def test_another_softness_is_another_power():
    levels = tf.constant([[50000, 15535]])
    found = soft_labels(levels, tf.constant([40000, 60000]), 0.5).numpy()
    powers = np.array([50 / 40, 15.535 / 60]) ** 2
    np.testing.assert_allclose(found[0], powers / powers.sum(), rtol=1e-5)


@pytest.mark.parametrize("portion", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_hard_labels_are_the_formula_in_fractions(seed, portion):
    levels = random_levels(seed)
    limits = thresholds(count_levels(levels), portion)
    found = hard_labels(tf.constant(levels), tf.constant(limits), VOID)
    for row, own in zip(levels, found.numpy(), strict=True):
        ratios = [
            Fraction(int(p), int(limit))
            for p, limit in zip(row, limits, strict=True)
        ]
        best = ratios.index(max(ratios))
        assert own == (best if ratios[best] >= 1 else VOID)


def test_portion_one_keeps_every_pixel_and_portion_zero_the_certain_ones():
    levels = random_levels(2)
    counts = count_levels(levels)
    every = hard_labels(levels, thresholds(counts, 1.0), VOID).numpy()
    assert (every != VOID).all()
    none = hard_labels(levels, thresholds(counts, 0.0), VOID).numpy()
    np.testing.assert_array_equal(none != VOID, levels.max(axis=1) == LEVELS)
    soft = soft_labels(levels, thresholds(counts, 0.0)).numpy()
    assert not soft.any()  # no sum of fourth powers of a distribution is > 1


def test_a_class_without_a_pixel_is_never_a_label():
    levels = random_levels(3)
    limits = thresholds(count_levels(levels), 0.5)
    assert limits[-1] == LEVELS
    assert not soft_labels(levels, limits).numpy()[:, -1].any()
    assert 3 not in hard_labels(levels, limits, VOID).numpy()


def test_units_lose_no_mass_and_little_else():
    random = np.random.default_rng(5)
    soft = random.dirichlet(np.full(19, 0.2), 2000).astype(np.float32)
    soft[:50] = 1 / 19
    soft[50:60] = 0
    units = to_units(tf.constant(soft)).numpy()
    sums = units.astype(int).sum(axis=1)
    assert set(sums[:50]) == set(sums[60:]) == {UNITS}
    assert not units[50:60].any()
    assert np.abs(units / UNITS - soft).max() <= (1 + 1e-4) / UNITS


def test_of_soft_is_the_likeliest_class_or_void():
    soft = tf.constant([[0.2, 0.8], [0.0, 0.0], [0.5, 0.5]])
    assert of_soft(soft, VOID).numpy().tolist() == [1, VOID, 0]
