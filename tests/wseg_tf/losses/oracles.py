"""The losses once more, in float64 NumPy, one pixel after another."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = Any


def softmax(logits: Array) -> Array:
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def cross_entropy(s: Array, t: Array, weights: Array) -> Array:
    return -(t * weights * np.log(s)).sum(-1)


def focal(s: Array, t: Array, weights: Array, gamma: float) -> Array:
    return -(t * weights * (1 - s) ** gamma * np.log(s)).sum(-1)


def importance_aware(
    s: Array, t: Array, groups: Sequence[int], a: float, margin: float
) -> float:
    """One-hot rows; the sum over the levels exactly as the formula reads."""
    truth = [groups[row.argmax()] for row in t]
    total, product = 0.0, 1.0
    for level in range(1, max(groups) + 1):
        if level > 1:
            within = [i for i in range(len(t)) if truth[i] >= level - 1]
            errors = 0.0
            for i in within:
                member = float(truth[i] >= level)
                true = (s[i] * t[i]).sum()
                errors += (np.sqrt(member + margin) * (true - member)) ** 2
            product *= errors / (2 * len(within)) + a
        for i in range(len(t)):
            if truth[i] >= level:
                total += product * -np.log((s[i] * t[i]).sum())
    return total / len(t)


def wasserstein_dice(
    s: Array, t: Array, D: Array, background: int | None
) -> float:
    """Of one image: rows of s and t are its pixels."""
    positives = errors = 0.0
    for predicted, target in zip(s, t, strict=True):
        cost = target @ D @ predicted
        errors += cost
        if background is None:
            positives += D.max() - cost
        else:
            depth = target @ D[:, background]
            positives += depth / D.max() * (depth - cost)
    return 1 - 2 * positives / (2 * positives + errors)


def gradient(value: Callable[[Array], float], at: Array) -> Array:
    """Central differences in float64."""
    result = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[index] = 1e-6
        result[index] = (value(at + step) - value(at - step)) / 2e-6
    return result
