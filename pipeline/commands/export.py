"""`wseg export`: a served model for where TensorFlow is not."""

from __future__ import annotations

import os
from enum import Enum
from typing import Annotated

import typer

from pipeline.commands.arguments import Model, OutFolder
from pipeline.commands.screen import quiet_native, refusals, say

# Everything heavy is imported inside the commands, as in pipeline.commands.run.


class Format(str, Enum):
    """What a model is converted to."""

    tflite = "tflite"
    onnx = "onnx"


def export(
    model: Model,
    format: Annotated[
        Format, typer.Option(help="TensorFlow Lite, or ONNX.")
    ] = Format.tflite,
    out: OutFolder = None,
) -> None:
    """Converts a model: images at the network's size in, class ids out.

    It goes to --out, or here: model.tflite or .onnx, and its classes.
    """
    with refusals():
        from pipeline.commands.outputs import check_outputs
        from wseg_tf.conversion import convert

        folder = out or "."
        path = os.path.join(folder, f"model.{format.value}")
        check_outputs([path, os.path.join(folder, "model.json")], [model])
        with quiet_native():
            convert(model, path, format.value)
    say(f"Written: {path}, and its classes beside it as model.json")
