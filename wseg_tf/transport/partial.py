"""Unequal masses on a directed tree (Eq. 1): exact, by a convex recursion.

All of the smaller mass moves, so where s weighs more, `sum(s) - sum(t)` of it
stays behind, free. What staying behind changes in the cost of the edges up to
some node is a convex function of the mass that does so below the node. For a
class it has two pieces: its surplus need not leave (slope `-up`), then what it
shares with t must come from elsewhere (slope `down`). A node adds its
children's functions by sorting their pieces by slope, and its own edge cuts
them where the node's surplus ends. Lengths depend on the pixel, slopes do not:
all sorting is done once, in NumPy, and pieces of one slope are one piece. Where
t weighs more, the same holds with s and t, up and down exchanged.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.ground import Tree
from wseg_tf.transport.products import multiply

Array = npt.NDArray[np.float64]

# Pieces a class, beyond which the general solver takes less memory. A tree of
# depth d has at most 2^d; equal costs make it far fewer.
MOST_PIECES = 32


class Cut(NamedTuple):
    """One edge's turn: the pieces below it are sorted and cut.

    Attributes:
        members: `[N, 1]`, 1 for the classes below the edge.
        rest: int `[K - k]`, the pieces that do not lie below it.
        sort: `[K, u]`, adds up the k pieces below by slope, in order.
    """

    members: Array
    rest: npt.NDArray[np.intp]
    sort: Array


class Plan(NamedTuple):
    """What does not depend on the pixel.

    Attributes:
        cuts: The edges above more than one class, from below.
        sort: `[K, u]`, adds up all pieces by slope at the root.
        slopes: `[u]`, in order.
    """

    cuts: list[Cut]
    sort: Array
    slopes: Array


def plan(members: npt.NDArray[np.bool_], up: Array, down: Array) -> Plan | None:
    """Returns how s stays behind, or None where it takes too many pieces.

    Args:
        members: bool `[E, N]`, the classes below each edge of a tree.
        up: `[E]`, cost of leaving.
        down: `[E]`, cost of entering; `up + down >= 0`.

    Returns:
        The `Plan`.
    """
    classes, sizes = members.shape[1], members.sum(1)
    leaves = sizes == 1
    own = members[leaves].T.astype(np.float64)
    slopes = np.concatenate([own @ -up[leaves], own @ down[leaves]])
    place = np.tile(np.arange(classes), 2)  # A class below each piece.
    cuts = []
    for edge in np.argsort(sizes, kind="stable")[leaves.sum() :]:
        inside = members[edge, place]
        sort, found = _by_slope(slopes, inside)
        rest = np.flatnonzero(~inside)
        cuts.append(Cut(members[edge][:, None].astype(float), rest, sort))
        slopes = np.concatenate(
            [slopes[rest], found - up[edge], found + down[edge]]
        )
        here = np.full(2 * len(found), members[edge].argmax())
        place = np.concatenate([place[rest], here])
        if len(slopes) > MOST_PIECES * classes:
            return None
    return Plan(cuts, *_by_slope(slopes, np.ones(len(slopes), bool)))


def _by_slope(
    slopes: Array, inside: npt.NDArray[np.bool_]
) -> tuple[Array, Array]:
    scale = np.abs(slopes).max(initial=0.0) or 1.0
    near = np.round(slopes[inside] / scale, 9)  # Equal but for rounding.
    found, column = np.unique(near, return_inverse=True)
    table = np.zeros((len(slopes), len(found)))
    table[np.flatnonzero(inside), column.reshape(-1)] = 1.0
    return table, found * scale


def partial_tree_cost(
    source: tf.Tensor, target: tf.Tensor, tree: Tree
) -> tf.Tensor | None:
    """Returns the exact cost of moving the smaller mass on a tree (Eq. 1).

    Args:
        source: s, float32 `[P, N]`, masses `>= 0`.
        target: t, float32 `[P, N]`, masses `>= 0`.
        tree: The structure of the ground matrix.

    Returns:
        float32 `[P]`, differentiable; None if the tree needs more than
        `MOST_PIECES` pieces a class.

    Example:

    >>> from wseg_tf.ground import GroundMatrix
    >>> star = GroundMatrix([[0, 1], [4, 0]]).structure
    >>> s, t = tf.constant([[0.75, 0.25]]), tf.constant([[0.125, 0.375]])
    >>> float(partial_tree_cost(s, t, star)[0])
    0.5
    """
    # Rooted in the middle the tree is shallow: below an edge, half the classes.
    turned = tree.members.sum(1) * 2 > tree.members.shape[1]
    members = tree.members ^ turned[:, None]
    up = np.where(turned, tree.down, tree.up)
    down = np.where(turned, tree.up, tree.down)
    there, back = plan(members, up, down), plan(members, down, up)
    if there is None or back is None:
        return None
    surplus = multiply(source - target, members.T)
    cost = multiply(tf.nn.relu(surplus), up[:, None])[:, 0]
    cost += multiply(tf.nn.relu(-surplus), down[:, None])[:, 0]
    change = _staying(source, target, there) + _staying(target, source, back)
    return cost + change


def _staying(heavy: tf.Tensor, light: tf.Tensor, plan: Plan) -> tf.Tensor:
    """Returns what it adds to the cost that the difference stays behind."""
    surplus = heavy - light
    lengths = tf.concat([tf.nn.relu(surplus), tf.minimum(heavy, light)], -1)
    for members, rest, sort in plan.cuts:
        below = multiply(lengths, sort)
        early = _first(below, multiply(surplus, members))
        lengths = tf.gather(lengths, rest, axis=-1)
        lengths = tf.concat([lengths, early, below - early], -1)
    lengths = multiply(lengths, plan.sort)
    total = tf.reduce_sum(surplus, axis=-1, keepdims=True)
    return multiply(_first(lengths, total), plan.slopes[:, None])[:, 0]


def _first(lengths: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Returns how much of each piece lies within the first `wanted`."""
    before = tf.cumsum(lengths, axis=-1, exclusive=True)
    return tf.minimum(lengths, tf.nn.relu(wanted - before))
