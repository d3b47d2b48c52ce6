"""Classes on a directed tree: a closed form, O(N) a pixel.

`W(s, t) = sum over edges of up * relu(S - T) + down * relu(T - S)`, S and T the
masses of s and t below the edge: whatever lies below in excess must leave, and
nothing moves twice. Membership is one small matrix for all pixels, so the
masses are a product [P, N] x [N, E].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.ground import Tree
from wseg_tf.transport.one_hot import row_sum

Array = npt.NDArray[np.float64]

Gradients = tuple[tf.Tensor, tf.Tensor]


def tree_cost(source: tf.Tensor, target: tf.Tensor, tree: Tree) -> tf.Tensor:
    """Returns the exact Wasserstein distance on a tree for each pixel.

    Args:
        source: s, float32 `[P, N]`, masses `>= 0`.
        target: t, float32 `[P, N]`, masses `>= 0` of the same sum.
        tree: The structure of the ground matrix.

    Returns:
        float32 `[P]`, with gradients for both: a potential of the optimal
        dual. Where S = T the cost has a kink and the gradient is that of the
        side S > T.

    Example:

    >>> from wseg_tf.ground import GroundMatrix
    >>> star = GroundMatrix([[0, 1], [4, 0]]).structure
    >>> s, t = tf.constant([[0.75, 0.25]]), tf.constant([[0.5, 0.5]])
    >>> float(tree_cost(s, t, star)[0])
    1.0
    """

    def value_and_gradient(
        source: tf.Tensor, target: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], Gradients]]:
        surplus = source - target
        potential = _potential(surplus, tree)

        def gradient(upstream: tf.Tensor) -> Gradients:
            weighted = potential * upstream[:, None]
            return weighted, -weighted

        # The cost is linear in the surplus wherever it is smooth (Euler).
        return row_sum(potential * surplus)[:, 0], gradient

    result: tf.Tensor = tf.custom_gradient(value_and_gradient)(source, target)
    return result


def total_tree_cost_from_logits(
    logits: tf.Tensor, target: tf.Tensor, weights: tf.Tensor, tree: Tree
) -> tf.Tensor:
    """Returns `sum(weights * tree_cost(softmax(logits), target))`.

    Softmax, cost and sum share one gradient, which saves passes over memory.

    Args:
        logits: z, float32 `[P, N]`.
        target: t, float32 `[P, N]`, summing to 1; it gets no gradient.
        weights: float32 `[P]`, no gradient either.
        tree: The structure of the ground matrix.

    Returns:
        A float32 scalar.
    """
    each = weights[:, None]

    def value_and_gradient(
        logits: tf.Tensor,
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        # Softmax is written out, so that its division meets the upstream
        # gradient on [P, 1]; sums that XLA can fuse are not made products.
        powers = tf.exp(logits - tf.reduce_max(logits, axis=-1, keepdims=True))
        scale = 1.0 / tf.reduce_sum(powers, axis=-1, keepdims=True)
        surplus = powers * scale - target
        potential = _potential(surplus, tree)
        mean = tf.reduce_sum(potential * powers, -1, keepdims=True) * scale
        cost = tf.reduce_sum(potential * surplus, -1, keepdims=True)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return powers * ((potential - mean) * (each * scale * upstream))

        return tf.reduce_sum(each * cost), gradient

    result: tf.Tensor = tf.custom_gradient(value_and_gradient)(logits)
    return result


def _potential(surplus: tf.Tensor, tree: Tree) -> tf.Tensor:
    """Returns, for each class, the up costs above it less the down costs.

    An edge counts `up` where more mass lies below it in s than in t, and
    `-down` otherwise: `(up + down) * [excess >= 0] - down`. The constant part
    is the potential of one more edge, below which nothing ever lies. The edges
    of a star are its classes, which saves both products.
    """
    edges, classes = tree.members.shape
    if tree.kind == "star":
        up, down = (
            tf.constant(costs @ tree.members, tf.float32)
            for costs in (tree.up, tree.down)
        )
        return tf.where(surplus >= 0.0, up, -down)
    below = np.zeros((classes, edges + 1))
    below[:, :edges] = tree.members.T
    costs = np.zeros((edges + 1, classes))
    costs[:edges] = (tree.up + tree.down)[:, None] * tree.members
    costs[edges] = -(tree.down[:, None] * tree.members).sum(0)
    excess = tf.linalg.matmul(surplus, tf.constant(below, tf.float32))
    rising = tf.cast(excess >= 0.0, tf.float32)
    return tf.linalg.matmul(rising, tf.constant(costs, tf.float32))
