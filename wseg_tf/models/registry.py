"""One door to every network: its name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from wseg_tf.filesystems import local_copy


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


def architecture(name: str) -> Architecture:
    """Returns what is registered under a name.

    Args:
        name: Name of a network.

    Returns:
        The `Architecture`.

    Raises:
        ValueError: If there is none; lists those there are.

    Example:

    >>> architecture("enet").output_stride
    8
    """
    if name not in ARCHITECTURES:
        raise ValueError(
            "Invalid value for argument `name`. Expected one of "
            f"{sorted(ARCHITECTURES)}. Received: name={name!r}."
        )
    return ARCHITECTURES[name]


def build(
    name: str,
    classes: int,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    weights: str | None = None,
    **options: Any,
) -> keras.Model:
    """Builds a network that segments images.

    Args:
        name: Name of the network; `ARCHITECTURES` lists them.
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
    known = set(inspect.signature(builder).parameters) - {
        "classes",
        "input_shape",
    }
    if not options.keys() <= known:
        raise ValueError(
            f"Invalid option for {name!r}. Expected some of {sorted(known)}. "
            f"Received: {sorted(options.keys() - known)}."
        )
    model = builder(classes, input_shape=input_shape, **options)
    if weights is not None:
        load_weights(model, weights)
    return model


def load_weights(model: keras.Model, path: str) -> None:
    """Loads weights that this library saved.

    Args:
        model: The same network with the same options.
        path: A file of `model.save_weights`, or one of `model.save` that ends
            in `.keras`.

    Example:

    >>> load_weights(model, "enet.weights.h5")  # doctest: +SKIP
    """
    # Keras reads HDF5 and zip archives where they are local files alone.
    with local_copy(str(path)) as local:
        if local.endswith(".keras"):
            saved = keras.saving.load_model(local, compile=False)
            model.set_weights(saved.get_weights())
        else:
            model.load_weights(local)
