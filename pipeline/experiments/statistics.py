"""How sure a difference between two trained methods is.

Two things differ from one comparison to the next: how the training went (its
seed) and which images or drives the models are judged on. With S seeds and U
units, and the difference d[s, u] = mu + a[s] + b[u] + e[s, u], the mean over
both has the variance var(a) / S + var(b) / U + var(e) / (S U). The spread of
the seeds' own differences gives the first part and the last, units drawn anew
the second and the last; so their sum is never too small. Drawing three seeds
from three would give two thirds of their variance and no tails: hence the
formula, with Student's t of each part's own degrees of freedom,

    half width^2 = t(S - 1)^2 V_seeds + t(U - 1)^2 V_units,

exact where one part is all there is, and wide rather than narrow between
(Satterthwaite's single number of degrees holds 91 of 100 with two seeds).

Sources: Owen (2007), "The pigeonhole bootstrap"; Graybill and Wang (1980),
"Confidence intervals on nonnegative linear combinations of variances"; Holm
(1979), "A simple sequentially rejective multiple test procedure".
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

CONFIDENCE = 0.95
# Beyond these "more" is said.
MOST_SEEDS = 100
# Power of ten of the least chance that is told from 0.
LEAST = -300.0


@dataclass(frozen=True)
class Difference:
    """A mean difference over seeds, and how sure it is.

    Args:
        mean: Over seeds.
        low: Lower end of its 95 % interval; NaN for one seed or one unit.
        high: Upper end.
        p: Chance of one as large, either way, if there were none.
        seeds: How many seeds would make the interval leave 0 out, if the mean
            and the spreads stayed as they are; infinite where no number would.
    """

    mean: float
    low: float
    high: float
    p: float
    seeds: float


def unit_variance(drawn: npt.ArrayLike, units: int) -> float:
    """Returns the variance of a mean that comes from its units.

    Args:
        drawn: The mean on sets of units drawn anew `[replicates]`; NaN where
            it does not exist.
        units: How many each set was drawn from.

    Returns:
        The variance; NaN for fewer than two units.

    Example:

    >>> unit_variance([1.0, 3.0, 2.0, np.nan], units=2)
    2.0
    """
    values = np.asarray(drawn, np.float64)
    values = values[~np.isnan(values)]
    if units < 2 or len(values) < 2:
        return math.nan
    # Drawn sets vary less than new ones would.
    return float(values.var(ddof=1)) * units / (units - 1)


def difference(
    values: Sequence[float], over_units: float, units: int
) -> Difference:
    """Returns what is known of a mean difference.

    Args:
        values: The difference for each seed `[S]`.
        over_units: What `unit_variance` returned for their mean.
        units: Number of units.

    Returns:
        The difference.

    Example:

    >>> found = difference([1.0, 2.0, 3.0], over_units=0.0, units=100)
    >>> round(found.low, 2), round(found.high, 2)  # 2 -+ 4.303 / sqrt(3)
    (-0.48, 4.48)
    """
    mean, count = statistics.fmean(values), len(values)
    if count < 2 or math.isnan(over_units) or math.isnan(mean):
        return Difference(mean, math.nan, math.nan, math.nan, math.nan)
    spread = statistics.variance(values)

    def half_width(seeds: int, chance: float = 1 - CONFIDENCE) -> float:
        parts = (spread / seeds, seeds - 1), (over_units, units - 1)
        return math.hypot(
            *(
                math.sqrt(variance) * float(special.stdtrit(free, chance / 2))
                for variance, free in parts
            )
        )

    def beyond(exponent: float) -> float:
        return half_width(count, 10**exponent) - abs(mean)

    if mean == 0:
        p = 1.0
    elif beyond(LEAST) < 0:
        p = 0.0
    else:
        p = 10 ** float(optimize.brentq(beyond, LEAST, 0.0))
    enough = (
        float(number)
        for number in range(2, MOST_SEEDS + 1)
        if half_width(number) < abs(mean)
    )
    half = half_width(count)
    needed = next(enough, math.inf)
    return Difference(mean, mean - half, mean + half, p, needed)


def holm(chances: Sequence[float]) -> list[float]:
    """Corrects chances for their number, as Holm does.

    Formula, for p_1 <= ... <= p_m in rising order:

    ```
    corrected_k = min(1, max over j <= k of (m - j + 1) p_j)
    ```

    Args:
        chances: What each test found; NaN counts as a test that found nothing.

    Returns:
        Corrected chances in the same order: those below 0.05 are found, with a
        chance of at most 5 % that any of them is not there.

    Example:

    >>> [round(p, 2) for p in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    values = np.nan_to_num(np.asarray(chances, np.float64), nan=1.0)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    rising = np.maximum.accumulate(values[order] * factors)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(rising, 1)
    return [float(value) for value in corrected]
