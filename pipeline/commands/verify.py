"""`wseg verify`: whether a version is what was judged and pushed."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Optional

import typer

from pipeline.commands.screen import ERRORS, REFUSED, refusals, refuse, say


def verify(
    version: Annotated[
        str,
        typer.Argument(help="A pushed version, or the folder that serves."),
    ],
    key: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="Public key that must have signed it, PEM."),
    ] = None,
) -> None:
    """Holds a pushed version to what was judged; exit code 3 if it differs."""
    with refusals():
        import tensorflow as tf

        from pipeline.gate.digests import STATEMENT
        from pipeline.release.model_files import versions
        from pipeline.release.statement import StatementError, verify_version

        folder = version
        if there := versions(version):
            folder = os.path.join(version, str(there[-1]))
        elif not any(
            tf.io.gfile.exists(os.path.join(version, name))
            for name in ("saved_model.pb", STATEMENT)
        ):
            refuse(f"{version}: expected the folder of a version. Found: none.")
        try:
            found, is_signed = verify_version(folder, key)
        except StatementError as error:
            ERRORS.print(str(error))
            sys.exit(REFUSED)
    say(f"{folder}: the {len(found.files)} files that were pushed.")
    say(f"Pushed:   {found.pushed} by {found.who}, of {found.pipeline}")
    for name, digest in found.judged.items():
        say(f"Judged:   {name}, sha256 {digest}")
    if key is not None:
        say(f"Signed:   by the owner of {key}")
    elif is_signed:
        say("Signed:   not checked; --key PUBLIC says by whom")
    else:
        say("Signed:   no, so accidents alone would be found")
