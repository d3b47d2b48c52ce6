"""Weights and the mean: how one loss a pixel becomes one a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from wseg_tf.pixel_weights import pixel_weights

if TYPE_CHECKING:
    from wseg_tf.losses.targets import Pixels

MEAN, WEIGHTED_MEAN = "sum_over_batch_size", "mean_with_sample_weight"
NAMES = {
    MEAN: MEAN,
    "mean": MEAN,
    "auto": MEAN,
    WEIGHTED_MEAN: WEIGHTED_MEAN,
    "sum": "sum",
    "none": "none",
    None: "none",
}


def checked_reduction(reduction: str | None) -> str:
    """Returns one name for what Keras has several names for.

    Args:
        reduction: What the user gave.

    Returns:
        `"sum_over_batch_size"`, `"mean_with_sample_weight"`, `"sum"` or
        `"none"`.

    Raises:
        ValueError: If it is none of Keras' names.

    Example:

    >>> checked_reduction("mean")
    'sum_over_batch_size'
    """
    if not isinstance(reduction, str | None) or reduction not in NAMES:
        raise ValueError(
            f"Invalid value for argument `reduction`. Expected one of "
            f"{tuple(NAMES)}. Received: reduction={reduction!r}."
        )
    return NAMES[reduction]


def reduce(
    losses: tf.Tensor,
    pixels: Pixels,
    sample_weight: Any = None,
    reduction: str | None = MEAN,
) -> tf.Tensor:
    """Weights and reduces one loss a pixel; void pixels count nowhere.

    `"sum_over_batch_size"` is `sum(weight * loss) / count(valid)`, and
    `"mean_with_sample_weight"` is `sum(weight * loss) / sum(weight of valid)`.
    Under a `tf.distribute` strategy what they divide by is its mean over
    replicas, so the mean of the replicas' losses is the mean over all valid
    pixels, wherever they lie.

    Args:
        losses: float32 `[P]`.
        pixels: What `flatten` returned.
        sample_weight: A weight a pixel `[...]` or `[..., 1]`, an image `[B]`,
            or a scalar. Defaults to None: all 1.
        reduction: One of Keras' names. Defaults to the mean over valid pixels.

    Returns:
        A scalar, or for `"none"` a map of `pixels.shape`, 0 where void. A batch
        without a valid pixel gives 0 and a zero gradient.

    Raises:
        ValueError: If `reduction` is none of Keras' names.

    Example:

    >>> from wseg_tf.losses.targets import flatten
    >>> pixels = flatten([0, 1, 9], [[1.0, 0.0]] * 3, ignore_class=9)
    >>> float(reduce(tf.constant([1.0, 3.0, 5.0]), pixels))
    2.0
    """
    weights = reduction_weights(pixels, sample_weight, reduction)
    losses = tf.math.multiply_no_nan(losses, weights)
    if checked_reduction(reduction) == "none":
        return tf.reshape(losses, pixels.shape)
    return tf.reduce_sum(losses)


def reduction_weights(
    pixels: Pixels, sample_weight: Any, reduction: str | None
) -> tf.Tensor:
    """Returns what each loss counts, so that the sum is the reduced loss.

    Args:
        pixels: What `flatten` returned.
        sample_weight: See `reduce`, or None.
        reduction: See `reduce`.

    Returns:
        float32 `[P]`; 0 for void.
    """
    weights = tf.cast(pixels.valid, tf.float32)
    count = tf.reduce_sum(weights)
    if sample_weight is not None:
        given = pixel_weights(sample_weight, pixels.shape)
        weights = tf.where(pixels.valid, given, 0.0)
    reduction = checked_reduction(reduction)
    if reduction in ("sum", "none"):
        return weights
    if reduction == WEIGHTED_MEAN:
        count = tf.reduce_sum(weights)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    context = tf.distribute.get_replica_context()
    if context is not None and replicas > 1:
        count = context.all_reduce(tf.distribute.ReduceOp.MEAN, count)
    share = 1.0 / replicas / keras_share(reduction)
    return weights * (share / tf.where(count > 0.0, count, 1.0))


def keras_share(reduction: str | None) -> float:
    """Returns what Keras' `fit` multiplies a reduced loss by.

    Keras 2 divides means, and no sums, by the number of replicas, as Keras 3
    leaves to the loss.

    Args:
        reduction: What `checked_reduction` returned.
    """
    is_mean = reduction in (MEAN, WEIGHTED_MEAN)
    if not is_mean or not keras.__version__.startswith("2."):
        return 1.0
    return 1.0 / float(tf.distribute.get_strategy().num_replicas_in_sync)


def image_weights(
    weights: tf.Tensor, sample_weight: Any, shape: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits weights into those of images and those of pixels within.

    Args:
        weights: What `pixel_weights` returned.
        sample_weight: What it was given: a scalar, `[B]` and `[B, 1]` are of
            images, anything else of pixels.
        shape: `[B, P / B]`.

    Returns:
        float32 `[B]` and `[P]`, one of the two all ones.
    """
    is_by_image = tf.reduce_all(tf.shape(sample_weight)[1:] == 1)
    by_image = tf.where(is_by_image, tf.reshape(weights, shape)[:, 0], 1.0)
    return by_image, tf.where(is_by_image, 1.0, weights)
