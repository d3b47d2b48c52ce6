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

    def slack(node: tf.Tensor, pair: tf.Tensor) -> tf.Tensor:
        own = tf.gather(pair, node, batch_dims=1)
        return tf.gather(edges, node) - pair - own[:, None]

    def step(
        pair: tf.Tensor, outside: tf.Tensor, nearest: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        gain = tf.reduce_sum(outside * signed, axis=-1)
        room_up = tf.reduce_min(nearest[:, :count], axis=-1)
        room_down = tf.reduce_min(nearest[:, count:], axis=-1)
        up = ((gain >= 0.0) & (room_up < FAR / 2)) | (room_down >= FAR / 2)
        move = tf.where(up, room_up, -room_down)[:, None] * sign
        pair = pair + outside * move
        nearest = nearest - move
        on_side = tf.where(up[:, None], sign, -sign) > 0.0
        reachable = on_side & (outside > 0.0)
        node = tf.argmin(
            tf.where(reachable, nearest, FAR), axis=-1, output_type=tf.int32
        )
        outside = outside * (1.0 - tf.one_hot(node, 2 * count))
        nearest = tf.minimum(nearest, slack(node, pair))
        return pair, outside, tf.where(outside > 0.0, nearest, FAR)

    outside = 1.0 - tf.one_hot(root, 2 * count)
    nearest = tf.where(outside > 0.0, slack(root, pair), FAR)
    state = (pair, outside, nearest)
    result: tf.Tensor = tf.while_loop(
        lambda *_: True, step, state, maximum_iterations=2 * count - 1
    )[0]
    return result
