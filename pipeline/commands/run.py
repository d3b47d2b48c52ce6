"""`wseg run`: the whole pipeline on this machine."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from pipeline.commands.arguments import (
    ConfigFile,
    DataFolder,
    JsonFile,
    Overrides,
)
from pipeline.commands.json_output import json_target, write_json
from pipeline.commands.screen import (
    ERRORS,
    INTERRUPTED,
    REFUSED,
    SCREEN,
    fail,
    first_line,
    iou_table,
    refusals,
    refuse,
    say,
)

if TYPE_CHECKING:
    from pipeline.config.loading import Config
    from pipeline.release.lineage import Step

# Everything heavy is imported inside the commands: TensorFlow and TFX take
# half a minute, and `wseg --help` should not.


def run(
    config: ConfigFile,
    overrides: Overrides = None,
    data: DataFolder = None,
    json_file: JsonFile = None,
) -> None:
    """Runs the pipeline: images in, a pushed model out, or exit code 3.

    A configuration with `adaptation` learns a second domain without labels.
    """
    target = json_target(json_file)
    say("Starting (TensorFlow and TFX take half a minute) ...")
    with refusals():
        from pipeline.commands.outputs import check_outputs
        from pipeline.config.loading import load

        check_outputs(target, [config])
        settings = load(config, overrides or [], data)
    _report_run(_run(settings), json_file)


def _run(settings: Config) -> dict[str, Step]:
    from pipeline.ingest.validation import InvalidDataError
    from pipeline.runners import local
    from wseg_tf.configuration import ConfigurationError
    from wseg_tf.data.records import DataError
    from wseg_tf.locks import InUseError
    from wseg_tf.training.interruption import terminable

    started = time.time()
    try:
        with terminable():
            return local.run(settings, say)
    except (
        ConfigurationError,
        DataError,
        InvalidDataError,
        InUseError,
    ) as error:
        refuse(first_line(error))
    except KeyboardInterrupt as interruption:
        ERRORS.print(
            "Interrupted. Finished steps are kept; run the same command to "
            "go on."
        )
        number = getattr(interruption, "number", signal.SIGINT)
        # As shells count: 130 for Ctrl-C, 143 for SIGTERM.
        sys.exit(INTERRUPTED - signal.SIGINT + number)
    except Exception as error:  # The log has the traceback; say where.
        log = local.log_path(settings)
        fresh = os.path.exists(log) and os.path.getmtime(log) >= started
        fail(error, log if fresh else None)


def _show_rounds(steps: dict[str, Step]) -> None:
    """Says how each round of an adaptation fared, if there were any."""
    rounds = [
        int(name.removeprefix("RoundJudge"))
        for name in steps
        if name.startswith("RoundJudge")
    ]
    if not rounds:
        return
    from rich.table import Table

    from pipeline.adaptation.rounds import read_rounds

    folder = steps[f"RoundJudge{max(rounds)}"].outputs["scores"][0].uri
    table = Table(title="Rounds, judged on the target")
    captions = ("round", "labels kept", "labels right", "critical", "mean IoU")
    for caption in captions:
        table.add_column(caption, justify="right")
    keys = ("kept_share", "label_accuracy", "critical_iou", "mean_iou")
    for row in read_rounds(folder):
        values = [row.get(key) for key in keys]
        table.add_row(
            str(row["round"]),
            *("" if each is None else f"{each:.3f}" for each in values),
        )
    SCREEN.print(table)
    say(f"Rounds:  {folder}/rounds.png")


def _report_run(steps: dict[str, Step], json_file: str | None) -> None:
    import tensorflow as tf

    folder = steps["Reporter"].outputs["report"][0].uri
    with tf.io.gfile.GFile(os.path.join(folder, "report.json")) as file:
        report = json.load(file)
    write_json(json_file, report)
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
    _show_rounds(steps)
    if report["shared"]:
        say(f"Careful: {report['shared']}.")
    say(f"Verdict: {verdict}: {report['reason']}")
    say(f"Model:   {report['pushed'] or report['model']}")
    say(f"Report:  {folder}/report.html")
    if not report["pushed"]:
        sys.exit(REFUSED)
