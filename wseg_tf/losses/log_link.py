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
LEAST_FLOAT32 = float(np.finfo(np.float32).tiny)


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
            return slope * (each * upstream[:, None])

        return weights * loss[:, 0], gradient

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

    All logarithms are of one product [P, N] x [N, N] of exponentials.

    Args:
        logits: z, float32 `[P, N]`.
        target: t, float32 `[P, N]`; it gets no gradient.
        values: D `[N, N]`.

    Returns:
        float32 `[P]`.
    """
    shares, largest = saved_share(values)
    weighted = target * tf.constant(largest, tf.float32)

    def value_and_gradient(
        logits: tf.Tensor, weighted: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
        shifted = logits - tf.reduce_max(logits, axis=-1, keepdims=True)
        powers = tf.exp(shifted)
        total = tf.reduce_sum(powers, axis=-1, keepdims=True)
        kept = multiply(powers, shares.T)
        # Where all that a class keeps underflows, its own logit stands for it.
        seen = kept > LEAST_FLOAT32
        log_kept = tf.where(seen, tf.math.log(kept), shifted)
        loss = tf.reduce_sum(weighted * (tf.math.log(total) - log_kept), -1)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
            mass = tf.reduce_sum(weighted, axis=-1, keepdims=True)
            pull = tf.where(seen, weighted / kept, 0.0)
            slope = powers * (mass / total - multiply(pull, shares))
            slope -= tf.where(seen, 0.0, weighted)
            return slope * upstream[:, None], None

        return loss, gradient

    result: tf.Tensor = tf.custom_gradient(value_and_gradient)(logits, weighted)
    return result


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
