"""A feature pyramid on KerasCV's EfficientNet-Lite0."""

from __future__ import annotations

import contextlib
import io

import keras
import tensorflow as tf

from wseg_tf.models.preprocessing import CropToImage, PadToMultiple, Upsample
from wseg_tf.models.scaling import scaled_channels

OUTPUT_STRIDE = 32
FINEST_STRIDE = 4
LEVELS = ("P5", "P4", "P3", "P2")  # From the coarsest, 32, to the finest, 4.
# Of the stem and of each stage, as published; the stem keeps its own.
STEM = 32
FILTERS = (16, 24, 40, 80, 112, 192, 320)


def fpn_efficientnet_lite0(
    classes: int,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    channels: int = 64,
    width: float = 1.0,
    name: str = "fpn_efficientnet_lite0",
) -> keras.Model:
    """Builds a feature pyramid on KerasCV's EfficientNet-Lite0.

    From Lin et al., "Feature Pyramid Networks for Object Detection" (2017),
    section 3: features of strides 32, 16, 8 and 4 are brought to equal
    channels, and each level joins the enlarged one above it. It departs from
    the paper where it segments: each level's 3x3 convolution comes before the
    next joins and is normalised and activated, and the classes are read off
    the finest level. The encoder is KerasCV's `EfficientNetLiteBackbone`, layer
    for layer, without stochastic depth, which fine-tuning does without.

    Args:
        classes: Number of classes, 1 or more.
        input_shape: Height, width and channels of the images; `None` for any.
        channels: Channels of the pyramid at width 1.
        width: Factor on the channels inside the network, the stem's 32 and the
            last layer's 1,280 excepted.
        name: Name of the model.

    Returns:
        A model from RGB images `[B, H, W, 3]`, 0..255, to float32 logits
        `[B, H, W, classes]`. Inside, images become (x - 127) / 128, as the
        published ImageNet weights expect, padded to a multiple of 32.

    Raises:
        ValueError: If `width` is not above 0.
        ImportError: If KerasCV is not installed; says how to install it.

    Example:

    >>> fpn_efficientnet_lite0(11, width=0.5).output_shape
    (None, None, None, 11)
    """
    backbone = efficientnet_lite0(width)
    image = keras.Input(input_shape, name="image")
    x = keras.layers.Rescaling(
        1 / 128, offset=-127 / 128, dtype="float32", name="scale"
    )(image)
    x = PadToMultiple(OUTPUT_STRIDE, name="pad")(x)
    levels = replayed(backbone, x, "encoder_")

    channels = scaled_channels(channels, width)
    above = None
    for level in LEVELS:
        prefix = f"decoder_{level.lower()}"
        x = levels[backbone.pyramid_level_inputs[level]]
        x = keras.layers.Conv2D(channels, 1, name=f"{prefix}_lateral")(x)
        if above is not None:
            above = Upsample(2, name=f"{prefix}_upsample")(above)
            x = keras.layers.Add(name=f"{prefix}_add")([x, above])
        x = keras.layers.Conv2D(
            channels,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"{prefix}_conv",
        )(x)
        x = keras.layers.BatchNormalization(name=f"{prefix}_bn")(x)
        above = keras.layers.ReLU(name=f"{prefix}_relu")(x)
    logits = keras.layers.Conv2D(classes, 1, name="head_logits")(above)
    logits = Upsample(FINEST_STRIDE, name="decoder_resize")(logits)
    logits = CropToImage(name="logits")([logits, image])
    return keras.Model(image, logits, name=name)


def efficientnet_lite0(width: float = 1.0) -> keras.Model:
    """Builds KerasCV's EfficientNet-Lite0 without its classifier.

    Args:
        width: Factor on the channels, the stem's and the last layer's excepted.

    Returns:
        A `keras_cv.models.EfficientNetLiteBackbone` of any size of image.

    Raises:
        ValueError: If `width` is not above 0.
        ImportError: If KerasCV is not installed.

    Example:

    >>> backbone = efficientnet_lite0()
    >>> backbone.count_params(), backbone.pyramid_level_inputs["P2"]
    (3413024, 'block2b_add')
    """
    try:
        # KerasCV announces its backend on the standard output.
        with contextlib.redirect_stdout(io.StringIO()):
            from keras_cv.models import EfficientNetLiteBackbone
    except ImportError as error:
        raise ImportError(
            "fpn_efficientnet_lite0 needs KerasCV: install `wseg_tf[models]`."
        ) from error
    # Its own width would let a narrow first block add up unequal channels.
    filters = [STEM, *(scaled_channels(each, width) for each in FILTERS)]
    return EfficientNetLiteBackbone(
        include_rescaling=False,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        stackwise_kernel_sizes=[3, 3, 5, 3, 5, 5, 3],
        stackwise_num_repeats=[1, 2, 2, 3, 3, 4, 1],
        stackwise_input_filters=filters[:-1],
        stackwise_output_filters=filters[1:],
        stackwise_expansion_ratios=[1, 6, 6, 6, 6, 6, 6],
        stackwise_strides=[1, 2, 2, 2, 1, 2, 1],
        drop_connect_rate=0.0,
    )


def replayed(
    network: keras.Model, x: tf.Tensor, prefix: str
) -> dict[str, tf.Tensor]:
    """Repeats a network's layers on another input, under longer names.

    So they are layers of the model they end in: named by their part, frozen,
    and saved without the package that they came from.

    Args:
        network: A functional model of one input, each layer called once.
        x: What takes the place of its input.
        prefix: What the names of the layers begin with.

    Returns:
        What each layer gives, by its name in `network`.

    Example:

    >>> image = keras.Input([4])
    >>> network = keras.Model(image, keras.layers.Dense(2, name="a")(image))
    >>> replayed(network, keras.Input([4]), "encoder_")["a"].shape[-1]
    2
    """
    produced = {id(network.input): x}
    outputs = {}
    for layer in network.layers[1:]:
        inputs = tf.nest.map_structure(
            lambda tensor: produced[id(tensor)], layer.input
        )
        config = {**layer.get_config(), "name": prefix + layer.name}
        output = type(layer).from_config(config)(inputs)
        produced[id(layer.output)] = outputs[layer.name] = output
    return outputs
