"""Whether the classes of new data occur as often as they used to.

Needs NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wseg_tf.classes import ClassSet
from wseg_tf.data.statistics import PixelStatistics


@dataclass(frozen=True)
class Drift:
    """A class whose share of the labelled pixels has changed too much.

    Args:
        name: Name of the class.
        before: Its share in the reference, 0..1.
        now: Its share in the new data, 0..1.
    """

    name: str
    before: float
    now: float

    @property
    def factor(self) -> float:
        """By how much the share has grown (or shrunk), at least 1."""
        least, most = sorted((self.before, self.now))
        return float("inf") if least == 0 else most / least

    @property
    def sentence(self) -> str:
        """What happened, for a person."""
        if self.now == 0:
            how = "gone"
        elif self.before == 0:
            how = "new"
        else:
            way = "more" if self.now > self.before else "less"
            how = f"{self.factor:.1f} times {way}"
        return (
            f"{self.name}: {self.before:.2%} of labelled pixels before, "
            f"{self.now:.2%} now ({how})."
        )


def class_drift(
    reference: PixelStatistics,
    current: PixelStatistics,
    classes: ClassSet,
    limit: float = 2.0,
) -> tuple[Drift, ...]:
    """Returns the classes whose frequency changed by more than a factor.

    With `p_k` and `q_k` the shares of class k among labelled pixels, class k
    has drifted where `max(p_k / q_k, q_k / p_k) > limit`. A factor, not a
    difference: the pedestrians of a street may vanish without any share
    changing by a hundredth.

    Args:
        reference: Of the data that is known to be good.
        current: Of the new data.
        classes: The class set of both.
        limit: Largest factor, above 1.

    Returns:
        The drifted classes, most important group first, then by factor.

    Raises:
        ValueError: If `limit` is not above 1, or statistics have another
            number of classes or no labelled pixel.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> road, car = CAMVID.index("road"), CAMVID.index("car")
    >>> before, now = [0] * 12, [0] * 12
    >>> before[road], before[car], now[road], now[car] = 90, 10, 98, 2
    >>> found = class_drift(
    ...     PixelStatistics.of_frame(before, (10, 10)),
    ...     PixelStatistics.of_frame(now, (10, 10)),
    ...     CAMVID,
    ... )
    >>> found[0].sentence
    'car: 10.00% of labelled pixels before, 2.00% now (5.0 times less).'
    """
    if not limit > 1:
        raise ValueError(
            "Invalid value for argument `limit`. Expected a factor above 1. "
            f"Received: limit={limit}."
        )
    for argument, each in (("reference", reference), ("current", current)):
        labelled = each.pixels[:-1]
        if len(labelled) != len(classes) or not labelled.any():
            raise ValueError(
                f"Invalid value for argument `{argument}`. Expected labelled "
                f"pixels of {len(classes)} classes ({classes.name}). "
                f"Received: {labelled.sum()} of {len(labelled)} classes."
            )
    before, now = reference.frequencies, current.frequencies
    # Products, not quotients: a class may be absent from either, or both.
    drifted = np.flatnonzero((before > limit * now) | (now > limit * before))
    found = [
        (classes.groups[k], Drift(classes.names[k], before[k], now[k]))
        for k in drifted.tolist()
    ]
    found.sort(key=lambda each: (-each[0], -each[1].factor))
    return tuple(drift for _, drift in found)
