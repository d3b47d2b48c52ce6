"""Models of any framework, as the gate takes them: something that counts.

A SavedModel that `wseg_tf` exported says itself what it is. Of any other
SavedModel, a `.keras` or `.h5` file, or a folder of predicted label PNGs, the
classes and the input are told.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Optional

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image

from pipeline.gate.counting import Count
from wseg_tf import saved_models
from wseg_tf.cards import CARD
from wseg_tf.classes import ClassSet
from wseg_tf.data.records import decode, parse
from wseg_tf.filesystems import local_copy, read_bytes
from wseg_tf.ground import GroundMatrix
from wseg_tf.json_files import MOST_BYTES
from wseg_tf.metrics import confusion_count
from wseg_tf.ranges import bounded, check_ranges
from wseg_tf.serving import ServedModel
from wseg_tf.training.recipe import LONGEST

Pixels = npt.NDArray[Any]
# From an image `[H, W, 3]`, uint8, to class ids `[H, W]`, or to logits or
# probabilities `[h, w, N]`.
Predict = Callable[[Pixels], Pixels]

# Of a Keras file: what would run code of the file's own choosing.
_CODE = ("Lambda", "function", "__lambda__")
_OPERATIONS = ("TFOpLambda", "ClassMethod", "InstanceMethod")
# Whose classes are layers and what belongs to them.
_PACKAGES = ("keras", "keras_cv", "tensorflow_addons", "wseg_tf", "builtins")
# TensorFlow's functions that a layer may stand for: what computes.
_FUNCTIONS = re.compile(
    r"(compat\.v1\.)?("
    r"(math|nn|linalg|signal|__operators__)\.[\w.]+"
    r"|image\.(resize|crop_and_resize|per_image_standardization|pad_to\w+"
    r"|central_crop|flip_\w+|rot90|rgb_to_\w+)"
    r"|cast|concat|stack|unstack|split|reshape|transpose|expand_dims|squeeze"
    r"|shape|size|rank|tile|pad|gather|gather_nd|where|zeros|ones|zeros_like"
    r"|ones_like|fill|range|argmax|argmin|one_hot|identity|stop_gradient"
    r"|clip_by_value|reverse|roll|slice|strided_slice|broadcast_to|repeat"
    r"|space_to_depth|depth_to_space|einsum|tensordot|convert_to_tensor)"
)


@dataclass
class InputOptions:
    """What a model of another framework is fed with, and answers.

    Args:
        size: Height and width that images are resized to, bilinearly. Their
            own by default, or what the model is fixed to.
        range: What 0..255 is mapped to, e.g. `[0, 1]` or `[-1, 1]`.
        mean: Of each channel, subtracted after that.
        std: Of each channel, divided by; ImageNet's is `[.229, .224, .225]`.
        channels: `"rgb"` or `"bgr"`.
        layout: `"nhwc"` or `"nchw"`, of the input and the output.
        signature: Of a SavedModel.
        output: Name of the output, where there are several.
    """

    size: Optional[tuple[int, int]] = bounded(None, 1, LONGEST)  # noqa: UP045
    range: list[float] = bounded(lambda: [0.0, 255.0])
    mean: list[float] = bounded(lambda: [0.0, 0.0, 0.0])
    std: list[float] = bounded(lambda: [1.0, 1.0, 1.0], above=0)
    channels: str = "rgb"
    layout: str = "nhwc"
    signature: str = "serving_default"
    output: Optional[str] = None  # noqa: UP045

    def __post_init__(self) -> None:
        """Refuses what no image can be turned into."""
        check_ranges(self)
        for name, length in (("range", 2), ("mean", 3), ("std", 3)):
            received = list(getattr(self, name))
            if len(received) != length:
                raise _invalid(name, f"{length} numbers", received)
        for name, known in (
            ("channels", ("rgb", "bgr")),
            ("layout", ("nhwc", "nchw")),
        ):
            if getattr(self, name) not in known:
                raise _invalid(name, f"one of {known}", getattr(self, name))


@dataclass(frozen=True)
class Candidate:
    """A model, or its predictions, for the gate.

    Args:
        count: Counts the confusion of a record.
        classes: The classes it answers with.
        ground: D that it was exported with, if it says one.
    """

    count: Count
    classes: ClassSet
    ground: GroundMatrix | None = None


def open_candidate(
    path: str,
    classes: ClassSet,
    options: InputOptions | None = None,
    trust: bool = False,
) -> Candidate:
    """Opens whatever a path is.

    Args:
        path: A SavedModel; a `.keras` or `.h5` file of a whole Keras model; or
            a folder of PNGs of class ids, named as the frames.
        classes: The classes of the data; a model of ours has its own.
        options: What other models are fed with. Defaults to RGB, 0..255.
        trust: Whether a Keras file or a foreign SavedModel may run code of its
            own. Defaults to not.

    Raises:
        ValueError: If it is none of these, or does not answer with as many
            classes.
    """
    options = dataclasses.replace(options or InputOptions())
    if tf.io.gfile.exists(os.path.join(path, CARD)):
        served = ServedModel(path)
        return Candidate(served.count_confusion, served.classes, served.ground)
    held = saved_models.held_in(path)
    if tf.io.gfile.exists(os.path.join(path, saved_models.MODEL)):
        predict = _saved_model(path, options, trust)
    elif path.endswith((".keras", ".h5", ".hdf5")):
        predict = _keras_file(path, options, trust)
    elif tf.io.gfile.isdir(path) and not held:
        return Candidate(_folder(path, classes), classes)
    else:
        raise ValueError(
            "Invalid model. Expected a SavedModel, a .keras or .h5 file, or a "
            f"folder of predicted label PNGs. Received: {path}{held}."
        )
    return Candidate(counter(predict, classes), classes)


def counter(predict: Predict, classes: ClassSet) -> Count:
    """Returns what counts records under a function.

    Args:
        predict: From an image `[H, W, 3]`, uint8, to class ids `[H, W]` of an
            integer type, or to logits or probabilities `[h, w, N]`, which are
            resized to the image.
        classes: The classes it answers with.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> sky = counter(lambda image: np.zeros(image.shape[:2], int), CAMVID)
    """

    def count(record: bytes) -> npt.NDArray[np.int64]:
        image, label = (each.numpy() for each in decode(parse(record)))
        ids = _ids(predict(image), label.shape, len(classes))
        return confusion_count(label, ids, len(classes), classes.void)

    return count


def _ids(answer: Pixels, shape: tuple[int, int], classes: int) -> Pixels:
    """Returns class ids at the size of the image."""
    found: Pixels = np.asarray(answer)
    if found.dtype.kind in "ui":
        if found.ndim == 3 and found.shape[-1] == 1:
            found = found[..., 0]
        if found.ndim != 2:
            raise ValueError(
                "Invalid answer of the model. Expected class ids [H, W]. "
                f"Received: shape {found.shape}, {found.dtype}."
            )
        if found.shape != shape:
            resized = Image.fromarray(found.astype(np.int32), "I").resize(
                shape[::-1], Image.Resampling.NEAREST
            )
            found = np.asarray(resized)
        return found
    if found.ndim != 3 or found.shape[-1] != classes:
        raise ValueError(
            "Invalid answer of the model. Expected logits or probabilities "
            f"[H, W, {classes}], or class ids. Received: shape "
            f"{found.shape}, {found.dtype}."
        )
    if not np.isfinite(found).all():
        raise ValueError(
            "Invalid answer of the model. Expected finite numbers. Received: "
            "NaN or infinity."
        )
    resized = tf.image.resize(found.astype(np.float32), shape)
    ids: Pixels = tf.argmax(resized, axis=-1).numpy()
    return ids


def _prepared(image: Pixels, options: InputOptions) -> Pixels:
    """Returns an image as the model wants it, with its batch."""
    pixels = image.astype(np.float32)
    if options.size is not None:
        resized = tf.image.resize(pixels, options.size, antialias=True)
        pixels = resized.numpy()
    low, high = options.range
    pixels = low + pixels / 255.0 * (high - low)
    pixels = (pixels - options.mean) / options.std
    if options.channels == "bgr":
        pixels = pixels[..., ::-1]
    if options.layout == "nchw":
        pixels = np.moveaxis(pixels, -1, 0)
    return pixels[None].astype(np.float32)


def _answer(found: Any, options: InputOptions) -> Pixels:
    """Returns the answer to one image, channels last."""
    answer: Pixels = np.asarray(found)[0]
    is_scored = answer.dtype.kind == "f" and answer.ndim == 3
    if is_scored and options.layout == "nchw":
        answer = np.moveaxis(answer, 0, -1)
    return answer


def _saved_model(path: str, options: InputOptions, trust: bool) -> Predict:
    saved = saved_models.load(path, trust)
    if options.signature not in saved.signatures:
        raise _invalid(
            "signature",
            f"one of {sorted(saved.signatures)} of {path}",
            options.signature,
        )
    run = saved.signatures[options.signature]
    _, inputs = run.structured_input_signature
    if len(inputs) != 1:
        raise ValueError(
            f"Invalid model {path}. Expected a signature of one input. "
            f"Received: {sorted(inputs)}."
        )
    ((name, spec),) = inputs.items()

    def predict(image: Pixels) -> Pixels:
        if spec.dtype == tf.string:
            given = tf.constant([_encoded(image)])
        else:
            given = tf.cast(_prepared(image, options), spec.dtype)
        found = _ask(lambda: run(**{name: given}), path)
        return _answer(_chosen(found, options, path), options)

    _note_size(options, spec.shape, path)
    return predict


def _ask(model: Callable[[], Any], path: str) -> Any:
    """Returns a model's answer, or says that it does not take the image."""
    try:
        return model()
    # What another framework's model raises differs with what is wrong.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        raise ValueError(
            f"Invalid model {path}. Expected an answer to an image as --input "
            f"describes it. Received: {type(error).__name__}: {reason}"
        ) from error


