"""ResNet with dilation in place of its last two strides."""

from __future__ import annotations

import keras
import tensorflow as tf

from wseg_tf.models.convolution import DilatedConv2D
from wseg_tf.models.scaling import scaled_channels

RESNET101_BLOCKS = (3, 4, 23, 3)
# Of each stage: channels, stride and dilation.
DILATED_STAGES = ((64, 1, 1), (128, 2, 1), (256, 1, 2), (512, 1, 4))
EXPANSION = 4  # A bottleneck's output has four times its channels.


def dilated_resnet(
    x: tf.Tensor, blocks: tuple[int, ...] = RESNET101_BLOCKS, width: float = 1.0
) -> tf.Tensor:
    """Adds the layers of a dilated ResNet, output stride 8.

    From He et al., "Deep Residual Learning for Image Recognition" (2016),
    table 1; dilated as Chen et al. 2018 do. A stage's stride is in its first
    1x1 convolution, as in the authors' network and in Keras'. Layers are named
    as Keras names them, after the prefix `encoder_`. Convolutions have no bias
    where batch normalisation follows.

    Args:
        x: Images `[B, H, W, 3]`, BGR less ImageNet's mean.
        blocks: Bottlenecks of each of the four stages.
        width: Factor on the channels.

    Returns:
        Features `[B, ceil(H / 8), ceil(W / 8), 2048 width]`.

    Example:

    >>> image = keras.Input((65, 33, 3))
    >>> tuple(dilated_resnet(image, (1, 1, 1, 1), 0.125).shape)
    (None, 9, 5, 256)
    """
    x = keras.layers.ZeroPadding2D(3, name="encoder_conv1_pad")(x)
    x = convolution(x, scaled_channels(64, width), 7, "encoder_conv1", 2)
    x = keras.layers.ReLU(name="encoder_conv1_relu")(x)
    x = keras.layers.ZeroPadding2D(1, name="encoder_pool1_pad")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="encoder_pool1_pool")(x)
    for stage, (count, (channels, stride, dilation)) in enumerate(
        zip(blocks, DILATED_STAGES, strict=True), 2
    ):
        channels = scaled_channels(channels, width)
        for index in range(1, count + 1):
            first = index == 1
            x = bottleneck(
                x,
                channels,
                f"encoder_conv{stage}_block{index}",
                stride if first else 1,
                dilation,
                project=first,
            )
    return x


def bottleneck(
    x: tf.Tensor,
    channels: int,
    prefix: str,
    stride: int,
    dilation: int,
    project: bool,
) -> tf.Tensor:
    """Adds to `x`, projected if asked, what three convolutions make of it."""
    shortcut = x
    if project:
        shortcut = convolution(
            x, EXPANSION * channels, 1, f"{prefix}_0", stride
        )
    x = convolution(x, channels, 1, f"{prefix}_1", stride)
    x = keras.layers.ReLU(name=f"{prefix}_1_relu")(x)
    x = convolution(x, channels, 3, f"{prefix}_2", dilation=dilation)
    x = keras.layers.ReLU(name=f"{prefix}_2_relu")(x)
    x = convolution(x, EXPANSION * channels, 1, f"{prefix}_3")
    x = keras.layers.Add(name=f"{prefix}_add")([shortcut, x])
    return keras.layers.ReLU(name=f"{prefix}_out")(x)


def convolution(
    x: tf.Tensor,
    channels: int,
    kernel: int,
    prefix: str,
    stride: int = 1,
    dilation: int = 1,
) -> tf.Tensor:
    """Convolves without bias and normalises."""
    x = DilatedConv2D(
        channels,
        kernel,
        stride,
        "same" if stride == 1 else "valid",
        dilation_rate=dilation,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{prefix}_conv",
    )(x)
    return keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1.001e-5, name=f"{prefix}_bn"
    )(x)
