"""DeepLab-v2: a dilated ResNet under summed dilated classifiers."""

from __future__ import annotations

import keras

from wseg_tf.models.convolution import DilatedConv2D
from wseg_tf.models.preprocessing import (
    CropToImage,
    PadToMultiple,
    SubtractMean,
    Upsample,
)
from wseg_tf.models.resnet import RESNET101_BLOCKS, dilated_resnet

OUTPUT_STRIDE = 8
HEAD_DILATIONS = (6, 12, 18, 24)


def deeplab_v2(
    classes: int,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    width: float = 1.0,
    blocks: tuple[int, int, int, int] = RESNET101_BLOCKS,
    name: str = "deeplab_v2",
) -> keras.Model:
    """Builds DeepLab-v2 on ResNet-101.

    From Chen et al., "DeepLab: Semantic Image Segmentation with Deep
    Convolutional Nets, Atrous Convolution, and Fully Connected CRFs" (2018):
    stages 4 and 5 of the network dilated by 2 and 4 (section 3.1), four 3x3
    classifiers dilated by 6, 12, 18 and 24 summed (ASPP, section 3.2).
    43,901,068 trainable parameters for 19 classes. Neither the three-scale
    input nor the CRF is part of it, as in domain adaptation's use of it.

    Args:
        classes: Number of classes, 1 or more.
        input_shape: Height, width and channels of the images; `None` for any.
        width: Factor on the channels inside the network.
        blocks: Bottlenecks of each stage; `(3, 4, 6, 3)` makes ResNet-50.
        name: Name of the model.

    Returns:
        A model from RGB images `[B, H, W, 3]`, 0..255, to float32 logits
        `[B, H, W, classes]`. Inside, images become BGR less ImageNet's mean,
        padded to a multiple of 8 and 1 more, so that features and image share
        their corners.

    Example:

    >>> deeplab_v2(19, width=0.125, blocks=(1, 1, 1, 1)).output_shape
    (None, None, None, 19)
    """
    image = keras.Input(input_shape, name="image")
    x = SubtractMean(name="centre")(image)
    x = PadToMultiple(OUTPUT_STRIDE, extra=1, name="pad")(x)
    x = dilated_resnet(x, blocks, width)
    scores = [
        DilatedConv2D(
            classes,
            3,
            padding="same",
            dilation_rate=dilation,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name=f"head_dilation{dilation}",
        )(x)
        for dilation in HEAD_DILATIONS
    ]
    logits = keras.layers.Add(name="head_sum", dtype="float32")(scores)
    logits = Upsample(OUTPUT_STRIDE, align_corners=True, name="decoder_resize")(
        logits
    )
    logits = CropToImage(name="logits")([logits, image])
    return keras.Model(image, logits, name=name)
