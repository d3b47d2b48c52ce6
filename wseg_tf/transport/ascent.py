"""From nearly optimal potentials to the optimum of the dual, never downhill.

The dual of optimal transport is `max <f, s> + <g, t>` with `f_i + g_j <= D_ij`.
Entropic potentials stay a few epsilons inside; the optimum is at a vertex,
where the tight constraints connect all classes by a tree. `to_vertex` grows
such a tree; `to_optimum` exchanges its edges, one a turn (the dual network
simplex method), until the plan along the tree has no negative mass.

A tree is kept as the cuts of its edges: without edge e it falls into two parts,
and the mass that one part has too much is what e carries. A cut is a set of
classes, packed into the bits of a few integers, and known up to its complement.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float64]

FAR = 1e30
# A plan may miss this share of a pixel's mass: float32 adds no finer.
NEGLIGIBLE = 1e-6
WORD = 62  # bits, of an int64


class SpanningTree(NamedTuple):
    """Tight constraints that connect all sources and targets of each pixel.

    Attributes:
        cuts: int64 `[P, E, W]`, for each edge the bits of one part.
        sources: int32 `[P, E]`, the source at one end of each edge.
        flows: float32 `[P, E]`, the mass each edge carries from its source to
            its target; negative where the tree is not optimal.
    """

    cuts: tf.Tensor
    sources: tf.Tensor
    flows: tf.Tensor


def conjugate(potential: tf.Tensor, cost: tf.Tensor) -> tf.Tensor:
    """Returns the largest partner: `g_j = min over i of cost[i, j] - f_i`.

    Args:
        potential: f, float32 `[P, N]`.
        cost: float32 `[N, N]`.

    Returns:
        float32 `[P, N]`.

    Example:

    >>> conjugate(tf.constant([[0.0, 1.0]]), tf.constant([[0.0, 2], [2, 0]]))
    <tf.Tensor: shape=(1, 2), dtype=float32,
    numpy=array([[ 0., -1.]], dtype=float32)>
    """
    return tf.reduce_min(tf.transpose(cost) - potential[:, None, :], axis=-1)


def to_vertex(
    pair: tf.Tensor, masses: tf.Tensor, cost: Array, root: tf.Tensor
) -> tuple[tf.Tensor, SpanningTree]:
    """Returns feasible potentials at a vertex, with no lower a value.

    It grows a connected set of classes from a root: it moves the potentials of
    all classes outside the set together, in the direction that gains, until a
    constraint between inside and outside is tight, and takes that class in.
    After 2 N - 1 steps of O(N) all are connected.

    Args:
        pair: f and g side by side, float32 `[P, 2 N]`, feasible.
        masses: s and t side by side, float32 `[P, 2 N]`, of equal sums.
        cost: `[N, N]`, from source (row) to target (column).
        root: int32 `[P]`, where in `pair` the connected set starts.

    Returns:
        A tuple of potentials, float32 `[P, 2 N]`, and the tree of constraints
        that are tight there.
    """
    count = len(cost)
    edges = 2 * count - 1
    none = np.full((count, count), FAR)
    table = tf.constant(np.block([[none, cost], [cost.T, none]]), tf.float32)
    sign = tf.constant(np.repeat([1.0, -1.0], count), tf.float32)
    signed = masses * sign
    bits = _bits(2 * count)

    # All that is outside has moved by one number: sources up by `shift`,
    # targets down. So `start` keeps what they came with, FAR below for those
    # inside, and `nearest` their slack to the inside, before the shift, with
    # `owner` the class inside that it is to.
    def take_in(
        node: tf.Tensor,
        shift: tf.Tensor,
        start: tf.Tensor,
        nearest: tf.Tensor,
        owner: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        own = tf.gather(start, node, batch_dims=1)
        own += tf.gather(sign, node) * shift
        mark = tf.one_hot(node, 2 * count)
        start = start - FAR * mark
        slack = tf.gather(table, node) - start - own[:, None]
        owner = tf.where(slack < nearest, node[:, None], owner)
        # Slack from an inside class is FAR more than it was; one FAR is enough.
        nearest = tf.minimum(nearest, slack) + FAR * mark
        return start, nearest, owner, mark * own[:, None]

    def step(
        edge: tf.Tensor,
        gain: tf.Tensor,
        shift: tf.Tensor,
        start: tf.Tensor,
        nearest: tf.Tensor,
        owner: tf.Tensor,
        result: tf.Tensor,
        tree: SpanningTree,
    ) -> tuple[tf.Tensor | SpanningTree, ...]:
        above, below = nearest[:, :count], nearest[:, count:]
        source = tf.argmin(above, axis=-1, output_type=tf.int32)
        target = tf.argmin(below, axis=-1, output_type=tf.int32)
        room_up = tf.gather(above, source, batch_dims=1)
        room_down = tf.gather(below, target, batch_dims=1)
        up = (gain >= 0.0) & (room_up < FAR / 2) | (room_down >= FAR / 2)
        shift = tf.where(up, room_up, -room_down)
        node = tf.where(up, source, target + count)
        parent = tf.gather(owner, node, batch_dims=1)
        mass = tf.gather(signed, node, batch_dims=1)
        # The new class lies beyond its own edge and all that its parent does.
        new = (tf.range(edges) == edge)[None, :]
        beyond = new | _holds(tree.cuts, tf.gather(bits, parent)[:, None])
        grown = SpanningTree(
            tf.bitwise.bitwise_or(
                tree.cuts, _where(beyond, tf.gather(bits, node))
            ),
            tf.where(new, tf.minimum(node, parent)[:, None], tree.sources),
            tree.flows + tf.where(beyond, mass[:, None], 0.0),
        )
        moved = take_in(node, shift, start, nearest, owner)
        return (
            edge + 1,
            gain - mass,
            shift,
            *moved[:3],
            result + moved[3],
            grown,
        )

    gain = -tf.gather(signed, root, batch_dims=1)
    nearest = tf.fill(tf.shape(pair), tf.constant(FAR))
    owner = tf.zeros_like(pair, tf.int32)
    first = take_in(root, tf.zeros_like(gain), pair, nearest, owner)
    pixels = [tf.shape(pair)[0]]
    empty = SpanningTree(
        tf.zeros([*pixels, edges, bits.shape[1]], tf.int64),
        tf.zeros([*pixels, edges], tf.int32),
        tf.zeros([*pixels, edges], tf.float32),
    )
    state = (tf.constant(0), gain, tf.zeros_like(gain), *first, empty)
    *_, result, tree = tf.while_loop(
        lambda *_: True, step, state, maximum_iterations=edges
    )
    inwards = _holds(tree.cuts, tf.gather(bits, tree.sources))
    flows = tf.where(inwards, tree.flows, -tree.flows)
    return result, tree._replace(flows=flows)


def to_optimum(
    pair: tf.Tensor,
    tree: SpanningTree,
    masses: tf.Tensor,
    cost: Array,
    exchanges: int,
) -> tf.Tensor:
    """Returns optimal potentials, by exchanging edges of the tree.

    The edge that carries the most negative mass leaves. The part at its source
    then has too little: its potentials move (sources down, targets up), which
    gains, until a constraint from the other part is tight; that one enters.

    Args:
        pair: f and g side by side, float32 `[P, 2 N]`, feasible.
        tree: Tight constraints that connect all classes.
        masses: s and t side by side, float32 `[P, 2 N]`, of equal sums.
        cost: `[N, N]`, from source (row) to target (column).
        exchanges: At most so many; it stops before when no pixel gains.

    Returns:
        float32 `[P, 2 N]`, feasible, with no lower a value.
    """
    count = len(cost)
    edges = 2 * count - 1
    sign = tf.constant(np.repeat([1.0, -1.0], count), tf.float32)
    bits = _bits(2 * count)
    everything = tf.reduce_sum(bits, axis=0)
    columns = tf.constant(cost.T, tf.float32)
    least = -NEGLIGIBLE * tf.reduce_sum(masses, axis=-1)

    def gains(_: tf.Tensor, tree: SpanningTree) -> tf.Tensor:
        return tf.reduce_any(tf.reduce_min(tree.flows, axis=-1) < least)

    def exchange(
        pair: tf.Tensor, tree: SpanningTree
    ) -> tuple[tf.Tensor, SpanningTree]:
        leaving = tf.argmin(tree.flows, axis=-1, output_type=tf.int32)
        flow = tf.gather(tree.flows, leaving, batch_dims=1)
        gaining = flow < least
        part = tf.gather(tree.cuts, leaving, batch_dims=1)
        own = tf.gather(bits, tf.gather(tree.sources, leaving, batch_dims=1))
        part = tf.where(_holds(part, own)[:, None], part, everything - part)
        inside = tf.cast(_holds(part[:, None], bits), tf.float32)
        # From sources of the other part to targets of this one.
        f = pair[:, :count] - FAR * inside[:, :count]
        g = pair[:, count:] - FAR * (1.0 - inside[:, count:])
        slack = tf.reduce_min(columns - f[:, None, :], axis=-1) - g
        target = tf.argmin(slack, axis=-1, output_type=tf.int32)
        source = tf.argmin(
            tf.gather(columns, target) - f, axis=-1, output_type=tf.int32
        )
        room = tf.gather(slack, target, batch_dims=1)
        # Only unequal masses leave nothing to enter.
        gaining &= room < FAR / 2
        room = tf.where(gaining, tf.maximum(room, 0.0), 0.0)
        pair -= room[:, None] * inside * sign
        # Edges on the circle that the new edge closes carry that mass too.
        gone = tf.range(edges) == leaving[:, None]
        new = gone & gaining[:, None]
        at_source = _holds(tree.cuts, tf.gather(bits, source)[:, None])
        at_target = _holds(tree.cuts, tf.gather(bits, target + count)[:, None])
        crossed = (at_source != at_target) & ~new & gaining[:, None]
        along = at_source == _holds(tree.cuts, tf.gather(bits, tree.sources))
        change = tf.where(along, flow[:, None], -flow[:, None])
        flows = tree.flows + tf.where(crossed, change, 0.0)
        flows = tf.where(gone, tf.maximum(-flow, 0.0)[:, None], flows)
        return pair, SpanningTree(
            tf.bitwise.bitwise_xor(tree.cuts, _where(crossed, part)),
            tf.where(new, source[:, None], tree.sources),
            flows,
        )

    result: tf.Tensor = tf.while_loop(
        gains, exchange, (pair, tree), maximum_iterations=exchanges
    )[0]
    return result


def _bits(nodes: int) -> tf.Tensor:
    """Returns the bit of each node in the words of a set, int64 `[V, W]`."""
    node = np.arange(nodes)
    table = np.zeros((nodes, -(-nodes // WORD)), np.int64)
    table[node, node // WORD] = np.int64(1) << (node % WORD)
    return tf.constant(table)


def _holds(sets: tf.Tensor, bit: tf.Tensor) -> tf.Tensor:
    """Returns whether each set holds a node, bool without the last axis."""
    common = tf.bitwise.bitwise_and(sets, bit)
    return tf.reduce_any(common != 0, axis=-1)


def _where(chosen: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
    """Returns `words` for the chosen edges, zeros for the others."""
    return tf.where(chosen[..., None], words[:, None], tf.constant(0, tf.int64))
