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
        dual. Where S = T the cost has a kink and the gradient is the mean of
        both sides.

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
        probabilities = tf.nn.softmax(logits)
        surplus = probabilities - target
        potential = _potential(surplus, tree)
        weighted = probabilities * potential
        mean = tf.reduce_sum(weighted, -1, keepdims=True)
        cost = tf.reduce_sum(potential * surplus, -1, keepdims=True)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return (weighted - probabilities * mean) * (each * upstream)

        return tf.reduce_sum(each * cost), gradient

    result: tf.Tensor = tf.custom_gradient(value_and_gradient)(logits)
    return result


def _potential(surplus: tf.Tensor, tree: Tree) -> tf.Tensor:
    """Returns, for each class, the up costs above it less the down costs.

    An edge counts `up` where more mass lies below it in s than in t, `-down`
    where less does, and the mean of both where it is the same. Below the edge
    of a class lies the class itself, which takes no product; a star has no
    other edges. A sign times half the sum is a third faster than a choice.
    """
    leaf = tree.members.sum(axis=1) == 1
    half = tree.members * ((tree.up + tree.down) / 2)[:, None]
    middle = ((tree.up - tree.down) / 2) @ tree.members
    potential = tf.sign(surplus) * tf.constant(half[leaf].sum(0), tf.float32)
    potential += tf.constant(middle, tf.float32)
    if leaf.all():
        return potential
    inner = tf.constant(tree.members[~leaf].T, tf.float32)
    rising = tf.sign(tf.linalg.matmul(surplus, inner))
    return potential + tf.linalg.matmul(
        rising, tf.constant(half[~leaf], tf.float32)
    )
