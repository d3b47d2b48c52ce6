"""One door to every network: its name."""

from __future__ import annotations

import importlib
import inspect
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from wseg_tf.code import look_here
from wseg_tf.filesystems import local_copy, read_bytes, write_bytes
from wseg_tf.models.weight_files import (
    ARCHIVED,
    archived_weights,
    refuse_links,
)


@dataclass(frozen=True)
class Architecture:
    """A network that `build` knows.

    Args:
        name: The name `build` takes.
        module: The module that has its builder.
        builder: The name of the function that builds it.
        output_stride: Pixels of the image per cell of the coarsest features.
        summary: One line for lists.
    """

    name: str
    module: str
    builder: str
    output_stride: int
    summary: str

    def load(self) -> Callable[..., keras.Model]:
        """Imports the builder."""
        builder: Callable[..., keras.Model] = getattr(
            importlib.import_module(self.module), self.builder
        )
        return builder


def _architecture(
    name: str, module: str, output_stride: int, summary: str
) -> Architecture:
    path = f"wseg_tf.models.{module}"
    return Architecture(name, path, name, output_stride, summary)


ARCHITECTURES = {
    each.name: each
    for each in (
        _architecture("enet", "enet", 8, "small and fast"),
        _architecture("segnet", "segnet", 32, "VGG16 and its mirror image"),
        _architecture("fcn8s", "fcn", 32, "VGG16, skips from pools 3 and 4"),
        _architecture("fcn16s", "fcn", 32, "VGG16, a skip from pool 4"),
        _architecture("fcn32s", "fcn", 32, "VGG16, no skips"),
        _architecture("deeplab_v2", "deeplab_v2", 8, "dilated ResNet-101"),
        _architecture(
            "deeplab_v3plus", "deeplab_v3plus", 16, "KerasCV's ResNet-v2"
        ),
        _architecture(
            "fpn_efficientnet_lite0",
            "feature_pyramid",
            32,
            "KerasCV's EfficientNet-Lite0, small and pretrained",
        ),
    )
}


def architecture(name: str, argument: str = "name") -> Architecture:
    """Returns what is registered under a name.

    Args:
        name: Name of a network.
        argument: What is named where there is none.

    Returns:
        The `Architecture`.

    Raises:
        ValueError: If there is none; lists those there are.

    Example:

    >>> architecture("enet").output_stride
    8
    """
    if ":" in name:
        return _own(name, argument)
    if name not in ARCHITECTURES:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected one of "
            f"{sorted(ARCHITECTURES)}, or package.module:function. Received: "
            f"{argument}={name!r}."
        )
    return ARCHITECTURES[name]


def _own(name: str, argument: str) -> Architecture:
    """Returns a user's own builder; its module may lie where it is run."""

    def refused(reason: str) -> ValueError:
        return ValueError(
            f"Invalid value for argument `{argument}`. Expected "
            "package.module:function, which takes the number of classes and "
            f"builds a Keras model. Received: {argument}={name!r} ({reason})."
        )

    module, _, builder = name.partition(":")
    parts = [*module.split("."), builder]
    if not all(part.isidentifier() for part in parts):
        raise refused("no package.module:function")
    look_here()
    try:
        found = getattr(importlib.import_module(module), builder)
    except ImportError as error:
        raise refused(str(error)) from error
    except AttributeError:
        raise refused(f"{module} has no {builder!r}") from None
    if not callable(found):
        raise refused(f"{builder} is no function")
    try:
        inspect.signature(found).bind(1)
    except (TypeError, ValueError) as error:
        raise refused(str(error)) from error
    return Architecture(name, module, builder, 1, "yours")


