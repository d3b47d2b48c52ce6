"""Classes on a directed tree: a closed form, O(N) a pixel.

`W(s, t) = sum over edges of up * relu(S - T) + down * relu(T - S)`, S and T the
masses of s and t below the edge: whatever lies below in excess must leave, and
nothing moves twice. Membership is one small matrix for all pixels, so the
masses are a product [P, N] x [N, E].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from wseg_tf.ground import Tree
from wseg_tf.transport.products import multiply

Gradients = tuple[tf.Tensor, tf.Tensor]

# Summands a class, beyond which products of matrices take less time.
MOST_SUMMANDS = 2


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
        costs, potential = tree_potential(source, target, tree)

        def gradient(upstream: tf.Tensor) -> Gradients:
            weighted = potential * upstream[:, None]
            return weighted, -weighted

        return costs[:, 0], gradient

    result: tf.Tensor = tf.custom_gradient(value_and_gradient)(source, target)
    return result


def tree_potential(
    source: tf.Tensor, target: tf.Tensor, tree: Tree, is_compiled: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the costs, and the potential that is their gradient for s.

    An edge counts `up` for the classes below it where more mass lies below it
    in s than in t, and `-down` otherwise: two products, or for a star, and
    where XLA makes one loop of it, selects and a few sums.

    Args:
        source: s, float32 `[P, N]`.
        target: t, float32 `[P, N]`.
        tree: The structure of the ground matrix.
        is_compiled: Whether XLA compiles this. Defaults to False.

    Returns:
        float32 `[P, 1]` and `[P, N]`; the gradient for t is the negative.
    """
    surplus = source - target
    inner = tree.members.sum(axis=1) > 1
    few = tree.members[inner].sum() <= MOST_SUMMANDS * tree.members.shape[1]
    if tree.kind == "star":
        potential = _leaves(surplus, tree)
    elif is_compiled and few:
        part = Tree(tree.members[inner], tree.up[inner], tree.down[inner])
        potential = _leaves(surplus, tree) + _by_sums(surplus, part)
    else:
        potential = _by_products(surplus, tree)
    # The cost is linear in the surplus wherever it is smooth (Euler).
    costs = tf.reduce_sum(potential * surplus, axis=-1, keepdims=True)
    return costs, potential


def _leaves(surplus: tf.Tensor, tree: Tree) -> tf.Tensor:
    leaves = tree.members.sum(axis=1) == 1
    up, down = (
        tf.constant(costs[leaves] @ tree.members[leaves], tf.float32)
        for costs in (tree.up, tree.down)
    )
    return tf.where(surplus >= 0.0, up, -down)


def _by_sums(surplus: tf.Tensor, tree: Tree) -> tf.Tensor:
    potential = tf.zeros([])
    for members, up, down in zip(tree.members, tree.up, tree.down, strict=True):
        below = [surplus[:, k, None] for k in np.flatnonzero(members)]
        paid = tf.where(
            tf.add_n(below) >= 0.0,
            tf.constant(up * members, tf.float32),
            tf.constant(-down * members, tf.float32),
        )
        potential += paid
    return potential


def _by_products(surplus: tf.Tensor, tree: Tree) -> tf.Tensor:
    """Returns `sum over edges of (up + down) * [excess >= 0] - down`.

    The constant part is the potential of one more edge, below which nothing
    ever lies; a cast is faster than a select.
    """
    edges, classes = tree.members.shape
    below = np.zeros((classes, edges + 1))
    below[:, :edges] = tree.members.T
    costs = np.zeros((edges + 1, classes))
    costs[:edges] = (tree.up + tree.down)[:, None] * tree.members
    costs[edges] = -(tree.down[:, None] * tree.members).sum(0)
    excess = multiply(surplus, below)
    rising = tf.cast(excess >= 0.0, tf.float32)
    return multiply(rising, costs)
