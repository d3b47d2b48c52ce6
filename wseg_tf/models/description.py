"""What a network costs: parameters, arithmetic, resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.models.registry import architecture, build

PRODUCTS = {"Conv2D", "Conv2DBackpropInput", "DepthwiseConv2dNative"}


@dataclass(frozen=True)
class Description:
    """A network in figures.

    Args:
        name: Name of the network.
        classes: Number of classes.
        size: Height and width of the image, in pixels.
        parameters: Number of trainable parameters.
        flops: Floating-point operations of the convolutions for one image,
            two for each multiplication and addition.
        output_stride: Pixels of the image per cell of the coarsest features.
        summary: What it is, in a line.
    """

    name: str
    classes: int
    size: tuple[int, int]
    parameters: int
    flops: int
    output_stride: int
    summary: str


def describe(
    name: str,
    classes: int = 11,
    size: tuple[int, int] = (360, 480),
    **options: Any,
) -> Description:
    """Builds a network and counts.

    Args:
        name: Name of the network.
        classes: Number of classes.
        size: Height and width of the image, in pixels.
        **options: What the network's builder takes besides.

    Returns:
        The `Description`.

    Raises:
        ValueError: If there is no such network; lists those there are.

    Example:

    >>> enet = describe("enet", 11)
    >>> enet.parameters, enet.output_stride
    (356743, 8)
    """
    entry = architecture(name)
    model = build(name, classes, **options)
    return Description(
        name=name,
        classes=classes,
        size=size,
        parameters=parameters(model),
        flops=flops(model, size),
        output_stride=entry.output_stride,
        summary=entry.summary,
    )


def parameters(model: keras.Model) -> int:
    """Counts the trainable parameters of a model.

    Args:
        model: Any model.

    Returns:
        Their number; the moving statistics of batch normalisation are none.

    Example:

    >>> parameters(build("enet", 19))
    357895
    """
    return sum(
        math.prod(variable.shape) for variable in model.trainable_variables
    )


def flops(model: keras.Model, size: tuple[int, int]) -> int:
    """Counts the floating-point operations of a model's convolutions.

    Args:
        model: A model of images `[B, H, W, 3]`.
        size: Height and width of the image, in pixels.

    Returns:
        Twice the multiplications of all convolutions for one image, those with
        padding included.

    Example:

    >>> image = keras.Input((None, None, 3))
    >>> convolution = keras.layers.Conv2D(4, 3, padding="same")
    >>> model = keras.Model(image, convolution(image))
    >>> flops(model, (5, 7)) == 2 * 5 * 7 * 3 * 3 * 3 * 4
    True
    """

    @tf.function(autograph=False)
    def predict(images: tf.Tensor) -> tf.Tensor:
        return model(images, training=False)

    image = tf.TensorSpec([1, *size, 3], tf.float32)
    graph = predict.get_concrete_function(image).graph
    return sum(
        _operations(each)
        for each in graph.get_operations()
        if each.type in PRODUCTS
    )


def _operations(operation: tf.Operation) -> int:
    rows, columns, inputs, outputs = operation.inputs[1].shape
    is_transposed = operation.type == "Conv2DBackpropInput"
    cells = operation.inputs[2] if is_transposed else operation.outputs[0]
    each_cell = rows * columns * inputs * outputs
    return int(2 * math.prod(cells.shape[:3]) * each_cell)


def summary_text(name: str, classes: int = 11, **options: Any) -> str:
    """Lists the layers of a network with shapes and parameters.

    Args:
        name: Name of the network.
        classes: Number of classes.
        **options: What the network's builder takes besides.

    Returns:
        The table that `model.summary` prints.

    Raises:
        ValueError: If there is no such network; lists those there are.

    Example:

    >>> "encoder_stage2_8_dilated" in summary_text("enet", 11)
    True
    """
    lines: list[str] = []
    model = build(name, classes, **options)
    model.summary(
        line_length=110,
        print_fn=lambda line, line_break=True: lines.append(line),
    )
    return "\n".join(lines)
