"""VGG16's convolutions: the encoder of SegNet and of FCN."""

from __future__ import annotations

# Channels and number of 3x3 convolutions of each block; a 2x2 pooling ends it.
VGG16_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
VGG16_STRIDE = 32


def convolution_name(block: int, index: int) -> str:
    """Returns the name of a convolution, as Keras' VGG16 has it.

    Args:
        block: Number of the block, from 1.
        index: Number of the convolution within it, from 1.

    Returns:
        The name, after the prefix that marks an encoder's layers.

    Example:

    >>> convolution_name(1, 2)
    'encoder_block1_conv2'
    """
    return f"encoder_block{block}_conv{index}"
