"""The arguments that commands share, with the words of their help."""

# Typer reads annotations at run time: none may be a string.

from typing import Annotated, Optional

import typer

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
JsonFile = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--json",
        help="Write it as JSON to this file, or with - to the screen, alone.",
    ),
]
