"""ENet: a small network for real-time segmentation."""

from __future__ import annotations

import keras
import tensorflow as tf

from wseg_tf.models.convolution import DilatedConv2D, PReLU
from wseg_tf.models.dropout import ChannelDropout
from wseg_tf.models.pooling import MaxPoolingWithMask2D, MaxUnpooling2D
from wseg_tf.models.preprocessing import (
    CropToImage,
    PadToMultiple,
    ScaleImage,
)
from wseg_tf.models.scaling import scaled_channels

Kernel = int | tuple[int, int]
# Stages 2 and 3, block by block: (name, kernel sizes in turn, dilation).
CONTEXT_BLOCKS: tuple[tuple[str, tuple[Kernel, ...], int], ...] = (
    ("regular", (3,), 1),
    ("dilated", (3,), 2),
    ("asymmetric", ((5, 1), (1, 5)), 1),
    ("dilated", (3,), 4),
    ("regular", (3,), 1),
    ("dilated", (3,), 8),
    ("asymmetric", ((5, 1), (1, 5)), 1),
    ("dilated", (3,), 16),
)
PROJECTION = 4  # A bottleneck works on a quarter of its input's channels.


def enet(
    classes: int,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    width: float = 1.0,
    name: str = "enet",
) -> keras.Model:
    """Builds ENet.

    From Paszke et al., "ENet: A Deep Neural Network Architecture for Real-Time
    Semantic Segmentation" (2016), table 1. Convolutions have no bias;
    activations are per-channel PReLU in the encoder, ReLU in the decoder, as
    its section 4 found best. It departs from the paper where the published
    re-implementations do: a down-sampling bottleneck projects to a quarter of
    its input's channels, not of its output's; the transposed convolution
    inside an up-sampling bottleneck is 2x2; the expansion is activated before
    the sum. 356,743 trainable parameters for 11 classes.

    Args:
        classes: Number of classes, 1 or more.
        input_shape: Height, width and channels of the images; `None` for any.
        width: Factor on the channels inside the network.
        name: Name of the model.

    Returns:
        A model from RGB images `[B, H, W, 3]`, 0..255, to float32 logits
        `[B, H, W, classes]`. Inside, images are scaled to -1..1 and padded to
        a multiple of 8.

    Example:

    >>> enet(11).output_shape
    (None, None, None, 11)
    """
    thin, middle, wide = (scaled_channels(c, width) for c in (16, 64, 128))
    image = keras.Input(input_shape, name="image")
    x = PadToMultiple(8, name="pad")(ScaleImage(name="scale")(image))

    x = initial_block(x, thin, "encoder_initial")
    x, thin_mask = down_block(x, middle, 0.01, "encoder_stage1_down")
    for index in range(1, 5):
        x = bottleneck(x, 0.01, f"encoder_stage1_{index}_regular")
    x, middle_mask = down_block(x, wide, 0.1, "encoder_stage2_down")
    for stage in (2, 3):
        for index, (kind, kernels, dilation) in enumerate(CONTEXT_BLOCKS, 1):
            prefix = f"encoder_stage{stage}_{index}_{kind}"
            x = bottleneck(x, 0.1, prefix, kernels, dilation)

    x = up_block(x, middle_mask, middle, 0.1, "decoder_stage4_up")
    for index in (1, 2):
        prefix = f"decoder_stage4_{index}_regular"
        x = bottleneck(x, 0.1, prefix, activation="relu")
    x = up_block(x, thin_mask, thin, 0.1, "decoder_stage5_up")
    x = bottleneck(x, 0.1, "decoder_stage5_1_regular", activation="relu")
    logits = keras.layers.Conv2DTranspose(
        classes, 3, 2, "same", use_bias=False, name="head_logits"
    )(x)
    logits = CropToImage(name="logits")([logits, image])
    return keras.Model(image, logits, name=name)


def initial_block(x: tf.Tensor, channels: int, prefix: str) -> tf.Tensor:
    """Halves the image: 13 channels by convolution, 3 by pooling."""
    colours = x.shape[-1]
    convolved = keras.layers.Conv2D(
        channels - colours,
        3,
        2,
        "same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{prefix}_conv",
    )(x)
    pooled = keras.layers.MaxPooling2D(name=f"{prefix}_pool")(x)
    x = keras.layers.Concatenate(name=f"{prefix}_concat")([convolved, pooled])
    return normalized(x, prefix, "prelu")


