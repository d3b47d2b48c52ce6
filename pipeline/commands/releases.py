"""`wseg rollback`, `baseline` and `repair`: what is released, and known."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from pipeline.commands.arguments import ConfigFile, Overrides
from pipeline.commands.screen import refusals, refuse, say

Metadata = Annotated[
    Optional[str],  # noqa: UP045 (typer reads it at run time)
    typer.Option(help="HOST:PORT of a cluster's metadata service."),
]


def rollback(
    config: ConfigFile,
    overrides: Overrides = None,
    to: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Version to serve; the one before the latest."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; recorded.")] = "",
    metadata: Metadata = None,
) -> None:
    """Serves an earlier version; newer ones are withdrawn, not deleted."""
    with refusals():
        from pipeline.config.loading import load
        from pipeline.release import releases
        from wseg_tf.locks import held

        settings = load(config, overrides or [])
        with held(settings.local_folder(), "a rollback"):
            done = releases.rollback(
                settings.folder(),
                reason,
                to,
                metadata or settings.local_folder("metadata.sqlite"),
            )
    for version in done.withdrawn:
        say(f"Withdrawn: {settings.folder('withdrawn', str(version))}")
    for version in done.restored:
        say(f"Restored:  {settings.folder('serving', str(version))}")
    say(f"Serving:   {settings.folder('serving', str(done.serving))}")


def baseline(
    config: ConfigFile,
    overrides: Overrides = None,
    reset: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Forget the baseline, for this reason; recorded."),
    ] = None,
    metadata: Metadata = None,
) -> None:
    """Lists the decisions about releases, or resets the baseline."""
    with refusals():
        from pipeline.config.loading import load
        from pipeline.release import releases
        from pipeline.release.decisions import decisions
        from wseg_tf.locks import held

        settings = load(config, overrides or [])
        root = settings.folder()
        if reset is not None and not reset.strip():
            refuse("Expected a reason, which is recorded: --reset REASON.")
        if reset is not None:
            place = metadata or settings.local_folder("metadata.sqlite")
            with held(settings.local_folder(), "a reset of the baseline"):
                releases.reset_baseline(root, reset, place)
        found = decisions(root)
    for each in found:
        say(
            f"{each.when} {each.what} by {each.who or 'somebody'}: "
            f"{each.reason or 'no reason given'} "
            f"({len(each.blessings)} blessings revoked; serving "
            f"{each.serving or 'nothing'})"
        )
    if not found:
        say("No baseline was reset and nothing was rolled back.")


def repair(config: ConfigFile, overrides: Overrides = None) -> None:
    """Notes released versions anew where the run's metadata was lost."""
    with refusals():
        from pipeline.config.loading import load
        from pipeline.release.metadata_file import fault, made
        from pipeline.release.releases import finish
        from pipeline.release.repair import repair as note_anew
        from wseg_tf.locks import held

        settings = load(config, overrides or [])
        root = settings.folder()
        path = settings.local_folder("metadata.sqlite")
        with held(settings.local_folder(), "a repair"):
            found = fault(path, say)
            if found == "" or (found is None and not made(root)):
                say(f"{path}: nothing to repair.")
                return
            noted = note_anew(root, path)
            finish(root, path)
    for each in noted:
        what = f"no baseline: {each.revoked}" if each.revoked else "a baseline"
        if each.model is None:
            what = "no baseline: the trained model that it copies is gone"
        say(f"Version {each.version}: {what}")
    say(f"Written: {path}; every step runs again, and its results stay apart.")
