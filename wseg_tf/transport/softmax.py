"""A softmax's powers, without the pass that looks for each row's largest."""

from __future__ import annotations

import tensorflow as tf

# Between these the sum of a row's powers neither overflowed nor lost to
# underflow what counts: whatever became 0 is below 1e-18 of the sum.
LEAST_TOTAL, LARGEST_TOTAL = 1e-20, 1e30
# Within these float32 has all its digits.
LEAST_POWER, LARGEST_RATIO = 1e-37, 1e37


def zero_void(logits: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Returns logits, 0 at void pixels: a pass that is not for every batch.

    Args:
        logits: `[P, N]`.
        valid: bool `[P]`, False for void.
    """
    return tf.where(valid[:, None], logits, 0.0)


def log_softmax(logits: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Returns TensorFlow's, in which void pixels are no NaN.

    Args:
        logits: z, float32 `[P, N]`.
        valid: bool `[P]`, False for void.

    Returns:
        float32 `[P, N]`.
    """
    logarithms = tf.nn.log_softmax(logits)
    return tf.cond(
        # A row is NaN as a whole, or not at all.
        tf.reduce_any(tf.math.is_nan(logarithms[:, 0])),
        lambda: tf.nn.log_softmax(zero_void(logits, valid)),
        lambda: logarithms,
    )


def surprise(
    logits: tf.Tensor, labels: tf.Tensor, valid: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns `-log s_j` of each pixel's label j, and what makes the softmax.

    `log_softmax` takes as long as all else that cross-entropy does; the
    logarithm of a quotient of powers is as exact where none over- or underflow.

    Args:
        logits: z, float32 `[P, N]`.
        labels: j, int32 `[P]`.
        valid: bool `[P]`, False for void.

    Returns:
        float32 `[P]`, `[P, N]` and `[P, 1]`: the product of the last two is the
        softmax.

    Example:

    >>> z, j = tf.constant([[0.0, 0.0], [900.0, 0.0]]), tf.constant([0, 1])
    >>> [round(float(x), 2) for x in surprise(z, j, j < 2)[0]]
    [0.69, 900.0]
    """
    powers = tf.exp(logits)
    totals = tf.reduce_sum(powers, axis=-1, keepdims=True)
    chosen = tf.gather(powers, labels, batch_dims=1)
    ratio = totals[:, 0] / chosen
    is_safe = (chosen > LEAST_POWER) & (ratio < LARGEST_RATIO)

    def careful() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        logarithms = tf.nn.log_softmax(zero_void(logits, valid))
        losses = -tf.gather(logarithms, labels, batch_dims=1)
        return losses, tf.exp(logarithms), tf.ones_like(totals)

    losses, powers, scale = tf.cond(
        tf.reduce_all(is_safe),
        lambda: (tf.math.log(ratio), powers, 1.0 / totals),
        careful,
    )
    return losses, powers, scale


def exponentials(
    logits: tf.Tensor,
    valid: tf.Tensor | None = None,
    largest_cost: float = 1.0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns `exp(z)`, and its sums; their quotient is the softmax.

    The largest logit of a row is subtracted only where a sum of the batch would
    overflow or vanish without it, logits beyond some 45 below or 69 above 0:
    one pass over `[P, N]` less for nearly every network. Where XLA compiles, a
    loss takes a sixth to a third more time with TensorFlow's softmax.

    Args:
        logits: z, float32 `[P, N]`.
        valid: bool `[P]`; logits of other pixels that are NaN or infinite are
            taken as 0. Defaults to None: they stay.
        largest_cost: Of what powers will be multiplied by. Defaults to 1.

    Returns:
        Powers `[P, N]` and totals `[P, 1]`, each row in a scale of its own.

    Example:

    >>> powers, totals = exponentials(tf.constant([[0.0, 0.0], [900.0, 0.0]]))
    >>> (powers / totals).numpy().tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    powers = tf.exp(logits)
    totals = tf.reduce_sum(powers, axis=-1, keepdims=True)
    limit = LARGEST_TOTAL / max(largest_cost, 1.0)
    is_safe = (totals > LEAST_TOTAL) & (totals < limit)

    def shifted() -> tuple[tf.Tensor, tf.Tensor]:
        known = logits if valid is None else zero_void(logits, valid)
        largest = tf.reduce_max(known, axis=-1, keepdims=True)
        powers = tf.exp(known - largest)
        return powers, tf.reduce_sum(powers, axis=-1, keepdims=True)

    powers, totals = tf.cond(
        tf.reduce_all(is_safe), lambda: (powers, totals), shifted
    )
    return powers, totals
