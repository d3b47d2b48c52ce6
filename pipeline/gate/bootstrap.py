"""The bootstrap: what a score might have been on another evaluation set.

Evaluation sets are drawn with replacement from the units of the real one:
images, or whole drives. A confusion count of a drawn set is the sum of its
units' counts, so all sets together are one matrix product,
`[replicates, units] x [units, N * N]`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

Draws = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

# Weights of so many numbers are held at a time: 128 MB.
_BLOCK = 2**24


def draw(units: int, replicates: int, seed: int) -> Draws:
    """Draws how often each unit is in each drawn evaluation set.

    Args:
        units: Number of units.
        replicates: Number of sets, each of as many units.
        seed: The same seed draws the same sets.

    Returns:
        Multiplicities `[replicates, units]`; each row sums to `units`.

    Example:

    >>> draw(3, 2, seed=0).sum(axis=1)
    array([3, 3])
    """
    random = np.random.default_rng(seed)
    drawn = random.integers(0, units, (replicates, units))
    drawn += units * np.arange(replicates)[:, None]
    return np.bincount(drawn.ravel(), minlength=replicates * units).reshape(
        replicates, units
    )


def replicate(
    counts: npt.NDArray[np.int64], replicates: int, seed: int
) -> npt.NDArray[np.int64]:
    """Returns the confusion counts of drawn evaluation sets.

    Args:
        counts: Counts of the units `[units, N, N]`.
        replicates: Number of sets.
        seed: Counts of two models drawn by one seed are of the same sets.

    Returns:
        Counts `[replicates, N, N]`, exact up to 2^53. With N = 19, 5,000
        units and 1,000 replicates, at most 300 MB are in use.
    """
    units = len(counts)
    flat = counts.reshape(units, -1).astype(np.float64)
    weights = draw(units, replicates, seed)
    step = max(1, _BLOCK // units)
    # In float64 BLAS multiplies; integers would take a hundred times longer.
    parts = [
        weights[start : start + step].astype(np.float64) @ flat
        for start in range(0, replicates, step)
    ]
    total: npt.NDArray[np.int64] = np.concatenate(parts).astype(np.int64)
    return total.reshape(replicates, *counts.shape[1:])


def tail(confidence: float, units: int) -> float:
    """Returns the share of drawn sets beyond a bound of a confidence.

    It is that of the expanded percentile interval (Hesterberg 2015, "What
    Teachers Should Know About the Bootstrap"): smaller for few units, as
    Student's t wants it, since drawn sets vary less than new ones would.

    Args:
        confidence: 0.5..1.
        units: Number of units the sets were drawn from; at least 2.

    Example:

    >>> round(tail(0.95, 10_000), 3), round(tail(0.95, 5), 4)
    (0.05, 0.0086)
    """
    student = special.stdtrit(units - 1, confidence)
    return float(special.ndtr(-student * np.sqrt(units / (units - 1))))


def interval(
    values: Values, confidence: float, units: int
) -> tuple[float, float]:
    """Returns the one-sided bounds of a score: each holds with `confidence`.

    They are percentiles, further out for few units: see `tail`. A drawn set
    that the score does not exist on (the class is not in it) counts against
    the model at both ends.

    Args:
        values: The score on the drawn sets `[replicates]`; NaN where it does
            not exist.
        confidence: 0.5..1.
        units: Number of units the sets were drawn from; at least 2.

    Returns:
        The lower and the upper bound, infinite where too many sets lack the
        score.

    Example:

    >>> interval(np.arange(1001.0), 0.95, units=10_000)
    (49.0, 951.0)
    >>> interval(np.arange(1001.0), 0.95, units=10)
    (26.0, 974.0)
    """
    low = np.where(np.isnan(values), -np.inf, values)
    high = np.where(np.isnan(values), np.inf, values)
    beyond = tail(confidence, units)
    # A drawn value, never one between two: infinities cannot be averaged.
    return (
        float(np.quantile(low, beyond, method="lower")),
        float(np.quantile(high, 1 - beyond, method="higher")),
    )
