"""What a served model becomes where TensorFlow is not: TensorFlow Lite, ONNX.

Converted is the signature `"pixels"`: decoded images at the network's size in,
class ids out. Decoding and resizing are the application's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from wseg_tf import saved_models
from wseg_tf.cards import CARD
from wseg_tf.serving import PIXELS

# The newest that TensorFlow's converter to ONNX writes.
OPSET = 18


def convert(model: str, path: str, format: str) -> None:
    """Converts a model that `wseg_tf.serving.export` wrote.

    Args:
        model: Folder of the SavedModel.
        path: File that is written; the model's card, a JSON file with the
            names of the classes, is written beside it.
        format: One of `FORMATS`: `"tflite"` takes one image `[1, H, W, 3]`,
            `"onnx"` any number `[B, H, W, 3]`; both uint8, RGB, at the
            network's height and width. Both answer with class ids.

    Raises:
        ValueError: If the format is unknown, the folder holds no such model,
            or the model looks at smaller images, too.
        ModuleNotFoundError: If tf2onnx is not installed, for `"onnx"`.

    Example:

    >>> convert("model", "model.tflite", "tflite")  # doctest: +SKIP
    """
    if format not in FORMATS:
        raise ValueError(
            "Invalid value for argument `format`. Expected one of "
            f"{sorted(FORMATS)}. Received: format={format!r}."
        )
    try:
        card = _read(os.path.join(model, CARD))
        loaded = saved_models.load(model)
        classify = loaded.signatures[PIXELS]
    except (tf.errors.OpError, OSError, KeyError, AttributeError) as error:
        raise ValueError(
            "Invalid model. Expected the folder of a SavedModel with a "
            f"signature `{PIXELS}`, as this version of wseg_tf exports it. "
            f"Received: {model}{saved_models.held_in(model)}."
        ) from error
    scales = json.loads(card).get("views", {}).get("scales", [1.0])
    if min(scales) < 1:
        raise ValueError(
            f"Invalid model {model}. Expected one whose `views.scales` are 1 "
            "or more, since neither TensorFlow Lite nor ONNX shrinks images "
            f"without aliasing. Received: scales={scales}."
        )
    converted = FORMATS[format](loaded, classify)
    _write(path, converted)
    _write(f"{os.path.splitext(path)[0]}.json", card)


def _tflite(loaded: Any, classify: Callable[..., Any]) -> bytes:
    """Returns a TensorFlow Lite model for one image."""
    function = _function(classify, 1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], loaded
    )
    converted: bytes = converter.convert()
    return converted


def _onnx(loaded: Any, classify: Callable[..., Any]) -> bytes:
    """Returns an ONNX model for any number of images."""
    try:
        import tf2onnx
    except ImportError as error:
        raise ModuleNotFoundError(
            "ONNX needs tf2onnx: install `wseg_tf[export]`.", name="tf2onnx"
        ) from error
    function = _function(classify, None)
    proto, _ = tf2onnx.convert.from_function(
        function, function.input_signature, opset=OPSET
    )
    for node in proto.graph.node:
        if node.op_type == "Conv":
            _pad_explicitly(node)
    converted: bytes = proto.SerializeToString()
    return converted


def _pad_explicitly(node: Any) -> None:
    """Writes "same" as numbers: some runtimes cannot pad where it dilates."""
    found = {attribute.name: attribute for attribute in node.attribute}
    dilated = [*found["dilations"].ints] if "dilations" in found else [1]
    if "auto_pad" not in found or max(dilated) == 1:
        return
    if found["auto_pad"].s != b"SAME_UPPER":
        return
    # A convolution that dilates has strides of 1.
    whole = [
        rate * (size - 1)
        for rate, size in zip(dilated, found["kernel_shape"].ints, strict=True)
    ]
    before = [each // 2 for each in whole]
    after = [each - half for each, half in zip(whole, before, strict=True)]
    padding = node.attribute.add(name="pads", type=found["strides"].type)
    padding.ints.extend([*before, *after])
    node.attribute.remove(found["auto_pad"])


FORMATS = {"tflite": _tflite, "onnx": _onnx}


def _function(classify: Callable[..., Any], batch: int | None) -> Any:
    """Returns the signature as a function of a number of images."""
    given = classify.structured_input_signature[1]["images"]  # type: ignore[attr-defined]
    images = tf.TensorSpec([batch, *given.shape[1:]], given.dtype, "images")

    @tf.function(input_signature=[images], autograph=False)
    def answer(images: tf.Tensor) -> Any:
        return classify(images=images)

    return answer


def _read(path: str) -> bytes:
    with tf.io.gfile.GFile(path, "rb") as file:
        content: bytes = file.read()
    return content


def _write(path: str, content: bytes) -> None:
    tf.io.gfile.makedirs(os.path.dirname(path) or ".")
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)
