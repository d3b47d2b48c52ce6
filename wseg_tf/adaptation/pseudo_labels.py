"""Pseudo-labels: which pixels a model is sure of, class by class.

Probabilities are kept in 65,535 levels, `q = round(65535 p)`, each off by at
most 1 / 131,070. Everything after that is exact: the thresholds, of which a
count of each level is all there is to remember however large the target set,
and the comparisons with them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

LEVELS = 65535  # the level of probability 1; 16 bits
UNITS = 255  # what a stored soft label sums to; 8 bits

LevelCounts = npt.NDArray[np.int64]
Thresholds = npt.NDArray[np.int32]


def to_levels(probabilities: tf.Tensor) -> tf.Tensor:
    """Returns probabilities as levels.

    Args:
        probabilities: float32 `[...]`, 0..1.

    Returns:
        uint16 `[...]`; `level / 65535` is off by at most 1 / 131,070.

    Example:

    >>> to_levels(tf.constant([0.0, 0.5, 1.0])).numpy().tolist()
    [0, 32768, 65535]
    """
    scaled = tf.round(probabilities * LEVELS)
    # By way of int32: TensorFlow rounds to no uint16 of its own.
    return tf.cast(
        tf.cast(tf.clip_by_value(scaled, 0, LEVELS), tf.int32), tf.uint16
    )


def count_levels(levels: npt.NDArray[np.uint16]) -> LevelCounts:
    """Counts the largest levels of pixels by the class they are of.

    Counts of many images are added; their size does not change.

    Args:
        levels: Levels of some pixels, `[..., N]`.

    Returns:
        Counts `[N, 65536]` of pixels by predicted class (the first, where
        several are largest) and by its level.

    Example:

    >>> counts = count_levels(np.array([[9, 1], [9, 1], [3, 4]], np.uint16))
    >>> int(counts[0, 9]), int(counts[1, 4]), int(counts.sum())
    (2, 1, 3)
    """
    classes = levels.shape[-1]
    flat = levels.reshape(-1, classes)
    predicted = flat.argmax(axis=1)
    largest = flat[np.arange(len(flat)), predicted].astype(np.int64)
    bins = LEVELS + 1
    counts = np.bincount(predicted * bins + largest, minlength=classes * bins)
    return counts.reshape(classes, bins)


def thresholds(counts: LevelCounts, portion: float) -> Thresholds:
    """Returns the threshold of each class, as a level.

    Over the pixels predicted k, the element at `floor(n * portion) - 1` of
    their largest probabilities in descending order; 1 where there is none.

    Args:
        counts: What `count_levels` returned, over the whole target set.
        portion: Share of each class to keep, 0..1.

    Returns:
        Levels `[N]`; `l = level / 65535`.

    Example:

    >>> levels = np.array([[60000, 0], [50000, 0], [40000, 0], [30000, 0]])
    >>> thresholds(count_levels(levels.astype(np.uint16)), 0.5).tolist()
    [50000, 65535]
    """
    found = np.full(len(counts), LEVELS, np.int32)
    for k, own in enumerate(counts):
        place = math.floor(int(own.sum()) * portion)
        if place > 0:
            # The first level, from the top, that `place` pixels reach.
            reached = np.cumsum(own[::-1])
            found[k] = LEVELS - np.searchsorted(reached, place)
    return np.maximum(found, 1)


def ratios(levels: tf.Tensor, limits: tf.Tensor) -> tf.Tensor:
    """Returns p / l, exactly 1 where a level is its threshold.

    Args:
        levels: Levels `[..., N]`.
        limits: What `thresholds` returned, `[N]`.

    Returns:
        float32 `[..., N]`.
    """
    return tf.cast(levels, tf.float32) / tf.cast(limits, tf.float32)


def soft_labels(
    levels: tf.Tensor, limits: tf.Tensor, alpha: float = 0.25
) -> tf.Tensor:
    """Returns LRENT's soft labels, `y_k ~ (p_k / l_k)^(1 / alpha)`.

    A pixel is kept where `sum_k (p_k / l_k)^(1 / alpha) > 1`.

    Args:
        levels: Levels `[..., N]`.
        limits: What `thresholds` returned, `[N]`.
        alpha: Softness, 0.05..1. Defaults to 0.25.

    Returns:
        float32 `[..., N]`: distributions, and zeros where a pixel is not kept.

    Source: Zou et al. (ICCV 2019).

    Example:

    >>> levels = tf.constant([[49151, 16384], [30000, 35535]])
    >>> soft_labels(levels, tf.constant([49151, 65535])).numpy().round(3)
    array([[0.996, 0.004],
           [0.   , 0.   ]], dtype=float32)
    """
    ratio = ratios(levels, limits)
    powers = ratio**4 if alpha == 0.25 else ratio ** (1 / alpha)
    largest = tf.reduce_max(powers, axis=-1, keepdims=True)
    total = tf.reduce_sum(powers, axis=-1, keepdims=True)
    # Where the largest is its threshold, the least rest keeps the pixel: the
    # sum would lose it. It is small beside 1 or the sum is well above 1.
    is_first = tf.one_hot(tf.argmax(powers, axis=-1), powers.shape[-1])
    rest = tf.reduce_sum(powers * (1 - is_first), axis=-1, keepdims=True)
    return tf.where(rest > 1 - largest, powers / total, 0.0)


def hard_labels(levels: tf.Tensor, limits: tf.Tensor, void: int) -> tf.Tensor:
    """Returns CBST's labels, the class of the largest p_k / l_k.

    A pixel is kept where that is at least 1.

    Args:
        levels: Levels `[..., N]`.
        limits: What `thresholds` returned, `[N]`.
        void: Label of what is not kept.

    Returns:
        int32 `[...]`; where several classes are largest, the first.

    Source: Zou et al. (ECCV 2018).

    Example:

    >>> levels = tf.constant([[49151, 16384], [30000, 35535]])
    >>> hard_labels(levels, tf.constant([49151, 65535]), void=9).numpy()
    array([0, 9], dtype=int32)
    """
    ratio = ratios(levels, limits)
    chosen = tf.argmax(ratio, axis=-1, output_type=tf.int32)
    return tf.where(tf.reduce_max(ratio, axis=-1) >= 1, chosen, void)


def to_units(soft: tf.Tensor) -> tf.Tensor:
    """Returns soft labels as bytes that sum to 255.

    What is rounded is the running sum, so that no mass is lost.

    Args:
        soft: What `soft_labels` returned, `[..., N]`.

    Returns:
        uint8 `[..., N]`; `units / 255` is off by at most 1 / 255 in each class
        and sums to 1, or to 0 where a pixel is not kept.

    Example:

    >>> to_units(tf.constant([[1 / 3, 1 / 3, 1 / 3], [0, 0, 0]])).numpy()
    array([[85, 85, 85],
           [ 0,  0,  0]], dtype=uint8)
    """
    sums = tf.round(UNITS * tf.cumsum(soft, axis=-1))
    kept = tf.reduce_max(soft, axis=-1, keepdims=True) > 0
    last = tf.where(kept, float(UNITS), 0.0)
    sums = tf.concat([tf.minimum(sums[..., :-1], last), last], axis=-1)
    before = tf.concat([tf.zeros_like(last), sums[..., :-1]], axis=-1)
    return tf.cast(tf.cast(sums - before, tf.int32), tf.uint8)


def of_soft(soft: tf.Tensor, void: int) -> tf.Tensor:
    """Returns the likeliest class of soft labels.

    Args:
        soft: What `soft_labels` returned, `[..., N]`.
        void: Label of what is not kept.

    Returns:
        int32 `[...]`.
    """
    chosen = tf.argmax(soft, axis=-1, output_type=tf.int32)
    return tf.where(tf.reduce_max(soft, axis=-1) > 0, chosen, void)
