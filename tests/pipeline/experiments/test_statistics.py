"""Intervals cover the truth in simulations; Holm's procedure by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.experiments.statistics import difference, holm, unit_variance
from pipeline.gate.bootstrap import draw

TRUTH = 0.7


def simulated(random, seeds, units, spreads):
    """Draws differences `[seeds, units]` around the truth.

    The spreads are of seeds, of units, and of both together.
    """
    over_seeds, over_units, both = spreads
    return (
        TRUTH
        + over_seeds * random.standard_normal([seeds, 1])
        + over_units * random.standard_normal([1, units])
        + both * random.standard_normal([seeds, units])
    )


def found(cells, number):
    """What the tables do: units drawn anew, the same for all seeds."""
    units = cells.shape[1]
    drawn = draw(units, 200, seed=number) @ cells.mean(axis=0) / units
    return difference(
        cells.mean(axis=1).tolist(), unit_variance(drawn, units), units
    )


@pytest.mark.parametrize("seeds", [2, 3, 6])
@pytest.mark.parametrize(
    "spreads",
    [(1.0, 0.0, 0.3), (0.0, 3.0, 0.3), (0.5, 2.0, 1.0), (0.3, 1.5, 4.0)],
    ids=["seeds", "units", "both", "noise"],
)
def test_95_of_100_intervals_hold_the_truth(seeds, spreads):
    random = np.random.default_rng(7)
    trials = 300
    covered = sum(
        each.low <= TRUTH <= each.high
        for number in range(trials)
        for each in [found(simulated(random, seeds, 40, spreads), number)]
    )
    # Three standard errors of the share below 95 %; more is cautious.
    assert covered / trials > 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)


def test_an_interval_over_images_alone_would_not_hold_it():
    random = np.random.default_rng(7)
    trials = 300
    covered = 0
    for number in range(trials):
        cells = simulated(random, 3, 40, (1.0, 0.0, 0.3))
        drawn = draw(40, 400, seed=number) @ cells.mean(axis=0) / 40
        low, high = np.quantile(drawn, [0.025, 0.975])
        covered += low <= TRUTH <= high
    assert covered / trials < 0.3


@pytest.mark.parametrize("spreads", [(1.0, 0.0, 0.3), (0.2, 1.0, 0.3)])
def test_chances_below_5_percent_are_5_percent_where_there_is_nothing(spreads):
    random = np.random.default_rng(11)
    trials = 300
    wrong = 0
    for number in range(trials):
        cells = simulated(random, 3, 40, spreads) - TRUTH
        wrong += found(cells, number).p < 0.05
    assert wrong / trials < 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


def test_without_images_it_is_students_paired_test():
    values = [0.9, 1.4, 0.2, 1.1]
    ours = difference(values, over_units=0.0, units=100)
    theirs = stats.ttest_1samp(values, 0.0)
    assert ours.p == pytest.approx(theirs.pvalue)
    interval = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx(tuple(interval))


def test_both_parts_by_hand():
    # Seeds: variance .08 / 2 = .04 of the mean, t(1) = 12.706; units: .0025,
    # t(10) = 2.228: sqrt(161.45 * .04 + 4.9646 * .0025) = 2.5437.
    ours = difference([1 - 0.2, 1 + 0.2], over_units=0.0025, units=11)
    assert ours.mean == pytest.approx(1.0)
    assert ours.high - 1 == pytest.approx(2.5437, abs=1e-3)
    assert 1 - ours.low == pytest.approx(2.5437, abs=1e-3)


def test_a_chance_is_where_the_interval_ends_at_nothing():
    values = [0.5, 1.5, 1.0]
    ours = difference(values, over_units=0.01, units=30)
    seeds, units = (stats.t.ppf(1 - ours.p / 2, free) for free in (2, 29))
    half = math.sqrt(seeds**2 * 0.25 / 3 + units**2 * 0.01)
    assert half == pytest.approx(1.0)
    far = difference([1.0, 1.0], over_units=1e-9, units=3000)
    assert far.p == 0.0  # Beyond what a float holds.


def test_seeds_that_are_needed_are_enough_and_none_too_many():
    ours = difference([0.5, 1.5, 1.0], over_units=0.001, units=50)
    needed = int(ours.seeds)

    def half(seeds):
        own, units = (stats.t.ppf(0.975, free) for free in (seeds - 1, 49))
        return math.sqrt(own**2 * 0.25 / seeds + units**2 * 0.001)

    assert half(needed) < 1.0 <= half(needed - 1)
    # What the images leave open, no seed tells.
    assert difference([1.0, 1.1], over_units=0.5, units=50).seeds == math.inf


def test_one_seed_or_one_image_tells_nothing():
    alone = difference([1.0], over_units=0.1, units=50)
    assert alone.mean == 1.0
    assert math.isnan(alone.low)
    assert math.isnan(alone.p)
    assert math.isnan(unit_variance([1.0, 2.0], units=1))
    assert math.isnan(difference([1.0, 2.0], math.nan, 1).high)


def test_nothing_apart_is_no_difference():
    same = difference([0.0, 0.0, 0.0], over_units=0.0, units=50)
    assert (same.low, same.high, same.p) == (0.0, 0.0, 1.0)
    assert same.seeds == math.inf


def test_drawn_units_vary_too_little_by_a_known_share():
    values = np.random.default_rng(3).standard_normal(12)
    drawn = draw(12, 200_000, seed=0) @ values / 12
    assert unit_variance(drawn, 12) == pytest.approx(
        values.var(ddof=1) / 12, rel=0.02
    )


def test_holm_by_hand():
    # Rising: .002 * 5, .01 * 4, .02 * 3, .021 * 2 = .042 -> .06, .5.
    chances = [0.021, 0.002, 0.5, 0.01, 0.02]
    assert holm(chances) == pytest.approx([0.06, 0.01, 0.5, 0.04, 0.06])
    assert holm([0.3, 0.4]) == pytest.approx([0.6, 0.6])
    assert holm([math.nan, 0.01]) == pytest.approx([1.0, 0.02])
    assert holm([]) == []


def rejected_step_by_step(chances, level):
    """Holm's procedure as he wrote it: the least first, until one fails."""
    left = sorted(range(len(chances)), key=chances.__getitem__)
    rejected = set()
    while left and chances[left[0]] <= level / len(left):
        rejected.add(left.pop(0))
    return rejected


@given(
    st.lists(st.floats(0, 1), max_size=12),
    st.floats(0.001, 0.3),
)
def test_corrected_chances_are_holms_procedure(chances, level):
    corrected = holm(chances)
    # What stands at the border itself is left to rounding.
    if any(abs(each - level) < 1e-9 for each in corrected):
        return
    ours = {place for place, each in enumerate(corrected) if each < level}
    assert ours == rejected_step_by_step(chances, level)
    assert all(c >= p for c, p in zip(corrected, chances, strict=True))


def test_holm_keeps_the_chance_of_any_false_find():
    random = np.random.default_rng(5)
    trials = 2000
    wrong = sum(
        min(holm(random.uniform(size=20))) < 0.05 for _ in range(trials)
    )
    assert wrong / trials < 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)
