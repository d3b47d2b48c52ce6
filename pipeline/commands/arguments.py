"""The arguments that commands share, with the words of their help."""

# Typer reads annotations at run time: none may be a string.

from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from wseg_tf.views import Views

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
    typer.Option("--out", help="Folder to write to."),
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
