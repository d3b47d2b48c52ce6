"""The `wseg` command: each subcommand is a module of `pipeline.commands`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipeline.commands import (
    compare,
    compile,
    data,
    doctor,
    evaluate,
    experiment,
    export,
    gate,
    ground,
    init,
    keys,
    models,
    predict,
    releases,
    report,
    run,
    submit,
    train,
    verify,
    weights,
)
from pipeline.commands.screen import (
    SCREEN,
    keep_loopback_direct,
    refusals,
    say,
)
from wseg_tf import __version__
from wseg_tf.filesystems import plugins, prepare, whole_program

app = typer.Typer(
    epilog="Exit codes: 0 done; 1 failed; 2 your input, in one sentence; "
    "3 a model is refused; 130 and 143 Ctrl-C and SIGTERM.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    """Prints the version and ends."""
    if asked:
        say(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            help="Print it and end.",
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Semantic segmentation that knows how severe each confusion is."""
    SCREEN.stderr = False  # Until `--json -` asks for it.


app.command()(doctor.doctor)
app.command()(init.init)
app.command()(keys.keys)
app.command()(run.run)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(predict.predict)
app.command()(compare.compare)
app.command()(experiment.experiment)
app.command()(export.export)
app.command()(models.models)
app.command()(gate.gate)
app.command()(report.report)
app.command()(releases.rollback)
app.command()(releases.baseline)
app.command()(releases.repair)
app.command()(verify.verify)
app.command("compile")(compile.compile_pipeline)
app.command()(submit.submit)
app.add_typer(data.app, name="data")
app.add_typer(ground.app, name="ground")
app.add_typer(weights.app, name="weights")


def main() -> None:
    """Runs the command line."""
    keep_loopback_direct()
    with whole_program():
        if plugins(*sys.argv):
            with refusals():
                prepare(*sys.argv)
        app()
