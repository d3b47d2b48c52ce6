"""ImageNet's weights, as Keras publishes them, for our encoders.

The files are those of `keras.applications`: HDF5, a group per layer. Nothing is
downloaded: pass the path of a file such as
`vgg16_weights_tf_dim_ordering_tf_kernels.h5`, its `_notop` version, or
`resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

PREFIX = "encoder_"
# The dense layers of VGG16 are FCN's convolutions.
DENSE_LAYERS = {"encoder_fc6": "fc1", "encoder_fc7": "fc2"}
Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class ImportReport:
    """What an import did, layer by layer.

    Args:
        matched: Our layers that got weights.
        missing: Our encoder's layers with weights that the file lacks.
        mismatched: Our layers whose shapes differ from the file's, and how.
        unused: The file's layers with weights that went nowhere.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        """The four lists, each on a line."""
        lists = {
            "matched": self.matched,
            "missing in the file": self.missing,
            "of another shape": self.mismatched,
            "unused in the file": self.unused,
        }
        return "\n".join(
            f"{name} ({len(layers)}): {', '.join(layers) or 'none'}"
            for name, layers in lists.items()
        )


def import_imagenet(model: keras.Model, path: str) -> ImportReport:
    """Gives an encoder the weights of VGG16 or ResNet101 from Keras' file.

    Convolutions match by name. VGG16's dense layers become FCN's `fc6` and
    `fc7`; files without top leave those as they are. Our ResNet's convolutions
    have no bias: the file's is taken off the moving mean of the batch
    normalisation that follows, which changes nothing in what it computes.

    Args:
        model: `segnet`, `fcn8s`, `fcn16s`, `fcn32s` or `deeplab_v2` at width
            1, from `build`.
        path: Path of the file, local or remote.

    Returns:
        What matched and what did not.

    Raises:
        ValueError: If nothing matched.

    Example:

    >>> import_imagenet(model, "vgg16_notop.h5").missing  # doctest: +SKIP
    ('encoder_fc6', 'encoder_fc7')
    """
    file = read_layers(path)
    layers = [
        layer
        for layer in model.layers
        if layer.name.startswith(PREFIX) and layer.weights
    ]
    matched, missing, mismatched, used = [], [], [], set()
    for layer in layers:
        source = DENSE_LAYERS.get(layer.name, layer.name.removeprefix(PREFIX))
        if source not in file:
            missing.append(layer.name)
            continue
        used.add(source)
        values = _values(layer, source, file)
        wanted = [tuple(variable.shape) for variable in layer.weights]
        found = [value.shape for value in values]
        if wanted != found:
            mismatched.append(f"{layer.name}: {wanted}, in the file {found}")
            continue
        layer.set_weights(values)
        matched.append(layer.name)
    report = ImportReport(
        tuple(matched),
        tuple(missing),
        tuple(mismatched),
        tuple(name for name in file if name not in used),
    )
    if not matched:
        raise ValueError(
            f"No layer of {model.name!r} matches {path}. Expected the "
            f"ImageNet weights of Keras' VGG16 or ResNet101. {report}"
        )
    return report


def read_layers(path: str) -> dict[str, dict[str, NDArray[Any]]]:
    """Reads a weights file of `keras.applications`.

    Args:
        path: Path of the file, local or remote.

    Returns:
        For each layer that has weights, in order, arrays by their names:
        `kernel`, `bias`, `gamma`, `beta`, `moving_mean`, `moving_variance`.

    Raises:
        ValueError: If the file is not in that format.

    Example:

    >>> list(read_layers("vgg16_notop.h5"))[0]  # doctest: +SKIP
    'block1_conv1'
    """
    with tf.io.gfile.GFile(path, "rb") as stream:
        content = io.BytesIO(stream.read())
    try:
        file = h5py.File(content, "r")
    except OSError as error:
        raise ValueError(f"{path} is not an HDF5 file.") from error
    with file:
        root = file.get("model_weights", file)
        if "layer_names" not in root.attrs:
            raise ValueError(
                f"{path} has no attribute `layer_names`. Expected a weights "
                "file of keras.applications."
            )
        layers = {}
        for name in _texts(root.attrs["layer_names"]):
            group = root[name]
            arrays = {
                full.split("/")[-1].split(":")[0]: np.asarray(group[full])
                for full in _texts(group.attrs["weight_names"])
            }
            if arrays:
                layers[name] = arrays
        return layers


def _texts(names: Any) -> list[str]:
    return [n.decode() if isinstance(n, bytes) else str(n) for n in names]


def _values(
    layer: keras.layers.Layer, source: str, file: Mapping[str, Weights]
) -> list[NDArray[Any]]:
    """Returns the file's arrays in the order of the layer's weights."""
    arrays = dict(file[source])
    if layer.name in DENSE_LAYERS:
        shape = tuple(layer.weights[0].shape)
        if arrays["kernel"].size == np.prod(shape):
            arrays["kernel"] = arrays["kernel"].reshape(shape)
    if "moving_mean" in arrays:
        convolution = file.get(source.removesuffix("_bn") + "_conv", {})
        bias = convolution.get("bias", 0.0)
        arrays["moving_mean"] = arrays["moving_mean"] - bias
    elif not getattr(layer, "use_bias", True):
        arrays.pop("bias", None)
    order = ("kernel", "bias", "gamma", "beta", "moving_mean")
    return [
        arrays[name] for name in (*order, "moving_variance") if name in arrays
    ]
