"""The `wseg` command."""

from __future__ import annotations

import json
import os
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, NoReturn, Optional

import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands import data as data_commands

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig
    from pipeline.lineage import Step

# Everything heavy is imported inside the commands: TensorFlow and TFX take
# half a minute, and `wseg --help` should not.

app = typer.Typer(
    help="Semantic segmentation that knows how severe each confusion is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_commands.app, name="data")
_screen = Console(highlight=False, soft_wrap=True)
_errors = Console(stderr=True, highlight=False, soft_wrap=True)

USER_ERROR = 2
FAILURE = 1
INTERRUPTED = 130


@app.callback()
def _wseg() -> None:
    """Semantic segmentation that knows how severe each confusion is."""


@app.command()
def run(
    config: Annotated[str, typer.Argument(help="A file of configs/.")],
    overrides: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads it at run time)
        typer.Argument(help="Changes, e.g. training.batch=4"),
    ] = None,
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Folder of the data set."),
    ] = None,
) -> None:
    """Runs the pipeline: images in, a pushed (or refused) model out."""
    changes = [
        *(overrides or []),
        *([f"data.path={json.dumps(data)}"] if data else []),
    ]
    _screen.print("Starting (TensorFlow and TFX take half a minute) ...")
    _quiet_imports()
    from pipeline.config import load
    from wseg_tf.configuration import ConfigurationError

    try:
        settings = load(config, changes)
    except ConfigurationError as error:
        _refuse(error)
    _report_run(settings, _run(settings))


@app.command()
def models(
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="One network; all of them by default."),
    ] = None,
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 11,
    height: Annotated[int, typer.Option(help="Of the image, pixels.")] = 360,
    width: Annotated[int, typer.Option(help="Of the image, pixels.")] = 480,
    summary: Annotated[
        bool, typer.Option("--summary", help="List the layers.")
    ] = False,
) -> None:
    """Lists the networks: parameters, arithmetic, output stride."""
    _quiet_imports()
    from wseg_tf.models import ARCHITECTURES
    from wseg_tf.models.description import describe, summary_text
    from wseg_tf.models.registry import architecture

    try:
        names = [architecture(name).name] if name else list(ARCHITECTURES)
        if summary:
            for each in names:
                _screen.print(summary_text(each, classes))
            return
        table = Table(title=f"{classes} classes, images of {height}x{width}")
        for heading in ("", "parameters", "GFLOP", "stride", ""):
            table.add_column(heading, justify="right" if heading else "left")
        for each in names:
            found = describe(each, classes, (height, width))
            table.add_row(
                found.name,
                f"{found.parameters:,}",
                f"{found.flops / 1e9:.1f}",
                str(found.output_stride),
                found.summary,
            )
    except ValueError as error:
        _refuse(error)
    _screen.print(table)


def _run(settings: PipelineConfig) -> dict[str, Step]:
    from pipeline.components.validation import InvalidDataError
    from pipeline.runners import local
    from wseg_tf.configuration import ConfigurationError
    from wseg_tf.data.records import DataError

    try:
        return local.run(settings, _screen.print)
    except (ConfigurationError, DataError, InvalidDataError) as error:
        _refuse(error)
    except KeyboardInterrupt:
        _errors.print(
            "Interrupted. Finished steps are kept; run the same command to "
            "go on."
        )
        sys.exit(INTERRUPTED)
    except Exception as error:  # The log has the traceback; say where.
        _errors.print(
            f"Failed: {type(error).__name__}: {_first_line(error)}\n"
            f"The whole story is in {local.log_path(settings)}"
        )
        sys.exit(FAILURE)


def _report_run(settings: PipelineConfig, steps: dict[str, Step]) -> None:
    import tensorflow as tf

    folder = steps["Reporter"].outputs["report"][0].uri
    with tf.io.gfile.GFile(os.path.join(folder, "report.json")) as file:
        report = json.load(file)
    _screen.print(_table(report))
    verdict = "[green]pushed" if report["pushed"] else "[red]refused"
    _screen.print(f"Verdict: {verdict}[/]: {report['reason']}")
    _screen.print(f"Model:   {report['pushed'] or report['model']}")
    _screen.print(f"Report:  {folder}/report.md")


def _table(report: dict[str, object]) -> Table:
    table = Table(title=f"{report['name']}: IoU over {report['images']} images")
    table.add_column("")
    table.add_column("IoU", justify="right")
    rows = report["table"]
    assert isinstance(rows, list)
    for row in rows:
        style = "" if row["kind"] == "class" else "bold"
        value = "absent" if row["iou"] is None else f"{row['iou']:.3f}"
        table.add_row(row["name"], value, style=style)
    return table


def _quiet_imports() -> None:
    """Keeps what libraries say while they load off the screen."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0].partition(" [while running")[0] if lines else ""


def _refuse(error: Exception) -> NoReturn:
    _errors.print(_first_line(error))
    sys.exit(USER_ERROR)


def main() -> None:
    """Runs the command line."""
    app()
