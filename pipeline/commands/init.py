"""`wseg init`: a first configuration of a folder of images and labels."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from pipeline.commands.screen import refusals, say

# Everything heavy is imported inside the commands, as in pipeline.cli.


def init(
    folder: Annotated[str, typer.Argument(help="Folder of images and labels.")],
    out: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Option(
            help="The configuration to write, FOLDER.yaml by default; the "
            "description of the data, OUT-data.yaml, lies beside it."
        ),
    ] = None,
    images: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="A part of the images' paths, where several sorts fit."
        ),
    ] = None,
    labels: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The same for the labels."),
    ] = None,
) -> None:
    """Finds layout, ids, sizes and splits of a folder; writes a first config.

    Nothing is overwritten.
    """
    with refusals():
        import tensorflow as tf

        from pipeline.ingest.first_config import first_files
        from wseg_tf.data.discovery import discover
        from wseg_tf.data.discovery.text import summary
        from wseg_tf.filesystems import write_whole

        found = discover(folder, images, labels)
        files = first_files(found, out or f"{found.name}.yaml")
        for path in files:
            if tf.io.gfile.exists(path):
                raise ValueError(
                    f"{path}: expected a new file. Found: one that is there "
                    "already; choose another --out, or delete it."
                )
        for path, text in files.items():
            write_whole(path, text)
        config, data = files
        say(f"{summary(found)}.")
        say(f"Written: {', '.join(files)}. Edit names and groups, then:")
        say(f"  wseg data check '{folder}' --dataset {data}")
        say(f"  wseg run {config}")
