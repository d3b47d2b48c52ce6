"""Any ground matrix: Sinkhorn's potentials, then the simplex method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.transport import ascent, pot, sinkhorn

Array = npt.NDArray[np.float64]

Gradients = tuple[tf.Tensor, tf.Tensor]

# Numbers in a block of pixels' N x N comparisons: 4 MB, so it stays in cache.
BLOCK = 2**20


@dataclass(frozen=True)
class Sinkhorn:
    """How hard the general solver tries; see `general_cost`.

    Args:
        epsilon: Weight of the entropy, in the units of D. Defaults to
            None: see `default_epsilon`.
        iterations: At most so many iterations. Defaults to 100.
        tolerance: It stops before when no pixel in a block misses more mass
            than this. Defaults to 1e-3.
        exchanges: At most so many steps of the simplex method after it, each
            O(N^2); 0 leaves the entropic potentials, which is a fifth of the
            work and inexact. Defaults to None: `20 N`, which was always enough
            for an exact result.

    Raises:
        ValueError: If one is out of range.
    """

    epsilon: float | None = None
    iterations: int = 100
    tolerance: float = 1e-3
    exchanges: int | None = None

    def __post_init__(self) -> None:
        """Refuses what makes no sense."""
        if self.epsilon is not None and not 0 < self.epsilon < np.inf:
            raise ValueError(
                "Invalid value for argument `epsilon`. Expected a finite "
                f"number > 0. Received: epsilon={self.epsilon}."
            )
        for name, least in (
            ("iterations", 1),
            ("tolerance", 0),
            ("exchanges", 0),
        ):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ValueError(
                    f"Invalid value for argument `{name}`. Expected >= "
                    f"{least}. Received: {name}={value}."
                )


def general_cost(
    source: tf.Tensor,
    target: tf.Tensor,
    values: Array,
    how: Sinkhorn,
    by_pot: bool = False,
) -> tf.Tensor:
    """Returns the Wasserstein distance for each pixel.

    The value is `<f, s> + <g, t>` for feasible potentials f, g of the
    unregularised dual: the optimal ones, up to rounding, and otherwise below.
    The potentials are its gradients: with the true distance W,
    `W(s', t') >= value + <f, s' - s> + <g, t' - t>` everywhere.

    Args:
        source: s, float32 `[P, N]`, masses `>= 0`; zeros are fine.
        target: t, float32 `[P, N]`, masses `>= 0` of the same sum.
        values: D `[N, N]`, rows truth.
        how: How hard it tries.
        by_pot: Whether POT solves it, see `wseg_tf.transport.pot`. Defaults to
            False.

    Returns:
        float32 `[P]`, with gradients for both, f centred on 0.

    Example:

    >>> s, t = tf.constant([[0.5, 0.5, 0.0]]), tf.constant([[0.0, 0.5, 0.5]])
    >>> D = np.array([[0.0, 2.0, 3.0], [1.0, 0.0, 4.0], [5.0, 1.0, 0.0]])
    >>> general_cost(s, t, D, Sinkhorn()).numpy()
    array([1.], dtype=float32)
    """
    cost = np.ascontiguousarray(values.T)  # From source to target.
    scale = float(cost.max())
    if scale == 0.0:
        return tf.zeros_like(source[:, 0])
    epsilon = (how.epsilon or default_epsilon(values)) / scale
    cost, count = cost / scale, len(cost)  # Its unit is the caller's.
    most = 20 * count if how.exchanges is None else how.exchanges
    table = tf.constant(cost, tf.float32)

    def sources(masses: tf.Tensor) -> tf.Tensor:
        """Returns f of a block of pixels."""
        if by_pot:
            return pot.source_potentials(masses, cost)
        s, t = masses[:, :count], masses[:, count:]
        g = sinkhorn.potentials(
            s, t, cost, epsilon, how.iterations, how.tolerance
        )
        f = ascent.conjugate(g, tf.transpose(table))
        pair = tf.concat([f, ascent.conjugate(f, table)], axis=-1)
        if most > 0:
            root = tf.argmax(s, axis=-1, output_type=tf.int32)
            pair, tree = ascent.to_vertex(pair, masses, cost, root)
            pair = ascent.to_optimum(pair, tree, masses, cost, most)
        return pair[:, :count]

    def solve(masses: tf.Tensor) -> tf.Tensor:
        """Returns f and g of a block of pixels, side by side."""
        f = sources(masses)
        f -= tf.reduce_mean(f, axis=-1, keepdims=True)
        pair = tf.concat([f, ascent.conjugate(f, table)], axis=-1)
        value = tf.reduce_sum(pair * masses, axis=-1, keepdims=True)
        return tf.where(value > 0.0, pair, 0.0)  # Zeros are feasible too.

    def value_and_gradient(
        source: tf.Tensor, target: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], Gradients]]:
        masses = tf.concat([source, target], axis=-1)
        pair = scale * _in_blocks(solve, masses, max(1, BLOCK // count**2))
        value = tf.reduce_sum(pair * masses, axis=-1)

        def gradient(upstream: tf.Tensor) -> Gradients:
            both = pair * upstream[:, None]
            return both[:, :count], both[:, count:]

        return value, gradient

    result: tf.Tensor = tf.custom_gradient(value_and_gradient)(source, target)
    return result


def default_epsilon(values: Array) -> float:
    """Returns a tenth of the median cost, in the range that scaling can hold.

    Args:
        values: D `[N, N]`, not all zeros.

    Returns:
        At most `max(D) / 40`, the least that float32 holds; where most costs
        are far below the largest, down to `max(D) / 340`, in float64.

    Example:

    >>> default_epsilon(np.array([[0.0, 4.0], [4.0, 0.0]]))
    0.1
    """
    largest = float(values.max())
    typical = float(np.median(values[~np.eye(len(values), dtype=bool)]))
    most = largest / sinkhorn.FLOAT32_RATIO
    return max(min(most, typical / 10), largest / sinkhorn.FLOAT64_RATIO)


def _in_blocks(
    solve: Callable[[tf.Tensor], tf.Tensor], rows: tf.Tensor, size: int
) -> tf.Tensor:
    """Returns `solve(rows)`, a block of rows at a time: memory stays O(P N)."""
    total, width = tf.shape(rows)[0], rows.shape[-1]
    if rows.shape[0] is not None and rows.shape[0] <= size:
        return solve(rows)
    blocks = (total + size - 1) // size
    padded = tf.pad(rows, [[0, blocks * size - total], [0, 0]])
    solved = tf.map_fn(
        solve, tf.reshape(padded, [-1, size, width]), parallel_iterations=2
    )
    return tf.reshape(solved, [-1, width])[:total]
