import numpy as np
import pytest
from scipy import stats

from pipeline.gate.bootstrap import draw, interval, replicate

RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize("units", [1, 7, 40])
def test_counts_are_those_of_sets_drawn_one_unit_at_a_time(units: int) -> None:
    counts = RANDOM.integers(0, 2**33, (units, 3, 3))
    found = replicate(counts, replicates=25, seed=5)
    drawn = np.random.default_rng(5).integers(0, units, (25, units))
    for row, chosen in zip(found, drawn, strict=True):
        np.testing.assert_array_equal(row, sum(counts[i] for i in chosen))


def test_in_blocks_as_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = RANDOM.integers(0, 100, (11, 2, 2))
    whole = replicate(counts, replicates=100, seed=1)
    monkeypatch.setattr("pipeline.gate.bootstrap._BLOCK", 70)
    np.testing.assert_array_equal(whole, replicate(counts, 100, seed=1))


def test_every_set_has_as_many_units_and_every_unit_comes_equally_often() -> (
    None
):
    drawn = draw(units=10, replicates=2000, seed=0)
    assert (drawn.sum(axis=1) == 10).all()
    # Of 20,000 draws each unit gets 2,000, give or take four deviations.
    assert np.abs(drawn.sum(axis=0) - 2000).max() < 4 * np.sqrt(1800)


def test_the_bound_is_the_normal_one_where_the_mean_is_normal() -> None:
    # A ratio of two counts over many images: the central limit theorem holds.
    hits = RANDOM.integers(0, 101, 400)
    counts = np.zeros([400, 2, 2], np.int64)
    counts[:, 0, 0], counts[:, 0, 1] = hits, 100 - hits
    drawn = replicate(counts, replicates=4000, seed=2)
    low, high = interval(drawn[:, 0, 0] / drawn[:, 0].sum(axis=-1), 0.95, 400)
    error = hits.std() / 100 / 20
    mean = hits.mean() / 100
    assert low == pytest.approx(mean - 1.645 * error, abs=0.1 * error)
    assert high == pytest.approx(mean + 1.645 * error, abs=0.1 * error)


def test_few_units_widen_the_interval_as_students_t_does() -> None:
    # The normal distribution as its own quantiles: bounds are quantiles.
    normal = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    for units in (5, 30):
        low, high = interval(normal, 0.95, units)
        student = stats.t.ppf(0.95, units - 1)
        expected = student * np.sqrt(units / (units - 1))
        assert high == pytest.approx(expected, abs=1e-3)
        assert low == pytest.approx(-expected, abs=1e-3)


def test_sets_without_the_score_count_against_it_at_both_ends() -> None:
    values = np.array([np.nan] * 4 + [0.5] * 96)
    assert interval(values, 0.95, 10_000) == (0.5, 0.5)
    values[:6] = np.nan
    assert interval(values, 0.95, 10_000) == (-np.inf, np.inf)
