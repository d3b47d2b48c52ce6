"""Max pooling that remembers where each maximum stood, and its inverse.

A 2x2 window has four positions, so what SegNet and ENet store as indices is
here a mask over them. Unpooling then is a product: exact, deterministic, and
compiled by XLA, where an argmax with scatter is none of the three.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.models.preprocessing import size_of


@keras.saving.register_keras_serializable(package="wseg_tf")
class MaxPoolingWithMask2D(keras.layers.Layer):
    """2x2 max pooling that also returns where the maxima stood.

    Args:
        **kwargs: Those of every Keras layer.

    Example:

    >>> image = tf.reshape(tf.constant([1.0, 3.0, 3.0, 2.0]), [1, 2, 2, 1])
    >>> pooled, mask = MaxPoolingWithMask2D()(image)
    >>> pooled.numpy().ravel(), mask.numpy().ravel()
    (array([3.], dtype=float32), array([0., 1., 0., 0.], dtype=float32))
    """

    def call(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """Pools `[B, 2h, 2w, C]`.

        Returns:
            The maxima `[B, h, w, C]` and their mask `[B, 2h, 2w, C]`, which is
            1 at the first maximum of each window in reading order, else 0.
        """
        first, second, third, fourth = (
            inputs[:, row::2, column::2] for row in (0, 1) for column in (0, 1)
        )
        upper, lower = tf.maximum(first, second), tf.maximum(third, fourth)
        is_upper = upper >= lower
        is_left = tf.where(is_upper, first >= second, third >= fourth)
        positions = [
            is_upper & is_left,
            is_upper & ~is_left,
            ~is_upper & is_left,
            ~is_upper & ~is_left,
        ]
        mask = tf.nn.depth_to_space(
            tf.cast(tf.concat(positions, axis=-1), inputs.dtype), 2
        )
        return [tf.maximum(upper, lower), tf.stop_gradient(mask)]


@keras.saving.register_keras_serializable(package="wseg_tf")
class MaxUnpooling2D(keras.layers.Layer):
    """Puts each value back where the maximum stood, zeros elsewhere.

    Args:
        **kwargs: Those of every Keras layer.

    Example:

    >>> mask = tf.reshape(tf.constant([0.0, 1.0, 0.0, 0.0]), [1, 2, 2, 1])
    >>> MaxUnpooling2D()([tf.fill([1, 1, 1, 1], 5.0), mask]).numpy().ravel()
    array([0., 5., 0., 0.], dtype=float32)
    """

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Unpools `[values [B, h, w, C], mask [B, 2h, 2w, C]]`.

        Returns:
            A tensor of the mask's shape.
        """
        values, mask = inputs
        height, width = size_of(values)
        channels = values.shape[-1]
        windows = tf.reshape(mask, [-1, height, 2, width, 2, channels])
        spread = windows * values[:, :, tf.newaxis, :, tf.newaxis, :]
        return tf.reshape(spread, [-1, 2 * height, 2 * width, channels])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the mask's shape."""
        return input_shape[1]
