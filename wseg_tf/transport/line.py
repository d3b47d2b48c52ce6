"""Classes on a line: the monotone coupling, exact for every Monge matrix.

With S and T cumulated along the line, the coupling that never crosses gives W
as a sum of `M_ij min(S_i, T_j)`, M the mixed differences of D, and of linear
terms. Where `T_j >= S_i` that is `M_ij S_i`, otherwise `M_ij T_j`: so one
comparison a pair gives both the value and the slope in S.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.ground import Line
from wseg_tf.transport.products import multiply

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

    def value_and_gradient(
        source: tf.Tensor, target: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], Gradients]]:
        costs, potential = line_potential(source, target, line, values)

        def gradient(upstream: tf.Tensor) -> Gradients:
            # Of equal partial sums one alone may count; here it is t's.
            _, other = line_potential(
                target, source, line, values.T, are_ties_below=False
            )
            each = upstream[:, None]
            return potential * each, other * each

        return costs[:, 0], gradient

    result: tf.Tensor = tf.custom_gradient(value_and_gradient)(source, target)
    return result


def line_potential(
    source: tf.Tensor,
    target: tf.Tensor,
    line: Line,
    values: Array,
    are_ties_below: bool = True,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the costs, and the potential that is their gradient for s.

    Args:
        source: s, float32 `[P, N]`.
        target: t, float32 `[P, N]`.
        line: The order of the classes in which `values` is Monge.
        values: D `[N, N]`, rows truth.
        are_ties_below: Whether, of `S_i = T_j`, S_i is taken for the smaller:
            which side of the kink the potential is of.

    Returns:
        float32 `[P, 1]` and `[P, N]`.
    """
    classes = len(values)
    order = np.asarray(line.order)
    cost = values[np.ix_(order, order)].T  # [source, target] along the line
    # Both masses end at their total, so the last class leaves linear terms.
    last_source, last_target = -np.diff(cost[:, -1]), -np.diff(cost[-1, :])
    mixed = np.diff(np.diff(cost, axis=0), axis=1)
    upto = np.zeros((classes, classes - 1))
    upto[order] = np.triu(np.ones((classes, classes)))[:, :-1]
    upto_s, upto_t = multiply(source, upto), multiply(target, upto)
    larger, rest = _above(
        upto_s, upto_t, tf.constant(mixed, tf.float32), are_ties_below
    )
    slope = larger + tf.constant(last_source, tf.float32)
    each = tf.constant(last_target + mixed.sum(axis=0), tf.float32)
    costs = tf.reduce_sum(
        upto_s * slope + upto_t * each - rest, axis=-1, keepdims=True
    )
    return costs, multiply(slope, upto.T)


@tf.function(jit_compile=True)
def _above(
    s: tf.Tensor, t: tf.Tensor, mixed: tf.Tensor, are_ties_below: bool
) -> Gradients:
    """Returns, over the `t_j` above each `s_i`, the sums of M_ij and M_ij t_j.

    XLA fuses all N^2 comparisons into a loop over `[P, N - 1]`, and stores no
    pairs. It is compiled once for each P.
    """
    weights, masses = tf.zeros_like(s), tf.zeros_like(s)
    for column in range(s.shape[-1]):
        other = t[:, column, None]
        is_above = other >= s if are_ties_below else other > s
        weight = tf.where(is_above, mixed[:, column], 0.0)
        weights += weight
        masses += weight * other
    return weights, masses
