"""Pseudo-labels: which pixels a model is sure of, class by class.

Probabilities are kept in 65,535 levels, `q = 1 + round(65534 p)`, each off by
at most 1.5 / 65,535, and by a third of that where p is near 1. Everything after
that is exact: the thresholds, of which a count of each level is all there is to
remember however large the target set, and the comparisons with them.

No softmax gives a probability of 0, and it matters: where a network is so sure
that the threshold itself is at the level of 1, only what the other classes have
left lifts a sum above 1.

Levels come in planes, `[N, H, W]`: what runs over the classes then runs over
whole planes, several pixels an instruction.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

LEVELS = 65535  # the level of probability 1; 16 bits
NONE = LEVELS + 1  # a threshold that no level reaches
UNITS = 255  # what a stored soft label sums to; 8 bits
DOUBT = 1e-5  # several times what float32 loses of a sum of powers
ROWS = 16  # made into levels at a time, in a core's cache

Levels = npt.NDArray[np.uint16]
LevelCounts = npt.NDArray[np.int64]
Thresholds = npt.NDArray[np.int32]
Ids = npt.NDArray[np.uint8 | np.uint16]
Units = npt.NDArray[np.uint8]


def to_levels(probabilities: npt.NDArray[np.float32]) -> Levels:
    """Returns the probabilities of images as levels, in planes.

    Args:
        probabilities: float32 `[B, H, W, N]`, 0..1.

    Returns:
        uint16 `[B, N, H, W]`, 1 and more; `level / 65535` is off by at most
        `(1.5 - p) / 65535`.

    Example:

    >>> to_levels(np.array([[[[0.0, 0.5, 1.0]]]], np.float32)).ravel().tolist()
    [1, 32768, 65535]
    """
    images, height, width, classes = probabilities.shape
    levels = np.empty((images, classes, height, width), np.uint16)
    for own, each in zip(levels, probabilities, strict=True):
        for start in range(0, height, ROWS):
            rows = slice(start, start + ROWS)
            scaled = each[rows] * np.float32(LEVELS - 1)
            scaled += np.float32(1.5)  # What is cast is cut off.
            own[:, rows] = scaled.astype(np.uint16).transpose(2, 0, 1)
    return levels


def count_levels(levels: Levels) -> LevelCounts:
    """Counts the largest levels of pixels by the class they are of.

    Counts of many images are added; their size does not change.

    Args:
        levels: Levels of one image or of several, `[..., N, H, W]`.

    Returns:
        Counts `[N, 65536]` of pixels by predicted class (the first, where
        several are largest) and by its level.

    Example:

    >>> planes = np.array([[[9, 9, 3]], [[1, 1, 4]]], np.uint16)
    >>> counts = count_levels(planes)
    >>> int(counts[0, 9]), int(counts[1, 4]), int(counts.sum())
    (2, 1, 3)
    """
    classes = levels.shape[-3]
    largest = levels[..., 0, :, :].copy()
    predicted = np.zeros(largest.shape, _dtype(classes))
    for k, number in enumerate(_numbers(classes)[1:], 1):
        own = levels[..., k, :, :]
        is_larger = (own > largest).view(np.uint8)
        np.maximum(predicted, is_larger * number, out=predicted)
        np.maximum(largest, own, out=largest)
    bins = LEVELS + 1
    places = (predicted.astype(np.int64) * bins + largest).ravel()
    counts = np.bincount(places, minlength=classes * bins)
    return counts.reshape(classes, bins)


def thresholds(counts: LevelCounts, portion: float) -> Thresholds:
    """Returns the threshold of each class, as a level.

    Over the pixels predicted k, the element at `floor(n * portion) - 1` of
    their largest probabilities in descending order; where there is none, 1,
    which no softmax reaches and neither does a level: `NONE`.

    Args:
        counts: What `count_levels` returned, over the whole target set.
        portion: Share of each class to keep, 0..1.

    Returns:
        Levels `[N]`; `l = level / 65535`.

    Example:

    >>> planes = np.zeros([2, 1, 4], np.uint16)
    >>> planes[0] = [60000, 50000, 40000, 30000]
    >>> thresholds(count_levels(planes), 0.5).tolist()
    [50000, 65536]
    """
    found = np.full(len(counts), NONE, np.int32)
    for k, own in enumerate(counts):
        place = math.floor(int(own.sum()) * portion)
        if place > 0:
            # The first level, from the top, that `place` pixels reach.
            reached = np.cumsum(own[::-1])
            found[k] = LEVELS - np.searchsorted(reached, place)
    return np.maximum(found, 1)


def soft_labels(
    levels: Levels, limits: Thresholds, void: int, alpha: float = 0.25
) -> tuple[Ids, npt.NDArray[np.float32]]:
    """Returns LRENT's soft labels, `y_k ~ (p_k / l_k)^(1 / alpha)`.

    A pixel is kept where `sum_k (p_k / l_k)^(1 / alpha) > 1`.

    Args:
        levels: Levels `[N, H, W]`.
        limits: What `thresholds` returned, `[N]`.
        void: Label of what is not kept.
        alpha: Softness, 0.05..1. Defaults to 0.25.

    Returns:
        A tuple of the likeliest class of each pixel, `[H, W]`, uint8 or, for
        a void above 255, uint16, void where it is not kept, and the
        distributions of the kept pixels, float32 `[N, kept]`, row by row.

    Source: Zou et al. (ICCV 2019).

    Example:

    >>> planes = np.array([[[49151, 30000]], [[16384, 35535]]], np.uint16)
    >>> ids, soft = soft_labels(planes, np.array([49151, 65535]), void=9)
    >>> ids.tolist(), soft.round(3).T.tolist()
    ([[0, 9]], [[0.9959999918937683, 0.004000000189989805]])
    """
    shape = levels.shape[1:]
    power = np.empty(shape, np.float32)
    smaller = np.empty(shape, np.float32)
    largest = np.zeros(shape, np.float32)
    # The sum of all but the largest, apart: beside a largest of 1, the least
    # rest keeps a pixel, and the sum of both would lose it.
    rest = np.zeros(shape, np.float32)
    for plane, limit in zip(levels, limits, strict=True):
        _powers(plane, limit, alpha, power)
        rest += np.minimum(largest, power, out=smaller)
        np.maximum(largest, power, out=largest)
    kept = rest > 1 - largest
    doubtful = (np.abs(rest + largest - 1) < DOUBT) & (largest < 1)
    if doubtful.any():
        exact = levels[:, doubtful] / limits[:, np.newaxis]
        kept[doubtful] = (exact ** (1 / alpha)).sum(axis=0) > 1
    places = np.flatnonzero(kept)
    found = np.empty((len(levels), len(places)), np.float32)
    likeliest = np.zeros(len(places), _dtype(len(levels)))
    top = np.zeros(len(places), np.float32)
    numbers = _numbers(len(levels))
    for k, (own, number) in enumerate(zip(found, numbers, strict=True)):
        _powers(np.take(levels[k], places), limits[k], alpha, own)
        is_larger = (own > top).view(np.uint8)
        np.maximum(likeliest, is_larger * number, out=likeliest)
        np.maximum(top, own, out=top)
    found /= np.take(rest + largest, places)
    ids = np.full(shape, void, _dtype(void + 1))
    ids[kept] = likeliest
    return ids, found


def hard_labels(levels: Levels, limits: Thresholds, void: int) -> Ids:
    """Returns CBST's labels, the class of the largest p_k / l_k.

    A pixel is kept where that is at least 1.

    Args:
        levels: Levels `[N, H, W]`.
        limits: What `thresholds` returned, `[N]`.
        void: Label of what is not kept.

    Returns:
        Class ids `[H, W]`, uint8 or, for a void above 255, uint16; where
        several classes are largest, the first.

    Source: Zou et al. (ECCV 2018).

    Example:

    >>> planes = np.array([[[49151, 30000]], [[16384, 35535]]], np.uint16)
    >>> hard_labels(planes, np.array([49151, 65535]), void=9).tolist()
    [[0, 9]]
    """
    ids: Ids = np.full(levels.shape[1:], void, _dtype(void + 1))
    candidates = np.zeros(ids.shape, np.uint16)
    for k, (plane, limit) in enumerate(zip(levels, limits, strict=True)):
        reaches = plane >= limit
        candidates += reaches
        np.copyto(ids, ids.dtype.type(k), where=reaches)
    # Few pixels have several candidates, and need a ratio; of 16-bit numbers
    # float64 tells any two apart.
    several = candidates > 1
    ratios = levels[:, several] / limits[:, np.newaxis]
    ids[several] = ratios.argmax(axis=0)
    return ids


def to_units(soft: npt.NDArray[np.float32]) -> Units:
    """Returns distributions as bytes that sum to 255.

    What is rounded is the running sum, so that no mass is lost.

    Args:
        soft: Distributions `[N, ...]`.

    Returns:
        uint8 `[N, ...]`; `units / 255` is off by at most 1 / 255 in each class
        and sums to 1.

    Example:

    >>> to_units(np.full([3, 1], 1 / 3, np.float32)).ravel().tolist()
    [85, 85, 85]
    """
    units = np.empty(soft.shape, np.uint8)
    sums = np.zeros(soft.shape[1:], np.float32)
    before = np.zeros(soft.shape[1:], np.uint8)
    for own, plane in zip(units[:-1], soft[:-1], strict=True):
        sums += plane
        rounded = np.minimum(np.rint(UNITS * sums), UNITS).astype(np.uint8)
        np.subtract(rounded, before, out=own)
        before = rounded
    np.subtract(UNITS, before, out=units[-1])
    return units


def _dtype(count: int) -> np.dtype[Any]:
    """Returns what holds ids up to a number of them."""
    return np.dtype(np.uint8 if count <= 2**8 else np.uint16)


def _numbers(classes: int) -> Ids:
    """Returns the class ids, in their dtype."""
    return np.arange(classes).astype(_dtype(classes))


def _powers(
    levels: Levels, limit: int, alpha: float, out: npt.NDArray[np.float32]
) -> None:
    """Writes `(p / l)^(1 / alpha)` of one class."""
    np.divide(levels, np.float32(limit), out=out)
    if alpha == 0.25:
        np.square(out, out=out)
        np.square(out, out=out)
    else:
        np.power(out, np.float32(1 / alpha), out=out)