def check_network(name: str, classes: int) -> None:
    """Refuses a network that could not be trained; builds a user's own.

    Args:
        name: What `build` takes.
        classes: The number of classes.

    Raises:
        ValueError: If there is no such network, or it does not turn images of
            any size into as many logits for each pixel.
    """
    architecture(name, "model")
    if ":" not in name:
        return
    model = build(name, classes)
    image = np.zeros([1, 33, 47, 3], np.float32)
    try:
        answer = model(image, training=False)
    # A layer may raise anything on a size it cannot take.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        raise ValueError(
            f"Invalid network {name}. Expected one that takes images of any "
            f"size. Received: {type(error).__name__} at 33x47 ({reason})."
        ) from error
    if tuple(answer.shape) != (1, 33, 47, classes):
        raise ValueError(
            f"Invalid network {name}. Expected logits [B, H, W, {classes}] at "
            f"the size of the images. Received: {tuple(answer.shape)} for an "
            "image of 33x47."
        )
    if _is_softmax(model):
        raise ValueError(
            f"Invalid network {name}. Expected logits, since the losses take "
            "them. Received: a softmax at the end; leave it out."
        )


def _is_softmax(model: keras.Model) -> bool:
    last = model.layers[-1] if model.layers else None
    activation = getattr(last, "activation", None)
    return isinstance(last, keras.layers.Softmax) or (
        getattr(activation, "__name__", "") == "softmax"
    )


def build(
    name: str,
    classes: int,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    weights: str | None = None,
    **options: Any,
) -> keras.Model:
    """Builds a network that segments images.

    Args:
        name: Name of the network; `ARCHITECTURES` lists them. Or a function
            of your own, `"package.module:function"`: it takes the number of
            classes, and perhaps `input_shape`, and returns a Keras model from
            images 0..255 to logits.
        classes: Number of classes, 1 or more; void is none.
        input_shape: Height, width and channels of the images; `None` for any.
        weights: Path of the same network's weights, or of the whole model in
            a `.keras` file; by default the weights are random.
        **options: What the network's builder takes besides, e.g. `width`.

    Returns:
        A model from RGB images `[B, H, W, 3]`, 0..255, to float32 logits
        `[B, H, W, classes]` at the size of the images, whatever it is.

    Raises:
        ValueError: If the name, the number of classes, the shape or an option
            is not valid; says what is.

    Example:

    >>> build("enet", classes=11, input_shape=(33, 47, 3)).output_shape
    (None, 33, 47, 11)
    """
    builder = architecture(name).load()
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
        raise ValueError(
            "Invalid value for argument `classes`. Expected an integer of 1 or "
            f"more. Received: classes={classes!r}."
        )
    if len(input_shape) != 3 or input_shape[-1] != 3:
        raise ValueError(
            "Invalid value for argument `input_shape`. Expected (height, "
            "width, 3), None for any size. Received: "
            f"input_shape={input_shape}."
        )
    parameters = inspect.signature(builder).parameters
    known = set(parameters) - {"classes", "input_shape"}
    if not options.keys() <= known:
        raise ValueError(
            f"Invalid option for {name!r}. Expected some of {sorted(known)}. "
            f"Received: {sorted(options.keys() - known)}."
        )
    if "input_shape" in parameters:
        options["input_shape"] = input_shape
    model = builder(classes, **options)
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"Invalid network {name}. Expected a function that returns a "
            f"Keras model. Received: a {type(model).__name__}."
        )
    if weights is not None:
        load_weights(model, weights)
    return model


def load_weights(model: keras.Model, path: str) -> None:
    """Loads weights that this library saved; no code of a file's is run.

    Args:
        model: The same network with the same options.
        path: A file of `model.save_weights`, or one of `model.save` that ends
            in `.keras`, of which the weights alone are read.

    Raises:
        ValueError: If a `.keras` file holds none, or Keras finds others.

    Example:

    >>> load_weights(model, "enet.weights.h5")  # doctest: +SKIP
    """
    # Keras reads HDF5 and zip archives where they are local files alone.
    with local_copy(str(path)) as local:
        if not local.endswith(".keras"):
            if local.endswith((".h5", ".hdf5")):
                refuse_links(read_bytes(local), path)
            model.load_weights(local)
            return
        weights = archived_weights(read_bytes(local), path)
        refuse_links(weights, path)
        with tempfile.TemporaryDirectory() as folder:
            archived = os.path.join(folder, ARCHIVED)
            write_bytes(archived, weights)
            model.load_weights(archived)
