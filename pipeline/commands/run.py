"""`wseg run`: the whole pipeline on this machine."""

from __future__ import annotations

import json
import math
import os
import sys
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands.screen import (
    ERRORS,
    FAILURE,
    INTERRUPTED,
    SCREEN,
    first_line,
    iou_table,
    quiet_imports,
    refuse,
    say,
    with_data,
)

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig
    from pipeline.lineage import Step

# Everything heavy is imported inside the commands: TensorFlow and TFX take
# half a minute, and `wseg --help` should not.


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
    say("Starting (TensorFlow and TFX take half a minute) ...")
    quiet_imports()
    from pipeline.config import load
    from wseg_tf.configuration import ConfigurationError

    try:
        settings = load(config, with_data(overrides, data))
    except ConfigurationError as error:
        refuse(error)
    _report_run(settings, _run(settings))


def _run(settings: PipelineConfig) -> dict[str, Step]:
    from pipeline.components.validation import InvalidDataError
    from pipeline.runners import local
    from wseg_tf.configuration import ConfigurationError
    from wseg_tf.data.records import DataError

    try:
        return local.run(settings, say)
    except (ConfigurationError, DataError, InvalidDataError) as error:
        refuse(first_line(error))
    except KeyboardInterrupt:
        ERRORS.print(
            "Interrupted. Finished steps are kept; run the same command to "
            "go on."
        )
        sys.exit(INTERRUPTED)
    except Exception as error:  # The log has the traceback; say where.
        ERRORS.print(
            f"Failed: {type(error).__name__}: {first_line(error)}\n"
            f"The whole story is in {local.log_path(settings)}"
        )
        sys.exit(FAILURE)


def _report_run(settings: PipelineConfig, steps: dict[str, Step]) -> None:
    import tensorflow as tf

    folder = steps["Reporter"].outputs["report"][0].uri
    with tf.io.gfile.GFile(os.path.join(folder, "report.json")) as file:
        report = json.load(file)
    rows = [
        (
            row["name"],
            row["kind"],
            math.nan if row["iou"] is None else row["iou"],
        )
        for row in report["table"]
    ]
    title = f"{report['name']}: IoU over {report['images']} images"
    SCREEN.print(iou_table(title, rows))
    verdict = "pushed" if report["pushed"] else "refused"
    say(f"Verdict: {verdict}: {report['reason']}")
    say(f"Model:   {report['pushed'] or report['model']}")
    if report["pushed"] and not tf.io.gfile.exists(report["pushed"]):
        say("         withdrawn since then; `wseg baseline` lists decisions")
    say(f"Report:  {folder}/report.html")
