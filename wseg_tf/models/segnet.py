"""SegNet: VGG16 and its mirror image, joined by pooling indices."""

from __future__ import annotations

import keras
import tensorflow as tf

from wseg_tf.models.pooling import MaxPoolingWithMask2D, MaxUnpooling2D
from wseg_tf.models.preprocessing import CropToImage, SubtractMean
from wseg_tf.models.scaling import scaled_channels
from wseg_tf.models.vgg import VGG16_BLOCKS, convolution_name


def segnet(
    classes: int,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    width: float = 1.0,
    name: str = "segnet",
) -> keras.Model:
    """Builds SegNet.

    From Badrinarayanan et al., "SegNet: A Deep Convolutional Encoder-Decoder
    Architecture for Image Segmentation" (2017), section 3: 13 convolutions of
    VGG16 and 13 that mirror them, each with bias and batch normalisation; the
    decoder unpools by the encoder's indices; no activation after the last
    convolution, and no normalisation either. 29,449,355 trainable parameters
    for 11 classes. Images are centred as VGG16's ImageNet weights expect, not
    by the paper's local contrast normalisation.

    Args:
        classes: Number of classes, 1 or more.
        input_shape: Height, width and channels of the images; `None` for any.
        width: Factor on the channels inside the network.
        name: Name of the model.

    Returns:
        A model from RGB images `[B, H, W, 3]`, 0..255, to float32 logits
        `[B, H, W, classes]`. Inside, images become BGR less ImageNet's mean;
        odd sizes are pooled to the next larger half and unpooled to
        themselves, as in the authors' Caffe networks.

    Example:

    >>> segnet(11, width=0.125).output_shape
    (None, None, None, 11)
    """
    image = keras.Input(input_shape, name="image")
    x = SubtractMean(name="centre")(image)
    blocks = [(scaled_channels(c, width), n) for c, n in VGG16_BLOCKS]

    masks = []
    for block, (channels, count) in enumerate(blocks, 1):
        for index in range(1, count + 1):
            x = convolution(x, channels, convolution_name(block, index))
        x, mask = MaxPoolingWithMask2D(name=f"encoder_block{block}_pool")(x)
        masks.append(mask)

    for block in range(len(blocks), 0, -1):
        channels, count = blocks[block - 1]
        x = MaxUnpooling2D(name=f"decoder_block{block}_unpool")(
            [x, masks[block - 1]]
        )
        # The last convolution of a block leads to the next one's channels;
        # that of the first block is the classifier.
        widths = [channels] * (count - 1)
        widths += [blocks[block - 2][0]] if block > 1 else []
        for index, out in enumerate(widths, 1):
            x = convolution(x, out, f"decoder_block{block}_conv{index}")

    logits = keras.layers.Conv2D(classes, 3, padding="same", name="head_logits")
    logits = CropToImage(name="logits")([logits(x), image])
    return keras.Model(image, logits, name=name)


def convolution(x: tf.Tensor, channels: int, name: str) -> tf.Tensor:
    """Convolves 3x3, normalises, activates."""
    x = keras.layers.Conv2D(
        channels, 3, padding="same", kernel_initializer="he_normal", name=name
    )(x)
    x = keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_norm"
    )(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)
