"""Entropic potentials by Sinkhorn's iterations, one kernel for all pixels.

The cost is the same for every pixel, so an iteration is two small products
[P, N] x [N, N], whatever P. The kernel exp(-D / epsilon) and the scalings span
`2 max(D) / epsilon` powers of e: float32 holds them up to a ratio of 40,
float64 up to 340, and beyond that the iterations work with logarithms.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.transport.products import multiply

FLOAT32_RATIO = 40.0
FLOAT64_RATIO = 340.0
BETWEEN_CHECKS = 10

Array = npt.NDArray[np.float64]

Updates = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def potentials(
    source: tf.Tensor,
    target: tf.Tensor,
    cost: Array,
    epsilon: float,
    iterations: int,
    tolerance: float,
) -> tf.Tensor:
    """Returns potentials g of the targets, near the optimum of the dual.

    Args:
        source: s, float32 `[P, N]`, masses `>= 0`; zeros are fine.
        target: t, float32 `[P, N]`, masses `>= 0` of the same sum.
        cost: `[N, N]`, from source (row) to target (column).
        epsilon: Weight of the entropy, in the units of `cost`, `> 0`.
        iterations: At most so many updates of both scalings, in tens.
        tolerance: It stops when no pixel's plan misses its sources' masses by
            more than this, summed over classes.

    Returns:
        float32 `[P, N]`; very low, but finite, where `t` is 0.
    """
    if float(cost.max()) / epsilon > FLOAT64_RATIO:
        update, start = _in_logarithms(source, target, cost, epsilon)
        return _repeat(update, start, iterations, tolerance)
    update, start = _by_scaling(source, target, cost, epsilon)
    scaling = _repeat(update, start, iterations, tolerance)
    smallest = start.dtype.as_numpy_dtype(np.finfo(np.float32).tiny)
    logarithm = tf.math.log(tf.maximum(scaling, smallest))
    return tf.cast(epsilon * logarithm, tf.float32)


def _repeat(
    update: Updates, start: tf.Tensor, iterations: int, tolerance: float
) -> tf.Tensor:
    """Returns the state after updates in tens, until the plan fits."""

    def again(count: tf.Tensor, _: tf.Tensor, missed: tf.Tensor) -> tf.Tensor:
        return (count < iterations) & (missed > tolerance)

    def ten(
        count: tf.Tensor, state: tf.Tensor, _: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return count + BETWEEN_CHECKS, *update(state)

    far = tf.constant(np.inf, start.dtype)
    loop = (tf.constant(0), start, far)
    state: tf.Tensor = tf.while_loop(again, ten, loop)[1]
    return state


def _by_scaling(
    source: tf.Tensor, target: tf.Tensor, cost: Array, epsilon: float
) -> tuple[Updates, tf.Tensor]:
    """Returns ten updates of v, where the plan is `u * kernel * v`."""
    narrow = float(cost.max()) / epsilon <= FLOAT32_RATIO
    dtype = tf.float32 if narrow else tf.float64
    kernel = np.exp(-cost / epsilon)
    s, t = tf.cast(source, dtype), tf.cast(target, dtype)

    def product(scaling: tf.Tensor, kernel: Array) -> tf.Tensor:
        if narrow:
            return multiply(scaling, kernel)
        return tf.linalg.matmul(scaling, tf.constant(kernel, dtype))

    def update(v: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        reach = product(v, kernel.T)
        for _ in range(BETWEEN_CHECKS):
            u = tf.math.divide_no_nan(s, reach)
            arriving = product(u, kernel)
            v = tf.math.divide_no_nan(t, arriving)
            reach = product(v, kernel.T)
        missed = tf.reduce_sum(tf.abs(u * reach - s), axis=-1)
        return v, tf.reduce_max(missed)

    return update, tf.ones_like(t)


def _in_logarithms(
    source: tf.Tensor, target: tf.Tensor, cost: Array, epsilon: float
) -> tuple[Updates, tf.Tensor]:
    """Returns ten updates of g; N times the work, for any epsilon."""
    smallest = np.finfo(np.float32).tiny
    log_s = epsilon * tf.math.log(tf.maximum(source, smallest))
    log_t = epsilon * tf.math.log(tf.maximum(target, smallest))
    scaled = tf.constant(cost / epsilon, tf.float32)

    def reached(potential: tf.Tensor, scaled: tf.Tensor) -> tf.Tensor:
        exponents = potential[:, None, :] / epsilon - scaled
        return epsilon * tf.reduce_logsumexp(exponents, axis=-1)

    def update(g: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        reach = reached(g, scaled)
        for _ in range(BETWEEN_CHECKS):
            f = log_s - reach
            g = log_t - reached(f, tf.transpose(scaled))
            reach = reached(g, scaled)
        plan = tf.exp((f + reach) / epsilon)
        missed = tf.reduce_sum(tf.abs(plan - source), axis=-1)
        return g, tf.reduce_max(missed)

    return update, tf.zeros_like(target)
