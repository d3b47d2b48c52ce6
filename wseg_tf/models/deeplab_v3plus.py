"""DeepLab-v3+ on a backbone from KerasCV."""

from __future__ import annotations

import contextlib
import io

import keras
import tensorflow as tf

from wseg_tf.models.convolution import DilatedConv2D
from wseg_tf.models.dropout import Dropout
from wseg_tf.models.preprocessing import (
    CropToImage,
    PadToMultiple,
    Upsample,
    size_of,
)
from wseg_tf.models.scaling import scaled_channels

OUTPUT_STRIDE = 16
LOW_LEVEL_STRIDE = 4
POOLING_DILATIONS = (6, 12, 18)
# Bottlenecks of each stage and their kind, as KerasCV takes them.
BACKBONES = {
    "resnet18_v2": ((2, 2, 2, 2), "basic_block"),
    "resnet34_v2": ((3, 4, 6, 3), "basic_block"),
    "resnet50_v2": ((3, 4, 6, 3), "block"),
    "resnet101_v2": ((3, 4, 23, 3), "block"),
}


def deeplab_v3plus(
    classes: int,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    backbone: str = "resnet50_v2",
    width: float = 1.0,
    name: str = "deeplab_v3plus",
) -> keras.Model:
    """Builds DeepLab-v3+ on KerasCV's ResNet-v2.

    From Chen et al., "Encoder-Decoder with Atrous Separable Convolution for
    Semantic Image Segmentation" (2018), section 3: atrous spatial pyramid
    pooling at dilations 6, 12 and 18 with image pooling, a decoder that joins
    features of stride 4. It departs from the paper in its backbone, ResNet-v2
    with output stride 16, and in plain where the paper's best has separable
    convolutions. KerasCV's own DeepLabV3Plus gives probabilities, and sizes
    that are multiples of 32 only, so only its backbone is used, built by
    explicit arguments (its presets call the network).

    Args:
        classes: Number of classes, 1 or more.
        input_shape: Height, width and channels of the images; `None` for any.
        backbone: One of `BACKBONES`.
        width: Factor on the channels inside the network, the stem's 64
            excepted; 1 for the backbones of 18 and 34 layers.
        name: Name of the model.

    Returns:
        A model from RGB images `[B, H, W, 3]`, 0..255, to float32 logits
        `[B, H, W, classes]`. Inside, images are padded to a multiple of 16
        and scaled to 0..1, as KerasCV's weights expect.

    Raises:
        ValueError: If there is no such backbone, with those there are, or if
            `width` does not suit it.
        ImportError: If KerasCV is not installed; says how to install it.

    Example:

    >>> deeplab_v3plus(11, width=0.125).output_shape
    (None, None, None, 11)
    """
    encoder = keras_cv_backbone(backbone, width)
    image = keras.Input(input_shape, name="image")
    padded = PadToMultiple(OUTPUT_STRIDE, name="pad")(image)
    low_level, x = encoder(padded)

    channels = scaled_channels(256, width)
    x = pyramid_pooling(x, channels)
    x = Upsample(OUTPUT_STRIDE // LOW_LEVEL_STRIDE, name="decoder_upsample")(x)
    low_level = convolution(
        low_level, scaled_channels(48, width), 1, "decoder_low_level"
    )
    x = keras.layers.Concatenate(name="decoder_concat")([x, low_level])
    for index in (1, 2):
        x = convolution(x, channels, 3, f"decoder_{index}")
    logits = keras.layers.Conv2D(classes, 1, name="head_logits")(x)
    logits = Upsample(LOW_LEVEL_STRIDE, name="decoder_resize")(logits)
    logits = CropToImage(name="logits")([logits, image])
    return keras.Model(image, logits, name=name)


def keras_cv_backbone(backbone: str, width: float = 1.0) -> keras.Model:
    """Builds KerasCV's ResNet-v2 with features of strides 4 and 16.

    Args:
        backbone: One of `BACKBONES`.
        width: Factor on the channels, the stem's 64 excepted; 1 for the
            backbones of 18 and 34 layers.

    Returns:
        A model from images to the features of both strides.

    Raises:
        ValueError: If there is no such backbone or `width` does not suit it.
        ImportError: If KerasCV is not installed.

    Example:

    >>> encoder = keras_cv_backbone("resnet18_v2")
    >>> [features.shape[-1] for features in encoder.outputs]
    [64, 512]
    """
    if backbone not in BACKBONES:
        raise ValueError(
            "Invalid value for argument `backbone`. Expected one of "
            f"{sorted(BACKBONES)}. Received: backbone={backbone!r}."
        )
    blocks, kind = BACKBONES[backbone]
    if kind == "basic_block" and width != 1:
        raise ValueError(
            f"Invalid value for argument `width`. Expected 1 with {backbone!r},"
            f" whose first sums need the stem's channels. Received: "
            f"width={width}."
        )
    try:
        # KerasCV announces its backend on the standard output.
        with contextlib.redirect_stdout(io.StringIO()):
            from keras_cv.models import ResNetV2Backbone
    except ImportError as error:
        raise ModuleNotFoundError(
            "deeplab_v3plus needs KerasCV: install `wseg_tf[models]`.",
            name="keras_cv",
        ) from error
    network = ResNetV2Backbone(
        stackwise_filters=[
            scaled_channels(c, width) for c in (64, 128, 256, 512)
        ],
        stackwise_blocks=list(blocks),
        stackwise_strides=[1, 2, 2, 2],
        stackwise_dilations=[1, 1, 1, 2],
        include_rescaling=True,
        block_type=kind,
    )
    low_level = network.get_layer(network.pyramid_level_inputs["P2"]).output
    return keras.Model(
        network.input, [low_level, network.output], name="encoder"
    )


def pyramid_pooling(x: tf.Tensor, channels: int) -> tf.Tensor:
    """Looks at four scales and at the whole image, then projects."""
    branches = [convolution(x, channels, 1, "decoder_pyramid_1x1")]
    for dilation in POOLING_DILATIONS:
        prefix = f"decoder_pyramid_dilation{dilation}"
        branches.append(convolution(x, channels, 3, prefix, dilation))
    pooled = keras.layers.GlobalAveragePooling2D(
        keepdims=True, name="decoder_pyramid_pool"
    )(x)
    pooled = convolution(pooled, channels, 1, "decoder_pyramid_image")
    branches.append(Spread(name="decoder_pyramid_spread")([pooled, x]))
    x = keras.layers.Concatenate(name="decoder_pyramid_concat")(branches)
    x = convolution(x, channels, 1, "decoder_pyramid_project")
    return Dropout(0.1, name="decoder_pyramid_dropout")(x)


def convolution(
    x: tf.Tensor, channels: int, kernel: int, prefix: str, dilation: int = 1
) -> tf.Tensor:
    """Convolves without bias, normalises, activates."""
    x = DilatedConv2D(
        channels,
        kernel,
        padding="same",
        dilation_rate=dilation,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{prefix}_conv",
    )(x)
    x = keras.layers.BatchNormalization(name=f"{prefix}_bn")(x)
    return keras.layers.ReLU(name=f"{prefix}_relu")(x)


@keras.saving.register_keras_serializable(package="wseg_tf")
class Spread(keras.layers.Layer):
    """Repeats one vector per image over the cells of a feature map.

    Args:
        **kwargs: Those of every Keras layer.

    Example:

    >>> Spread()([tf.ones([2, 1, 1, 4]), tf.zeros([2, 3, 5, 7])]).shape
    TensorShape([2, 3, 5, 4])
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Spreads `[vector [B, 1, 1, C], map [B, h, w, D]]`."""
        vector, features = inputs
        return tf.tile(vector, [1, *size_of(features), 1])
