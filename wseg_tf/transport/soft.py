"""Soft targets from logits: softmax, transport and gradient in one pass.

The closed forms are many small steps over `[P, N]`. One after the other each
reads and writes all of it; compiled together they are a few loops. So XLA
compiles them, once for each number of pixels, in a fifth of a second.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from wseg_tf.ground import GroundMatrix, Line, Tree
from wseg_tf.transport.line import line_potential
from wseg_tf.transport.softmax import exponentials
from wseg_tf.transport.tree import tree_potential

Potential = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
Compiled = Callable[
    [tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]
]


def total_cost_from_logits(
    logits: tf.Tensor,
    target: tf.Tensor,
    weights: tf.Tensor,
    ground: GroundMatrix,
) -> tf.Tensor:
    """Returns `sum(weights * W(softmax(logits), target))`, in closed form.

    Args:
        logits: z, float32 `[P, N]`.
        target: t, float32 `[P, N]`, summing to 1; it gets no gradient.
        weights: float32 `[P]`, no gradient either. Where it is 0, logits may
            be NaN or infinite.
        ground: D, on a tree or a line.

    Returns:
        A float32 scalar.

    Raises:
        ValueError: If D has neither structure.

    Example:

    >>> D = GroundMatrix([[0, 1, 4], [1, 0, 1], [4, 1, 0]])
    >>> z, t = tf.zeros([1, 3]), tf.constant([[1.0, 0.0, 0.0]])
    >>> round(float(total_cost_from_logits(z, t, tf.ones([1]), D)), 4)
    1.6667
    """
    compiled = _compiled(ground)

    def value_and_gradient(
        logits: tf.Tensor,
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        total, slope = compiled(logits, target, weights)
        return total, lambda upstream: slope * upstream

    result: tf.Tensor = tf.custom_gradient(value_and_gradient)(logits)
    return result


@functools.lru_cache(maxsize=32)
def _compiled(ground: GroundMatrix) -> Compiled:
    """Returns the compiled total and its gradient for the logits."""
    potential_of = _potential(ground)
    largest_cost = float(ground.values.max())

    def total_and_slope(
        logits: tf.Tensor, target: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        powers, totals = exponentials(logits, weights != 0.0, largest_cost)
        scale, each = 1.0 / totals, weights[:, None]
        costs, potential = potential_of(powers * scale, target)
        mean = tf.reduce_sum(potential * powers, -1, keepdims=True) * scale
        slope = powers * ((potential - mean) * (each * scale))
        return tf.reduce_sum(costs * each), slope

    compiled: Compiled = tf.function(total_and_slope, jit_compile=True)
    return compiled


def _potential(ground: GroundMatrix) -> Potential:
    structure, values = ground.structure, ground.values
    if isinstance(structure, Tree):
        return functools.partial(
            tree_potential, tree=structure, is_compiled=True
        )
    if isinstance(structure, Line):
        return functools.partial(line_potential, line=structure, values=values)
    raise ValueError(
        "Invalid value for argument `ground`. Expected a matrix of a tree or "
        f"a line. Received: ground={ground!r}, kind {ground.kind!r}."
    )