def _chosen(found: Any, options: InputOptions, path: str) -> Any:
    """Picks the output; of several, the one that is named."""
    if not isinstance(found, dict):
        return found
    if options.output is None and len(found) == 1:
        return next(iter(found.values()))
    if options.output not in found:
        raise _invalid(
            "output", f"one of {sorted(found)} of {path}", options.output
        )
    return found[options.output]


def _note_size(options: InputOptions, shape: Any, path: str) -> None:
    """Takes the size that a model is fixed to, or refuses another."""
    if shape.rank != 4:
        return
    places = (2, 3) if options.layout == "nchw" else (1, 2)
    fixed = tuple(shape[place] for place in places)
    if None in fixed:
        return
    if options.size is not None and tuple(options.size) != fixed:
        raise _invalid("size", f"{fixed}, of {path}", tuple(options.size))
    options.size = fixed


def _keras_file(path: str, options: InputOptions, trust: bool) -> Predict:
    with local_copy(path) as local:
        if not trust:
            _refuse_code(local, path)
        try:
            model = keras.models.load_model(local, compile=False)
        # What Keras raises differs with what is wrong and with its version.
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else ""
            raise ValueError(
                f"Invalid model. Expected a whole Keras model. Received: "
                f"{path} ({type(error).__name__}: {reason})."
            ) from error
    if len(model.inputs or ()) != 1:
        raise ValueError(
            f"Invalid model {path}. Expected one input. Received: "
            f"{len(model.inputs or ())}."
        )
    _note_size(options, tf.TensorShape(model.inputs[0].shape), path)

    def predict(image: Pixels) -> Pixels:
        given = _prepared(image, options)
        found = _ask(lambda: model(given, training=False), path)
        if isinstance(found, list | tuple):
            found = dict(zip(model.output_names, found, strict=True))
        return _answer(_chosen(found, options, path), options)

    return predict


