"""FCN: VGG16 made fully convolutional, with skips from its pools."""

from __future__ import annotations

import keras
import tensorflow as tf

from wseg_tf.models.dropout import Dropout
from wseg_tf.models.preprocessing import (
    CropToImage,
    PadToMultiple,
    SubtractMean,
    Upsample,
)
from wseg_tf.models.scaling import scaled_channels
from wseg_tf.models.vgg import VGG16_BLOCKS, VGG16_STRIDE, convolution_name

InputShape = tuple[int | None, int | None, int]
ANY_SIZE: InputShape = (None, None, 3)


def fcn8s(
    classes: int,
    input_shape: InputShape = ANY_SIZE,
    width: float = 1.0,
    name: str = "fcn8s",
) -> keras.Model:
    """Builds FCN-8s: scores at stride 8, from the pools 3, 4 and fc7.

    From Long et al., "Fully Convolutional Networks for Semantic Segmentation"
    (2015), section 4. 134,314,081 parameters for 11 classes. It departs from
    the authors' Caffe networks in two ways: convolutions pad to keep the size
    where those pad the image by 100 pixels and crop, and scores grow by
    bilinear interpolation, which their transposed convolutions begin as and,
    the last one, stay.

    Args:
        classes: Number of classes, 1 or more.
        input_shape: Height, width and channels of the images; `None` for any.
        width: Factor on the channels inside the network.
        name: Name of the model.

    Returns:
        A model from RGB images `[B, H, W, 3]`, 0..255, to float32 logits
        `[B, H, W, classes]`. Inside, images become BGR less ImageNet's mean,
        padded to a multiple of 32.

    Example:

    >>> fcn8s(11, width=0.05).output_shape
    (None, None, None, 11)
    """
    return _fcn(classes, input_shape, width, name, (4, 3))


def fcn16s(
    classes: int,
    input_shape: InputShape = ANY_SIZE,
    width: float = 1.0,
    name: str = "fcn16s",
) -> keras.Model:
    """Builds FCN-16s: scores at stride 16, from pool 4 and fc7.

    Args:
        classes: Number of classes, 1 or more.
        input_shape: Height, width and channels of the images; `None` for any.
        width: Factor on the channels inside the network.
        name: Name of the model.

    Returns:
        A model as `fcn8s` returns.

    Example:

    >>> fcn16s(11, width=0.05).output_shape
    (None, None, None, 11)
    """
    return _fcn(classes, input_shape, width, name, (4,))


def fcn32s(
    classes: int,
    input_shape: InputShape = ANY_SIZE,
    width: float = 1.0,
    name: str = "fcn32s",
) -> keras.Model:
    """Builds FCN-32s: scores at stride 32, from fc7 alone.

    Args:
        classes: Number of classes, 1 or more.
        input_shape: Height, width and channels of the images; `None` for any.
        width: Factor on the channels inside the network.
        name: Name of the model.

    Returns:
        A model as `fcn8s` returns.

    Example:

    >>> fcn32s(11, width=0.05).output_shape
    (None, None, None, 11)
    """
    return _fcn(classes, input_shape, width, name, ())


def _fcn(
    classes: int,
    input_shape: InputShape,
    width: float,
    name: str,
    skips: tuple[int, ...],
) -> keras.Model:
    """Builds FCN with the pools in `skips` scored, coarsest first."""
    image = keras.Input(input_shape, name="image")
    x = SubtractMean(name="centre")(image)
    x = PadToMultiple(VGG16_STRIDE, name="pad")(x)

    pools = {}
    for block, (channels, count) in enumerate(VGG16_BLOCKS, 1):
        channels = scaled_channels(channels, width)
        for index in range(1, count + 1):
            x = convolution(x, channels, 3, convolution_name(block, index))
        x = keras.layers.MaxPooling2D(name=f"encoder_block{block}_pool")(x)
        pools[block] = x
    for layer, kernel in (("fc6", 7), ("fc7", 1)):
        channels = scaled_channels(4096, width)
        x = convolution(x, channels, kernel, f"encoder_{layer}")
        x = Dropout(0.5, name=f"encoder_{layer}_dropout")(x)

    scores = score(x, classes, "head_fc7_score")
    stride = VGG16_STRIDE
    for block in skips:
        stride //= 2
        scores = Upsample(2, name=f"decoder_stride{stride}")(scores)
        skip = score(pools[block], classes, f"head_pool{block}_score")
        scores = keras.layers.Add(name=f"decoder_stride{stride}_add")(
            [scores, skip]
        )
    logits = Upsample(stride, name="decoder_stride1")(scores)
    logits = CropToImage(name="logits")([logits, image])
    return keras.Model(image, logits, name=name)


def convolution(
    x: tf.Tensor, channels: int, kernel: int, name: str
) -> tf.Tensor:
    """Convolves and activates."""
    return keras.layers.Conv2D(
        channels,
        kernel,
        padding="same",
        activation="relu",
        kernel_initializer="he_normal",
        name=name,
    )(x)


def score(x: tf.Tensor, classes: int, name: str) -> tf.Tensor:
    """Scores each cell for each class, near zero at first.

    The authors begin at zero; features of centred images are in the hundreds.
    """
    near_zero = keras.initializers.RandomNormal(stddev=1e-4)
    return keras.layers.Conv2D(
        classes, 1, kernel_initializer=near_zero, name=name
    )(x)
