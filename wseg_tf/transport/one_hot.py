"""One-hot targets: every mass goes to the true class (Eq. 2), O(N) a pixel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.transport.products import row_sum
from wseg_tf.transport.softmax import exponentials

Array = npt.NDArray[np.float64]
Gradient = Callable[[tf.Tensor], tf.Tensor]


def label_table(rows: Array) -> npt.NDArray[np.float32]:
    """Returns one row a label: classes, then labels nobody knows, then void.

    Args:
        rows: `[N, N]`, a row per true class.

    Returns:
        float32 `[N + 2, N]`: row N is NaN, so that no bad label hides, and row
        N + 1 is zeros, so that void pixels cost nothing and need no mask.
    """
    count = rows.shape[1]
    extra = [np.full((1, count), np.nan), np.zeros((1, count))]
    return np.asarray(np.concatenate([rows, *extra]), np.float32)


def expected_cost(probabilities: tf.Tensor, costs: tf.Tensor) -> tf.Tensor:
    """Returns `sum(s * D[j])` for each pixel.

    Args:
        probabilities: s, float32 `[P, N]`.
        costs: The row of D of each pixel's true class, float32 `[P, N]`.

    Returns:
        float32 `[P]`. Source: Liu et al. (AAAI 2020), Eq. 2.

    Example:

    >>> expected_cost(tf.constant([[0.5, 0.5]]), tf.constant([[0.0, 4.0]]))
    <tf.Tensor: shape=(1,), dtype=float32, numpy=array([2.], dtype=float32)>
    """
    return row_sum(probabilities * costs)[:, 0]


def expected_cost_from_logits(
    logits: tf.Tensor,
    costs: tf.Tensor,
    valid: tf.Tensor,
    largest_cost: float = 1.0,
) -> tf.Tensor:
    """Returns `L = sum(softmax(z) * D[j])`; its gradient is `s * (D[j] - L)`.

    Args:
        logits: z, float32 `[P, N]`.
        costs: The row of D of each pixel's true class, float32 `[P, N]`; it
            gets no gradient; 0 where void.
        valid: bool `[P]`, False for void.
        largest_cost: Of D. Defaults to 1.

    Returns:
        float32 `[P]`.
    """

    def value_and_gradient(logits: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        powers, totals = exponentials(logits, valid, largest_cost)
        weighted, scale = powers * costs, 1.0 / totals
        loss = tf.reduce_sum(weighted, axis=-1, keepdims=True) * scale

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            each = scale * upstream[:, None]
            return weighted * each - powers * (loss * each)

        return loss[:, 0], gradient

    return tf.custom_gradient(value_and_gradient)(logits)
