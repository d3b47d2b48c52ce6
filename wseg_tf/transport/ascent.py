"""From nearly optimal potentials to a vertex of the dual, never downhill.

The dual of optimal transport is `max <f, s> + <g, t>` with `f_i + g_j <= D_ij`.
Entropic potentials stay a few epsilons inside; the optimum is at a vertex,
where the tight constraints connect all classes. Each pass grows a connected set
of classes from a root: it moves the potentials of all classes outside the set
together, in the direction that gains, until a constraint between inside and
outside is tight, and takes that class in. After 2 N - 1 steps of O(N) all are
connected.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float64]

FAR = 1e30


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
) -> tf.Tensor:
    """Returns feasible potentials at a vertex, with no lower a value.

    Args:
        pair: f and g side by side, float32 `[P, 2 N]`, feasible.
        masses: s and t side by side, float32 `[P, 2 N]`, of equal sums.
        cost: `[N, N]`, from source (row) to target (column).
        root: int32 `[P]`, where in `pair` the connected set starts.

    Returns:
        float32 `[P, 2 N]`.
    """
    count = len(cost)
    none = np.full((count, count), FAR)
    edges = tf.constant(np.block([[none, cost], [cost.T, none]]), tf.float32)
    sign = tf.constant(np.repeat([1.0, -1.0], count), tf.float32)
    signed = masses * sign

    # All that is outside has moved by one number: sources up by `shift`,
    # targets down. So `start` keeps what they came with, FAR below for those
    # inside, and `nearest` their slack to the inside, before the shift.
    def take_in(
        node: tf.Tensor, shift: tf.Tensor, start: tf.Tensor, nearest: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        own = tf.gather(start, node, batch_dims=1)
        own += tf.gather(sign, node) * shift
        mark = tf.one_hot(node, 2 * count)
        start = start - FAR * mark
        slack = tf.gather(edges, node) - start - own[:, None]
        # Slack from an inside class is FAR more than it was; one FAR is enough.
        nearest = tf.minimum(nearest, slack) + FAR * mark
        return start, nearest, mark * own[:, None]

    def step(
        gain: tf.Tensor,
        shift: tf.Tensor,
        start: tf.Tensor,
        nearest: tf.Tensor,
        result: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        sources, targets = nearest[:, :count], nearest[:, count:]
        source = tf.argmin(sources, axis=-1, output_type=tf.int32)
        target = tf.argmin(targets, axis=-1, output_type=tf.int32)
        room_up = tf.gather(sources, source, batch_dims=1)
        room_down = tf.gather(targets, target, batch_dims=1)
        up = (gain >= 0.0) & (room_up < FAR / 2) | (room_down >= FAR / 2)
        shift = tf.where(up, room_up, -room_down)
        node = tf.where(up, source, target + count)
        gain -= tf.gather(signed, node, batch_dims=1)
        start, nearest, settled = take_in(node, shift, start, nearest)
        return gain, shift, start, nearest, result + settled

    gain = -tf.gather(signed, root, batch_dims=1)
    nearest = tf.fill(tf.shape(pair), tf.constant(FAR))
    first = take_in(root, tf.zeros_like(gain), pair, nearest)
    state = (gain, tf.zeros_like(gain), *first)
    result: tf.Tensor = tf.while_loop(
        lambda *_: True, step, state, maximum_iterations=2 * count - 1
    )[-1]
    return result
