"""The doors of every network: images in, logits at the image's size out.

Preprocessing belongs to the model, so that serving cannot mismatch training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

# Means of ImageNet's red, green and blue, those Caffe's networks subtract.
IMAGENET_MEAN = (123.68, 116.779, 103.939)


def size_of(tensor: tf.Tensor) -> tuple[Any, Any]:
    """Returns the height and width of `[B, H, W, C]`.

    Args:
        tensor: A tensor of rank 4.

    Returns:
        Height and width: integers where they are static, scalar tensors where
        they are not.

    Example:

    >>> size_of(tf.zeros([2, 5, 7, 3]))
    (5, 7)
    """
    dynamic = tf.shape(tensor)
    height, width = (
        dynamic[axis] if tensor.shape[axis] is None else tensor.shape[axis]
        for axis in (1, 2)
    )
    return height, width


def padded(
    tensor: tf.Tensor, multiple: int, extra: int = 0, value: float = 0.0
) -> tf.Tensor:
    """Pads height and width, below and to the right, to the next multiple.

    Args:
        tensor: `[B, H, W, C]`.
        multiple: What height and width become a multiple of, 1 or more.
        extra: Added to the multiple. Defaults to 0.
        value: What is padded with. Defaults to 0.

    Returns:
        The padded tensor; the same one where its size is known and fits.

    Example:

    >>> padded(tf.zeros([1, 9, 16, 3]), 8).shape.as_list()
    [1, 16, 16, 3]
    """
    height, width = ((extra - size) % multiple for size in size_of(tensor))
    if tensor.shape[1:3].is_fully_defined() and height == width == 0:
        return tensor
    paddings = [[0, 0], [0, height], [0, width], [0, 0]]
    return tf.pad(tensor, paddings, constant_values=value)


def cropped(tensor: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Crops to the height and width of another tensor, undoing `padded`.

    Args:
        tensor: `[B, H, W, C]`.
        like: `[B, h, w, channels]`, no larger.

    Returns:
        `[B, h, w, C]`.

    Example:

    >>> cropped(tf.zeros([1, 16, 16, 2]), tf.zeros([1, 9, 16, 3])).shape
    TensorShape([1, 9, 16, 2])
    """
    size = like.shape[1:3]
    if size.is_fully_defined() and tensor.shape[1:3] == size:
        return tensor
    height, width = size_of(like)
    return tensor[:, :height, :width]


@keras.saving.register_keras_serializable(package="wseg_tf")
class ScaleImage(keras.layers.Layer):
    """Maps 0..255 to -1..1: `x / 127.5 - 1`.

    Args:
        **kwargs: Those of every Keras layer. The arithmetic is float32 unless
            `dtype` says otherwise, so that a low-precision policy rounds the
            scaled image and not the raw one.

    Example:

    >>> ScaleImage()(tf.constant([[[[0, 255, 51]]]], tf.uint8)).numpy()
    array([[[[-1. ,  1. , -0.6]]]], dtype=float32)
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Scales images `[B, H, W, 3]`, 0..255."""
        return tf.cast(inputs, self.compute_dtype) / 127.5 - 1.0


@keras.saving.register_keras_serializable(package="wseg_tf")
class SubtractMean(keras.layers.Layer):
    """Turns RGB 0..255 into BGR less ImageNet's mean, as Caffe's networks did.

    It is what the ImageNet weights of Keras' VGG16 and ResNet101 expect.

    Args:
        **kwargs: Those of every Keras layer; float32 unless `dtype` says
            otherwise.

    Example:

    >>> SubtractMean()(tf.constant([[[[255.0, 116.779, 0.0]]]])).numpy()
    array([[[[-103.939,    0.   ,  131.32 ]]]], dtype=float32)
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Centres images `[B, H, W, 3]`, 0..255."""
        images = tf.cast(inputs, self.compute_dtype)
        mean = tf.constant(IMAGENET_MEAN, self.compute_dtype)
        return tf.reverse(images - mean, axis=[-1])


@keras.saving.register_keras_serializable(package="wseg_tf")
class PadToMultiple(keras.layers.Layer):
    """Pads height and width with zeros to the next multiple.

    The zeros go below and to the right, so that cropping is a slice. After
    `ScaleImage` and `SubtractMean` zero is a mid grey or the mean colour.

    Args:
        multiple: What height and width become a multiple of, 1 or more.
        extra: Added to the multiple: 1 makes 9, 17, 25 of a multiple of 8.
        **kwargs: Those of every Keras layer.

    Example:

    >>> PadToMultiple(8)(tf.zeros([1, 9, 16, 3])).shape.as_list()
    [1, 16, 16, 3]
    """

    def __init__(self, multiple: int, extra: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiple = multiple
        self.extra = extra

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Pads images `[B, H, W, C]`."""
        return padded(inputs, self.multiple, self.extra)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        own = {"multiple": self.multiple, "extra": self.extra}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="wseg_tf")
class CropToImage(keras.layers.Layer):
    """Crops logits to the size of the image, undoing `PadToMultiple`.

    Args:
        **kwargs: Those of every Keras layer. Logits leave in float32 whatever
            the policy, unless `dtype` says otherwise.

    Example:

    >>> CropToImage()([tf.zeros([1, 16, 16, 2]), tf.zeros([1, 9, 16, 3])]).shape
    TensorShape([1, 9, 16, 2])
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Crops `[logits, image]`; both `[B, H, W, channels]`."""
        logits, image = inputs
        return cropped(tf.cast(logits, self.compute_dtype), image)


@keras.saving.register_keras_serializable(package="wseg_tf")
class Upsample(keras.layers.Layer):
    """Enlarges a feature map bilinearly by an integer factor.

    Args:
        factor: How many times larger, 2 or more.
        align_corners: Whether the corners of the first and last cells meet
            those of the result, `[B, (h-1) factor + 1, ...]`, as they should
            after strided convolutions padded on both sides; otherwise the
            result is `[B, h factor, ...]`, as after pooling 2x2 windows.
        **kwargs: Those of every Keras layer. The result is float32 whatever
            the policy, unless `dtype` says otherwise.

    Example:

    >>> row = tf.reshape(tf.constant([0.0, 2.0]), [1, 1, 2, 1])
    >>> Upsample(2)(row)[0, 0, :, 0].numpy()
    array([0. , 0.5, 1.5, 2. ], dtype=float32)
    >>> Upsample(2, align_corners=True)(row)[0, 0, :, 0].numpy()
    array([0., 1., 2.], dtype=float32)
    """

    def __init__(
        self, factor: int, align_corners: bool = False, **kwargs: Any
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.factor = factor
        self.align_corners = align_corners

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Enlarges `[B, h, w, C]`."""
        last = int(self.align_corners)
        size = [(side - last) * self.factor + last for side in size_of(inputs)]
        resized = tf.raw_ops.ResizeBilinear(
            images=inputs,
            size=tf.stack(size),
            align_corners=self.align_corners,
            half_pixel_centers=not self.align_corners,
        )
        resized = tf.ensure_shape(
            resized, [None, *(static(side) for side in size), inputs.shape[-1]]
        )
        return tf.cast(resized, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        own = {"factor": self.factor, "align_corners": self.align_corners}
        return {**super().get_config(), **own}


def static(size: Any) -> int | None:
    """Returns a size if it is known while the graph is traced, else None."""
    return size if isinstance(size, int) else None
