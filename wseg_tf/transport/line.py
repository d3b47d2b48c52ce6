"""Classes on a line: the monotone coupling, exact for every Monge matrix.

With S and T cumulated along the line, the coupling that never crosses gives W
as a sum of `min(S_i, T_j)` against mixed differences of D: piecewise linear and
homogeneous in (S, T). So the gradient is a table read at the ranks of S among T
and of T among S, and the value is the gradient's product with S and T (Euler).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.ground import Line

Array = npt.NDArray[np.float64]

Gradients = tuple[tf.Tensor, tf.Tensor]


def line_cost(
    source: tf.Tensor, target: tf.Tensor, line: Line, values: Array
) -> tf.Tensor:
    """Returns the exact Wasserstein distance on a line for each pixel.

    Args:
        source: s, float32 `[P, N]`, masses `>= 0`.
        target: t, float32 `[P, N]`, masses `>= 0` of the same sum.
        line: The order of the classes in which `values` is Monge.
        values: D `[N, N]`, rows truth.

    Returns:
        float32 `[P]`, with gradients for both.

    Example:

    >>> from wseg_tf.ground import GroundMatrix
    >>> square = GroundMatrix.from_line([0, 1, 2]).power(2)
    >>> s, t = tf.constant([[0.5, 0.5, 0.0]]), tf.constant([[0.0, 0.5, 0.5]])
    >>> line_cost(s, t, square.structure, square.values).numpy()
    array([1.], dtype=float32)
    """
    classes = len(values)
    order = np.asarray(line.order)
    cost = values[np.ix_(order, order)].T  # [source, target] along the line
    # Both masses end at their total, so the last class leaves linear terms.
    last_source, last_target = -np.diff(cost[:, -1]), -np.diff(cost[-1, :])
    mixed = np.diff(np.diff(cost, axis=0), axis=1)
    # Sums over the j with T_j >= S_i, and over the i with S_i > T_j.
    after_source = last_source[:, None] + _suffix_sums(mixed)
    after_target = last_target[:, None] + _suffix_sums(mixed.T)
    upto = np.zeros((classes, classes - 1))
    upto[order] = np.triu(np.ones((classes, classes)))[:, :-1]
    cumulate = tf.constant(upto, tf.float32)

    def value_and_gradient(
        source: tf.Tensor, target: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], Gradients]]:
        upto_s = tf.linalg.matmul(source, cumulate)
        upto_t = tf.linalg.matmul(target, cumulate)
        rank_s, rank_t = _ranks(upto_s, upto_t)
        slope_s, slope_t = (
            _read(after_source, rank_s),
            _read(after_target, rank_t),
        )
        total = tf.reduce_sum(upto_s * slope_s + upto_t * slope_t, axis=-1)

        def gradient(upstream: tf.Tensor) -> Gradients:
            return tuple(
                tf.linalg.matmul(slope, cumulate, transpose_b=True)
                * upstream[:, None]
                for slope in (slope_s, slope_t)
            )

        return total, gradient

    result: tf.Tensor = tf.custom_gradient(value_and_gradient)(source, target)
    return result


@tf.function(jit_compile=True)
def _ranks(s: tf.Tensor, t: tf.Tensor) -> Gradients:
    """Returns how many `t < s[p, i]`, and how many `s <= t[p, i]`, int32.

    XLA fuses all N^2 comparisons into one loop over `[P, N - 1]`, which beats
    the binary search of `tf.searchsorted` up to 150 classes and, unlike XLA's
    own, stores no pairs. It is compiled once for each P.
    """
    rank_s, rank_t = tf.zeros_like(s, tf.int32), tf.zeros_like(t, tf.int32)
    for other in range(s.shape[-1]):
        rank_s += tf.cast(t[:, other, None] < s, tf.int32)
        rank_t += tf.cast(s[:, other, None] <= t, tf.int32)
    return rank_s, rank_t


def _suffix_sums(mixed: Array) -> Array:
    """Returns one more column: entry (i, k) sums `mixed[i, k:]`."""
    sums = np.zeros((len(mixed), len(mixed) + 1))
    sums[:, :-1] = np.cumsum(mixed[:, ::-1], axis=1)[:, ::-1]
    return sums


def _read(table: Array, column: tf.Tensor) -> tf.Tensor:
    """Returns `table[i, column[p, i]]` for all pixels p and rows i."""
    width = table.shape[1]
    start = tf.range(table.shape[0], dtype=tf.int32) * width
    flat = tf.constant(table.reshape(-1), tf.float32)
    return tf.gather(flat, column + start)