def bottleneck(
    x: tf.Tensor,
    dropout: float,
    prefix: str,
    kernels: tuple[Kernel, ...] = (3,),
    dilation: int = 1,
    activation: str = "prelu",
) -> tf.Tensor:
    """Adds to `x` what a narrow convolution makes of it."""
    channels = x.shape[-1]
    narrow = channels // PROJECTION
    branch = convolution(x, narrow, 1, f"{prefix}_project", activation)
    for index, kernel in enumerate(kernels, 1):
        branch = convolution(
            branch, narrow, kernel, f"{prefix}_{index}", activation, dilation
        )
    branch = expand(branch, channels, dropout, prefix, activation)
    return add(x, branch, prefix, activation)


def down_block(
    x: tf.Tensor, channels: int, dropout: float, prefix: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Halves the resolution; returns the pooling's mask too."""
    narrow = x.shape[-1] // PROJECTION
    pooled, mask = MaxPoolingWithMask2D(name=f"{prefix}_pool")(x)
    main = PadChannels(channels, name=f"{prefix}_pad")(pooled)
    branch = convolution(x, narrow, 2, f"{prefix}_project", strides=2)
    branch = convolution(branch, narrow, 3, f"{prefix}_1")
    branch = expand(branch, channels, dropout, prefix, "prelu")
    return add(main, branch, prefix, "prelu"), mask


def up_block(
    x: tf.Tensor, mask: tf.Tensor, channels: int, dropout: float, prefix: str
) -> tf.Tensor:
    """Doubles the resolution, unpooling the main branch by the mask."""
    narrow = x.shape[-1] // PROJECTION
    main = convolution(x, channels, 1, f"{prefix}_main", activation=None)
    main = MaxUnpooling2D(name=f"{prefix}_unpool")([main, mask])
    branch = convolution(x, narrow, 1, f"{prefix}_project", "relu")
    branch = keras.layers.Conv2DTranspose(
        narrow,
        2,
        2,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{prefix}_1_conv",
    )(branch)
    branch = normalized(branch, f"{prefix}_1", "relu")
    branch = expand(branch, channels, dropout, prefix, "relu")
    return add(main, branch, prefix, "relu")


def expand(
    x: tf.Tensor, channels: int, dropout: float, prefix: str, activation: str
) -> tf.Tensor:
    """Widens a branch again and drops whole channels at random."""
    x = convolution(x, channels, 1, f"{prefix}_expand", activation)
    return ChannelDropout(dropout, name=f"{prefix}_dropout")(x)


def add(
    main: tf.Tensor, branch: tf.Tensor, prefix: str, activation: str
) -> tf.Tensor:
    """Sums the two branches and activates."""
    x = keras.layers.Add(name=f"{prefix}_add")([main, branch])
    return activated(x, f"{prefix}_out", activation)


def convolution(
    x: tf.Tensor,
    channels: int,
    kernel: Kernel,
    prefix: str,
    activation: str | None = "prelu",
    dilation: int = 1,
    strides: int = 1,
) -> tf.Tensor:
    """Convolves without bias, normalises, activates."""
    x = DilatedConv2D(
        channels,
        kernel,
        strides,
        "same",
        dilation_rate=dilation,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{prefix}_conv",
    )(x)
    return normalized(x, prefix, activation)


def normalized(x: tf.Tensor, prefix: str, activation: str | None) -> tf.Tensor:
    """Normalises the batch, with the authors' momentum, and activates."""
    x = keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{prefix}_norm"
    )(x)
    return x if activation is None else activated(x, prefix, activation)


def activated(x: tf.Tensor, prefix: str, activation: str) -> tf.Tensor:
    """Activates by `"prelu"` or `"relu"`."""
    if activation == "prelu":
        return PReLU(name=f"{prefix}_prelu")(x)
    return keras.layers.ReLU(name=f"{prefix}_relu")(x)


@keras.saving.register_keras_serializable(package="wseg_tf")
class PadChannels(keras.layers.Layer):
    """Appends channels of zeros.

    Args:
        channels: Number of channels to reach.
        **kwargs: Those of every Keras layer.

    Example:

    >>> PadChannels(5)(tf.ones([1, 1, 1, 3])).numpy().ravel()
    array([1., 1., 1., 0., 0.], dtype=float32)
    """

    def __init__(self, channels: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.channels = channels

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Pads `[B, H, W, C]` to `[B, H, W, channels]`."""
        missing = self.channels - inputs.shape[-1]
        return tf.pad(inputs, [[0, 0], [0, 0], [0, 0], [0, missing]])

    def get_config(self) -> dict[str, object]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "channels": self.channels}