def _refuse_code(local: str, path: str) -> None:
    """Refuses a Keras file that names code to run."""
    try:
        named = [*_named_code(_architecture(local, path))]
    except RecursionError:
        named = ["nest of layers without end"]
    for name in named:
        raise ValueError(
            f"Invalid model {path}. Expected layers alone. Received: a "
            f"`{name}`, which runs code that the file names; if you trust "
            "whoever wrote it, add --trust."
        )


def _architecture(local: str, path: str) -> Any:
    try:
        if zipfile.is_zipfile(local):
            with zipfile.ZipFile(local) as archive:
                if archive.getinfo("config.json").file_size > MOST_BYTES:
                    raise ValueError("more than an architecture")
                return json.loads(archive.read("config.json"))
        import h5py

        with h5py.File(local) as file:
            return json.loads(file.attrs["model_config"])
    except (
        OSError,
        KeyError,
        ValueError,
        RecursionError,
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(
            f"Invalid model. Expected a whole Keras model. Received: {path}, "
            "which says no architecture."
        ) from error


def _named_code(config: Any) -> Iterator[str]:
    """Yields what a Keras file would run that is no layer of Keras."""
    if isinstance(config, list):
        for value in config:
            yield from _named_code(value)
    if not isinstance(config, dict):
        return
    name, module = config.get("class_name"), config.get("module")
    if name in _CODE:
        yield str(name)
    elif name is not None and str(module or "keras").split(".")[0] not in (
        _PACKAGES
    ):
        yield f"{module}.{name}"
    elif name in _OPERATIONS:
        own = config.get("config")
        function = str(own.get("function", "")) if isinstance(own, dict) else ""
        if not _FUNCTIONS.fullmatch(function):
            yield function or str(name)
    for value in config.values():  # A layer is named before what it holds.
        yield from _named_code(value)


def _folder(folder: str, classes: ClassSet) -> Count:
    """Counts label PNGs that lie in a folder, by the frames' names."""

    def count(record: bytes) -> npt.NDArray[np.int64]:
        parsed = parse(record)
        _, label = decode(parsed)
        truth = label.numpy()
        name = parsed["name"].numpy().decode()
        path = os.path.join(folder, f"{name}.png")
        try:
            picture = Image.open(io.BytesIO(read_bytes(path)))
            ids = np.asarray(picture)
        except (OSError, SyntaxError) as error:
            is_missing = isinstance(error, FileNotFoundError)
            found = "none" if is_missing else "one that cannot be read"
            raise ValueError(
                f"Invalid predictions. Expected a PNG of class ids, {path}. "
                f"Received: {found}."
            ) from error
        if ids.shape != truth.shape or ids.dtype.kind not in "ui":
            raise ValueError(
                f"Invalid predictions {path}. Expected class ids of shape "
                f"{truth.shape}. Received: {ids.dtype} of shape {ids.shape}."
            )
        try:
            return confusion_count(truth, ids, len(classes), classes.void)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    return count


def _encoded(image: Pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def _invalid(argument: str, expected: str, received: Any) -> ValueError:
    return ValueError(
        f"Invalid value for argument `{argument}`. Expected {expected}. "
        f"Received: {argument}={received!r}."
    )
