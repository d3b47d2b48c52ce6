"""ImageNet's weights, as others publish them, for our encoders.

Files of `keras.applications` and KerasCV, PyTorch's of EfficientNet-Lite0, and
any that `weight_files` reads and that name our layers. Nothing is downloaded:
pass the path of a file such as `vgg16_weights_tf_dim_ordering_tf_kernels.h5`,
its `_notop` version, or `efficientnet-lite0-57934424.pth`.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wseg_tf.models.weight_files import Layers, read_layers

ENCODER = "encoder"
PREFIX = f"{ENCODER}_"
# The dense layers of VGG16 are FCN's convolutions.
DENSE_LAYERS = {"encoder_fc6": "fc1", "encoder_fc7": "fc2"}
# EfficientNet-Lite0 in PyTorch: one row of blocks, here by stage.
BLOCKS_BEFORE = (0, 1, 3, 5, 8, 11, 15)
PYTORCH_LITE0 = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "top_conv": "_conv_head",
    "top_bn": "_bn1",
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}
# Weights of a layer in the order in which Keras keeps them.
ORDER = (
    "kernel",
    "depthwise_kernel",
    "bias",
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
)


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
    """Gives an encoder the weights of another's file.

    Layers match by name: ours without `encoder_`, as Keras and KerasCV call
    them, or as PyTorch's EfficientNet-Lite0 does. Keras 2's `.weights.h5` has
    no names: there the order of the layers of each class counts. VGG16's dense
    layers become FCN's `fc6` and `fc7`; files without top leave those as they
    are. Our ResNet101's convolutions have no bias: the file's is taken off the
    moving mean of the batch normalisation that follows, which changes nothing
    in what it computes.

    Args:
        model: A network from `build` at width 1; not `enet`, for which nobody
            publishes weights.
        path: Path of the file, local or remote; see
            `wseg_tf.models.weight_files.read_layers`.

    Returns:
        What matched and what did not.

    Raises:
        ValueError: If the file cannot be read, or nothing matched.

    Example:

    >>> import_imagenet(model, "vgg16_notop.h5").missing  # doctest: +SKIP
    ('encoder_fc6', 'encoder_fc7')
    """
    file = read_layers(path)
    layers = dict(_encoder(model))
    numbered = _numbered(list(layers.values()))
    matched, missing, mismatched, used = [], [], [], set()
    for name, layer in layers.items():
        known = [name, *_other_names(name), numbered[layer.name]]
        source = next((each for each in known if each in file), None)
        if source is None:
            missing.append(name)
            continue
        used.add(source)
        values = _values(layer, source, file)
        wanted = [tuple(variable.shape) for variable in layer.weights]
        found = [value.shape for value in values]
        if wanted != found:
            mismatched.append(f"{name}: {wanted}, in the file {found}")
            continue
        layer.set_weights(values)
        matched.append(name)
    report = ImportReport(
        tuple(matched),
        tuple(missing),
        tuple(mismatched),
        tuple(name for name in file if name not in used),
    )
    if not matched:
        raise ValueError(
            f"No layer of {model.name!r} matches {path}. Expected the weights "
            f"of its encoder, trained on ImageNet perhaps. {report}"
        )
    return report


def _encoder(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    """Yields the encoder's layers that have weights."""
    for layer in model.layers:
        if layer.name == ENCODER and isinstance(layer, keras.Model):
            for inner in layer.layers:
                if inner.weights:
                    yield PREFIX + inner.name, inner
        elif layer.name.startswith(PREFIX) and layer.weights:
            yield layer.name, layer


def _other_names(name: str) -> Iterator[str]:
    """Yields what one of our layers may be called in a file."""
    own = name.removeprefix(PREFIX)
    yield DENSE_LAYERS.get(name, own)
    stage = re.fullmatch(r"block([1-7])([a-z])_(\w+)", own)
    if stage and stage[3] in PYTORCH_LITE0:
        block = BLOCKS_BEFORE[int(stage[1]) - 1] + ord(stage[2]) - ord("a")
        yield f"_blocks.{block}.{PYTORCH_LITE0[stage[3]]}"
    elif own in PYTORCH_LITE0:
        yield PYTORCH_LITE0[own]


def _numbered(layers: Sequence[keras.layers.Layer]) -> dict[str, str]:
    """Returns the names that Keras 2's `.weights.h5` has for layers."""
    counted: collections.Counter[str] = collections.Counter()
    names = {}
    for layer in layers:
        # "DepthwiseConv2D" becomes "depthwise_conv2d".
        kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", type(layer).__name__)
        kind = kind.lower()
        place = counted[kind]
        names[layer.name] = f"{kind}_{place}" if place else kind
        counted[kind] += 1
    return names


def _values(
    layer: keras.layers.Layer, source: str, file: Layers
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
    # Numbers are in order as they are.
    order = [*ORDER, *(name for name in arrays if name not in ORDER)]
    return [arrays[name] for name in order if name in arrays]
