"""Warm start: the weights of an earlier model, or a refusal."""

from __future__ import annotations

import hashlib
import logging
import os

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.cards import CARD, read_card
from wseg_tf.classes import ClassSet
from wseg_tf.models.imagenet import import_imagenet
from wseg_tf.models.registry import load_weights
from wseg_tf.models.weight_files import read_layers

LOG = logging.getLogger("wseg_tf.training")
# Files of one network, all of it; and others', of an encoder.
OWN = (".keras", ".weights.h5")
FILES = (*OWN, ".h5", ".npz", ".pth", ".pt")
VARIABLES = os.path.join("variables", "variables")
# How `wseg_tf.serving.export` names the variables of a network.
EXPORTED = "weights/{}/.ATTRIBUTES/VARIABLE_VALUE"


def start_from(
    model: keras.Model, path: str, classes: ClassSet | None = None
) -> None:
    """Gives a model the weights of an earlier one, or a trained encoder.

    Args:
        model: The model; it is changed in place.
        path: A `.weights.h5` or `.keras` file of the same network, a SavedModel
            that `wseg_tf.serving.export` wrote, or a folder of versions of
            such, of which the one with the highest number counts; or a `.pth`,
            `.pt`, `.npz` or `.h5` file of others, whose weights the encoder
            gets by `wseg_tf.models.import_imagenet`.
        classes: What the model's outputs mean; an exported model says what its
            own do. Defaults to None: whatever they do.

    Raises:
        ValueError: If there is none, or it is of another network, or of other
            classes or another order of them.
    """
    if path.endswith(OWN):
        _from_file(model, path)
    elif path.endswith(FILES):
        _from_others(model, path)
    else:
        version = newest_version(path)
        if classes is not None:
            _refuse_other_classes(version, classes)
        _from_exported(model, version)


def weights_digest(path: str) -> str:
    """Returns what tells weights to start from others, by their content.

    Args:
        path: What `start_from` takes.

    Returns:
        SHA-256 of a file, or of the variables of an exported model; sixteen
        hexadecimal digits.

    Raises:
        ValueError: If there is nothing there.
    """
    digest = hashlib.sha256()
    files = weight_files(path)
    for file in files:
        if len(files) > 1:
            digest.update(f"{os.path.basename(file)}\n".encode())
        with tf.io.gfile.GFile(file, "rb") as content:
            while block := content.read(2**24):
                digest.update(block)
    return digest.hexdigest()[:16]


def model_digest(model: keras.Model) -> str:
    """Returns what tells a model's weights from others, as they are now.

    Args:
        model: The model.

    Returns:
        SHA-256 of shapes, types and values; sixteen hexadecimal digits.
    """
    digest = hashlib.sha256()
    for values in model.get_weights():
        digest.update(f"{values.shape} {values.dtype}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def weight_files(path: str) -> list[str]:
    """Returns the files that hold weights to start from.

    Args:
        path: What `start_from` takes.

    Raises:
        ValueError: If there is nothing there.
    """
    if not path.endswith(FILES):
        folder = os.path.join(newest_version(path), "variables")
        names = sorted(tf.io.gfile.listdir(folder))
        return [os.path.join(folder, name) for name in names]
    if not tf.io.gfile.exists(path):
        raise ValueError(
            "Invalid value for argument `initial`. Expected a file of "
            f"weights. Received: initial={path!r}, which does not exist."
        )
    return [path]


def newest_version(folder: str) -> str:
    """Returns the newest model of a folder of versions.

    Args:
        folder: A SavedModel, or a folder whose folders are named by numbers.

    Returns:
        The SavedModel's folder.

    Raises:
        ValueError: If there is none.
    """
    if tf.io.gfile.exists(os.path.join(folder, "saved_model.pb")):
        return folder
    entries = tf.io.gfile.listdir(folder) if tf.io.gfile.isdir(folder) else []
    versions = [name.rstrip("/") for name in entries]
    versions = [name for name in versions if name.isdigit()]
    if not versions:
        raise ValueError(
            "Invalid value for argument `initial`. Expected a file that ends "
            f"in one of {list(FILES)} or an exported model. Received: "
            f"initial={folder!r}, which is none."
        )
    return os.path.join(folder, max(versions, key=int))


def _from_file(model: keras.Model, path: str) -> None:
    weight_files(path)
    try:
        load_weights(model, path)
    # What Keras raises differs with what does not fit and with its version.
    except Exception as error:
        raise _other_network(model, path) from error


def _from_others(model: keras.Model, path: str) -> None:
    weight_files(path)
    held = read_layers(path)
    if all(layer.name in held for layer in model.layers if layer.weights):
        _from_file(model, path)  # All of it, as Keras 2 wrote it.
        return
    try:
        report = import_imagenet(model, path)
    except ValueError as error:
        raise _other_network(model, path) from error
    if report.mismatched:
        shapes = f": {report.mismatched[0]}"
        raise _other_network(model, path, shapes)
    LOG.info("%s: %s", path, report)


def _from_exported(model: keras.Model, folder: str) -> None:
    reader = tf.train.load_checkpoint(os.path.join(folder, VARIABLES))
    shapes = reader.get_variable_to_shape_map()
    names = [EXPORTED.format(place) for place in range(len(model.variables))]
    held = [name for name in shapes if name.startswith("weights/")]
    fits = len(held) == len(names) and all(
        tuple(shapes.get(name, ())) == tuple(variable.shape)
        for name, variable in zip(names, model.variables, strict=True)
    )
    if not fits:
        raise _other_network(model, folder)
    for name, variable in zip(names, model.variables, strict=True):
        values: npt.NDArray[np.float32] = reader.get_tensor(name)
        variable.assign(values)


def _refuse_other_classes(folder: str, classes: ClassSet) -> None:
    """Refuses weights whose outputs mean other classes, where they say so."""
    if not tf.io.gfile.exists(os.path.join(folder, CARD)):
        return
    own = read_card(folder)[0].names
    for place, (name, wanted) in enumerate(
        zip(own, classes.names, strict=False)
    ):
        if name != wanted:
            raise ValueError(
                "Invalid value for argument `initial`. Expected a model of the "
                f"classes of {classes.name!r}, in their order: class {place} "
                f"is {wanted!r}. Received: initial={folder!r}, whose class "
                f"{place} is {name!r}."
            )


def _other_network(
    model: keras.Model, path: str, shapes: str = ""
) -> ValueError:
    return ValueError(
        f"Invalid value for argument `initial`. Expected weights of "
        f"`{model.name}` with {model.output_shape[-1]} classes. Received: "
        f"initial={path!r}, weights of another network{shapes}."
    )
