"""The log link: -w log(1 - W / w), cross-entropy's shape over a ground matrix.

With w_j the largest entry of row j of D and M[j, i] = 1 - D[j, i] / w_j, the
share of the cost that predicting i saves, a pixel of class j has the loss
`-w_j log(sum_i s_i M[j, i])`. For the step matrix it is cross-entropy, for a
star importance-weighted cross-entropy; unlike W itself it does not go flat
where the prediction is wrong and confident.

A soft target takes the mean of its classes' losses, `sum_j t_j loss_j`: that is
linear in t, one-hot targets are a particular case, and for the step matrix it
is soft cross-entropy. (A link around W(s, t) itself would be 0 for s = t, but
no cross-entropy for any matrix.)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.transport.products import multiply, row_sum

Array = npt.NDArray[np.float64]

# What stands for log(0): beyond any logit, and its exponential is 0.
LOG_ZERO = -1e30
LEAST_PROBABILITY = 1e-7
# Sums of powers below it may have lost what counts to underflow.
LEAST_SUM = 1e-30


def saved_share(values: Array) -> tuple[Array, Array]:
    """Returns M and w of a ground matrix.

    Args:
        values: D `[N, N]`.

    Returns:
        M `[N, N]`, entries 0..1, 1 on the diagonal, and w `[N]`. A row of
        zeros has M = 1 and w = 0: its loss is 0.

    Example:

    >>> saved_share(np.array([[0.0, 1, 2], [4, 0, 4], [0, 0, 0]]))[0].tolist()
    [[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """
    largest = values.max(axis=1)
    scale = np.where(largest > 0, largest, 1.0)
    return 1.0 - values / scale[:, None], largest


def from_logits(
    logits: tf.Tensor, log_shares: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Returns `w * (logsumexp(z) - logsumexp(z + log M[j]))` for each pixel.

    Args:
        logits: z, float32 `[P, N]`.
        log_shares: log M of the row of each pixel's class, float32 `[P, N]`,
            `LOG_ZERO` for log 0; it gets no gradient.
        weights: w of each pixel's class, float32 `[P]`; no gradient either.

    Returns:
        float32 `[P]`.
    """
    each = weights[:, None]

    def value_and_gradient(
        logits: tf.Tensor,
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        saving = logits + log_shares
        loss = _log_sum_exp(logits) - _log_sum_exp(saving)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            slope = tf.nn.softmax(logits) - tf.nn.softmax(saving)
            return tf.math.multiply_no_nan(slope, each * upstream[:, None])

        return tf.math.multiply_no_nan(loss[:, 0], weights), gradient

    result: tf.Tensor = tf.custom_gradient(value_and_gradient)(logits)
    return result


def _log_sum_exp(values: tf.Tensor) -> tf.Tensor:
    largest = tf.reduce_max(values, axis=-1, keepdims=True)
    return largest + tf.math.log(row_sum(tf.exp(values - largest)))


def from_probabilities(
    probabilities: tf.Tensor, shares: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Returns `-w * log(sum(s * M[j]))` for each pixel.

    Args:
        probabilities: s, float32 `[P, N]`.
        shares: M of the row of each pixel's class, float32 `[P, N]`.
        weights: w of each pixel's class, float32 `[P]`.

    Returns:
        float32 `[P]`; the sum is kept above 1e-7, as Keras does.
    """
    kept = row_sum(probabilities * shares)[:, 0]
    return -weights * tf.math.log(tf.maximum(kept, LEAST_PROBABILITY))


def soft_from_logits(
    logits: tf.Tensor, target: tf.Tensor, values: Array
) -> tf.Tensor:
    """Returns `sum_j t_j * -w_j log(sum_i softmax(z)_i M[j, i])`.

    All logarithms are of one product [P, N] x [N, N] of exponentials; if what
    a class of the target keeps may have underflowed, of logarithms, class by
    class.

    Args:
        logits: z, float32 `[P, N]`.
        target: t, float32 `[P, N]`; it gets no gradient.
        values: D `[N, N]`.

    Returns:
        float32 `[P]`.

    Example:

    >>> z, t = tf.constant([[0.0, -500.0]]), tf.constant([[0.5, 0.5]])
    >>> float(soft_from_logits(z, t, np.array([[0.0, 1.0], [1.0, 0.0]]))[0])
    250.0
    """
    shares, largest = saved_share(values)
    scale = float(largest.max()) or 1.0
    weighted = target * tf.constant(largest / scale, tf.float32)

    def value_and_gradient(
        logits: tf.Tensor, weighted: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
        shifted = logits - tf.reduce_max(logits, axis=-1, keepdims=True)
        powers = tf.exp(shifted)
        kept = multiply(powers, shares.T)
        loss, slope = tf.cond(
            tf.reduce_any((kept < LEAST_SUM) & (weighted > 0.0)),
            lambda: _by_class(shifted, weighted, shares),
            lambda: _at_once(powers, kept, weighted, shares),
        )

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
            each = scale * upstream[:, None]
            return tf.math.multiply_no_nan(slope, each), None

        return scale * loss, gradient

    result: tf.Tensor = tf.custom_gradient(value_and_gradient)(logits, weighted)
    return result


def _at_once(
    powers: tf.Tensor, kept: tf.Tensor, weighted: tf.Tensor, shares: Array
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns values and slopes `[P]`, `[P, N]`, by products."""
    total, mass = row_sum(powers), row_sum(weighted)
    lost = tf.math.log(total) - tf.math.log(kept)
    loss = row_sum(tf.math.multiply_no_nan(lost, weighted))[:, 0]
    pull = tf.math.divide_no_nan(weighted, kept)
    return loss, powers * (mass / total - multiply(pull, shares))


def _by_class(
    shifted: tf.Tensor, weighted: tf.Tensor, shares: Array
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the same, a class of the target at a time."""
    with np.errstate(divide="ignore"):
        logarithms = np.maximum(np.log(shares), LOG_ZERO)
    table = tf.constant(logarithms, tf.float32)
    total, softmax = _log_sum_exp(shifted), tf.nn.softmax(shifted)

    def add(
        row: tf.Tensor, loss: tf.Tensor, slope: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        saving = shifted + table[row]
        kept = _log_sum_exp(saving)
        each = tf.gather(weighted, row, axis=-1)[:, None]
        more = tf.math.multiply_no_nan(total - kept, each)
        pull = softmax - tf.exp(saving - kept)
        slope += tf.math.multiply_no_nan(pull, each)
        return row + 1, loss + more[:, 0], slope

    start = tf.constant(0), tf.zeros_like(shifted[:, 0]), tf.zeros_like(shifted)
    _, loss, slope = tf.while_loop(
        lambda row, *_: row < len(shares), add, start
    )
    return loss, slope


def soft_from_probabilities(
    probabilities: tf.Tensor, target: tf.Tensor, values: Array
) -> tf.Tensor:
    """Returns `sum_j t_j * -w_j log(sum_i s_i M[j, i])`.

    Args:
        probabilities: s, float32 `[P, N]`.
        target: t, float32 `[P, N]`.
        values: D `[N, N]`.

    Returns:
        float32 `[P]`; each sum is kept above 1e-7, as Keras does.
    """
    shares, largest = saved_share(values)
    kept = multiply(probabilities, shares.T)
    log_kept = tf.math.log(tf.maximum(kept, LEAST_PROBABILITY))
    weights = tf.constant(largest, tf.float32)
    return -row_sum(target * weights * log_kept)[:, 0]
