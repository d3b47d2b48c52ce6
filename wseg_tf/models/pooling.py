"""Max pooling that remembers where each maximum stood, and its inverse.

A 2x2 window has four positions, so what SegNet and ENet store as indices is
here a mask over them. Unpooling then is a product: exact, deterministic, and
compiled by XLA, where an argmax with scatter is none of the three.

Where a size is odd the last window is cut off, as in Caffe's SegNet: H rows
become (H + 1) // 2, and H again.

No tensor has more than five axes, which is what TensorFlow Lite slices, and
what is not trained has no gradient of its own, which nothing converts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.models.preprocessing import cropped, padded, size_of


def cells(tensor: tf.Tensor) -> tf.Tensor:
    """Views `[B, 2h, 2w, C]` as windows `[B h, 2, w, 2, C]`."""
    width, channels = size_of(tensor)[1], tensor.shape[-1]
    return tf.reshape(tensor, [-1, 2, width // 2, 2, channels])


def pool_with_mask(inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pools 2x2 windows to their maxima and marks where those stood.

    Args:
        inputs: `[B, H, W, C]`.

    Returns:
        The maxima `[B, h, w, C]`, h = (H + 1) // 2, and a mask `[B, H, W, C]`,
        which is 1 at the first maximum of each window in reading order, else
        0. No gradient flows through the mask.

    Example:

    >>> image = tf.reshape(tf.constant([1.0, 3.0, 3.0, 2.0]), [1, 2, 2, 1])
    >>> [each.numpy().ravel().tolist() for each in pool_with_mask(image)]
    [[3.0], [0.0, 1.0, 0.0, 0.0]]
    """
    pooled = tf.nn.max_pool2d(inputs, 2, 2, "SAME")
    (height, width), channels = size_of(pooled), pooled.shape[-1]
    maxima = tf.reshape(pooled, [-1, width, channels])
    windows = cells(padded(inputs, 2, value=inputs.dtype.min))
    is_first, is_second, is_third = (
        windows[:, row, :, column] >= maxima
        for row, column in ((0, 0), (0, 1), (1, 0))
    )
    is_upper = is_first | is_second
    positions = [
        is_first,
        is_second & ~is_first,
        is_third & ~is_upper,
        ~(is_upper | is_third),
    ]
    marks = tf.cast(tf.concat(positions, axis=-1), inputs.dtype)
    marks = tf.reshape(marks, [-1, height, width, 4 * channels])
    return pooled, cropped(tf.nn.depth_to_space(marks, 2), inputs)


@tf.custom_gradient
def max_pool_with_mask(inputs: tf.Tensor) -> Any:
    """Does what `pool_with_mask` does, with a gradient that uses the mask.

    Args:
        inputs: `[B, H, W, C]`.

    Returns:
        What `pool_with_mask` returns.

    Example:

    >>> image = tf.reshape(tf.constant([1.0, 3.0, 3.0, 2.0]), [1, 2, 2, 1])
    >>> [each.numpy().ravel().tolist() for each in max_pool_with_mask(image)]
    [[3.0], [0.0, 1.0, 0.0, 0.0]]
    """
    pooled, mask = pool_with_mask(inputs)

    def gradient(upstream: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return unpool(upstream, mask)

    return (pooled, mask), gradient


def unpool(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Puts each value back where the maximum stood, zeros elsewhere.

    Args:
        values: `[B, h, w, C]`.
        mask: `[B, H, W, C]` from `pool_with_mask`.

    Returns:
        A tensor of the mask's shape.

    Example:

    >>> mask = tf.reshape(tf.constant([0.0, 1.0, 0.0, 0.0]), [1, 2, 2, 1])
    >>> unpool(tf.fill([1, 1, 1, 1], 5.0), mask).numpy().ravel().tolist()
    [0.0, 5.0, 0.0, 0.0]
    """
    whole = padded(mask, 2)
    shape = [-1, 1, size_of(values)[1], 1, values.shape[-1]]
    spread = cells(whole) * tf.reshape(values, shape)
    return cropped(tf.reshape(spread, tf.shape(whole)), mask)


@tf.custom_gradient
def max_unpool(values: tf.Tensor, mask: tf.Tensor) -> Any:
    """Does what `unpool` does, with a gradient that is a pooling.

    Args:
        values: `[B, h, w, C]`.
        mask: `[B, H, W, C]` from `pool_with_mask`.

    Returns:
        What `unpool` returns.

    Example:

    >>> mask = tf.reshape(tf.constant([0.0, 1.0, 0.0, 0.0]), [1, 2, 2, 1])
    >>> max_unpool(tf.fill([1, 1, 1, 1], 5.0), mask).numpy().ravel().tolist()
    [0.0, 5.0, 0.0, 0.0]
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        marked = padded(upstream * mask, 2)
        # One of the four is not zero, so four times the mean is exact.
        return 4 * tf.nn.avg_pool2d(marked, 2, 2, "VALID"), None

    return unpool(values, mask), gradient


@keras.saving.register_keras_serializable(package="wseg_tf")
class MaxPoolingWithMask2D(keras.layers.Layer):
    """2x2 max pooling that also returns where the maxima stood.

    Args:
        **kwargs: Those of every Keras layer.

    Example:

    >>> pooled, mask = MaxPoolingWithMask2D()(tf.zeros([1, 4, 6, 8]))
    >>> pooled.shape, mask.shape
    (TensorShape([1, 2, 3, 8]), TensorShape([1, 4, 6, 8]))
    """

    def call(
        self, inputs: tf.Tensor, training: bool = False
    ) -> list[tf.Tensor]:
        """Pools `[B, H, W, C]` as `pool_with_mask` does."""
        pool = max_pool_with_mask if training else pool_with_mask
        return list(pool(inputs))


@keras.saving.register_keras_serializable(package="wseg_tf")
class MaxUnpooling2D(keras.layers.Layer):
    """Puts each value back where the maximum stood, zeros elsewhere.

    Args:
        **kwargs: Those of every Keras layer.

    Example:

    >>> inputs = [tf.zeros([1, 2, 3, 8]), tf.zeros([1, 4, 6, 8])]
    >>> MaxUnpooling2D()(inputs).shape
    TensorShape([1, 4, 6, 8])
    """

    def call(
        self, inputs: Sequence[tf.Tensor], training: bool = False
    ) -> tf.Tensor:
        """Unpools `[values [B, h, w, C], mask [B, H, W, C]]`."""
        values, mask = inputs
        spread = (max_unpool if training else unpool)(values, mask)
        spread.set_shape(mask.shape)
        return spread
