"""Convolutions and activations in the formulation that runs fastest."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf


@functools.cache
def has_dilated_gradient() -> bool:
    """Whether this TensorFlow differentiates dilated convolutions natively.

    GPUs and CPUs with oneDNN do; TensorFlow's own CPU kernels do not.

    Example:

    >>> has_dilated_gradient() in (True, False)
    True
    """
    with tf.init_scope():
        image, kernel = tf.zeros([1, 5, 5, 1]), tf.zeros([3, 3, 1, 1])
        with tf.GradientTape() as tape:
            tape.watch(image)
            output = tf.nn.conv2d(image, kernel, 1, "SAME", dilations=2)
        try:
            tape.gradient(output, image)
        except (tf.errors.OpError, NotImplementedError):
            return False
        return True


@keras.saving.register_keras_serializable(package="wseg_tf")
class DilatedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` without the detour through space and batch.

    `tf.nn.convolution`, which Keras calls, rearranges the image before and
    after a dilated convolution; at dilation 16 that takes longer than the
    convolution. The result is the same.

    Args:
        *args: Those of `keras.layers.Conv2D`.
        **kwargs: Those of `keras.layers.Conv2D`.

    Example:

    >>> DilatedConv2D(4, 3, padding="same", dilation_rate=2)(
    ...     tf.zeros([1, 5, 7, 3])
    ... ).shape
    TensorShape([1, 5, 7, 4])
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolves `[B, H, W, C]`."""
        if not has_dilated_gradient():
            return super().convolution_op(inputs, kernel)
        return tf.nn.conv2d(
            inputs,
            tf.convert_to_tensor(kernel),
            strides=list(self.strides),
            padding=self.padding.upper(),
            dilations=list(self.dilation_rate),
        )


@tf.custom_gradient
def prelu(inputs: tf.Tensor, slope: tf.Tensor) -> Any:
    """Returns `x` where it is positive and `slope * x` elsewhere.

    One factor per value serves both directions. It is neither a select nor a
    minimum, whose gradients are slow on CPUs.

    Args:
        inputs: `[..., C]`.
        slope: `[C]`.

    Returns:
        A tensor of the shape of `inputs`.

    Example:

    >>> prelu(tf.constant([[-2.0, 2.0]]), tf.constant([0.25, 0.5])).numpy()
    array([[-0.5,  2. ]], dtype=float32)
    """
    factor = slope + (1 - slope) * tf.cast(inputs > 0, inputs.dtype)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        axes = list(range(inputs.shape.rank - 1))
        negative = tf.minimum(inputs, 0)
        return upstream * factor, tf.reduce_sum(upstream * negative, axes)

    return inputs * factor, gradient


@keras.saving.register_keras_serializable(package="wseg_tf")
class PReLU(keras.layers.Layer):
    """Parametric ReLU with one slope per channel, 0.25 at first.

    Args:
        **kwargs: Those of every Keras layer.

    Example:

    >>> PReLU()(tf.constant([[-2.0, 2.0]])).numpy()
    array([[-0.5,  2. ]], dtype=float32)
    """

    def build(self, input_shape: Any) -> None:
        """Makes the slopes `[C]`."""
        self.slope = self.add_weight(
            name="slope",
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(0.25),
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Applies the function to `[..., C]`."""
        slope = tf.cast(self.slope, inputs.dtype)
        if training:
            return prelu(inputs, slope)
        # Three passes over the image, where the exact way takes four.
        return inputs + (slope - 1) * tf.minimum(inputs, 0)
