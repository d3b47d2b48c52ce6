"""The arguments that commands share, with the words of their help."""

# Typer reads annotations at run time: none may be a string.

import os
import re
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands.screen import refuse

if TYPE_CHECKING:
    from wseg_tf.views import Views

# Whoever gives a folder such an ending wants a file.
FILES = re.compile(r"\.(csv|h5|html|jpe?g|json|keras|onnx|png|tflite|ya?ml)$")


def _no_file(folder: Optional[str]) -> Optional[str]:  # noqa: UP045
    if folder and FILES.search(folder) and not os.path.isdir(folder):
        refuse(
            "Invalid value for option `--out`. Expected a folder to write to. "
            f"Received: {folder}, which is named as a file."
        )
    return folder


ConfigFile = Annotated[str, typer.Argument(help="A file of configs/.")]
Overrides = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Argument(help="Changes, e.g. training.batch=4 or root=PATH"),
]
DataFolder = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--data", help="Folder of the data set."),
]
OutFolder = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--out", help="Folder to write to.", callback=_no_file),
]
Model = Annotated[str, typer.Argument(help="A SavedModel of this package.")]
JudgedFolder = Annotated[str, typer.Argument(help="Folder of the data set.")]
Dataset = Annotated[
    str, typer.Option(help="A layout's name or a YAML description.")
]
Split = Annotated[str, typer.Option(help="The split to judge on.")]
ViewsText = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--views",
        help="Try other views of each image than the model's own: YAML with "
        "the keys of training.views, such as '{flip: true, windows: true}'.",
    ),
]
JsonFile = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--json",
        help="Write it as JSON to this file, or with - to the screen, alone.",
    ),
]


def views_of(given: Optional[str]) -> Optional["Views"]:  # noqa: UP045
    """Reads `--views`; None where a model is to look as it was exported to."""
    from wseg_tf import configuration
    from wseg_tf.views import Views

    if given is None:
        return None
    return configuration.load(Views, given, "--views")
