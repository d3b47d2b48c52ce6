"""Runs the pipeline in this process, step by step, showing progress."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator

import absl.logging
import tensorflow as tf
from tfx import v1 as tfx
from tfx.utils import dependency_utils

from pipeline.config.loading import Config, parts
from pipeline.config.pipeline_config import PipelineConfig, RunConfig
from pipeline.graph import Engine
from pipeline.release.lineage import Step, run_ids, run_steps
from pipeline.release.metadata_file import check_metadata
from pipeline.release.releases import finish, renew
from pipeline.release.statement import private_key
from pipeline.runners.prepared import prepare
from wseg_tf.configuration import ConfigurationError
from wseg_tf.locks import held
from wseg_tf.training.objectives import check

LOG = logging.getLogger(__name__)

Show = Callable[[str], None]

# The runner and the launcher say these; nothing else tells of their progress.
_CACHED = re.compile(r"A cached execution \d+ is used")
_STEP = re.compile(r"Component (\S+) is (running|finished)\.")


class Progress(logging.Handler):
    """Turns the log into the few lines a person wants to see.

    Args:
        show: Prints one line.
        steps: Number of components of the pipeline.
    """

    def __init__(self, show: Show, steps: int) -> None:
        super().__init__(logging.INFO)
        self._show = show
        self._steps = steps
        self._done = 0
        self._cached = False
        self._started = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Shows a step that starts or ends, and the training's own lines."""
        message = record.getMessage()
        if record.name.startswith("wseg_tf"):
            self._show(f"      {message}")
            return
        if _CACHED.search(message):
            self._cached = True
        step = _STEP.search(message)
        if not step:
            return
        if step[2] == "running":
            self._started, self._cached = time.monotonic(), False
            self._show(f"[{self._done + 1}/{self._steps}] {step[1]}")
        else:
            self._done += 1
            seconds = time.monotonic() - self._started
            how = "reused" if self._cached else "done"
            self._show(f"      {how} in {seconds:.0f} s")


@contextlib.contextmanager
def _logging_to(path: str, progress: Progress) -> Iterator[None]:
    """Sends every log line to a file, and the progress to the screen."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    verbosity = absl.logging.get_verbosity()
    to_file = logging.FileHandler(path, encoding="utf-8")
    to_file.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    root.handlers = [to_file, progress]
    root.setLevel(logging.INFO)
    # TensorFlow silences absl while it saves a model, then restores the
    # verbosity that was set: by default, one that hides the progress.
    absl.logging.set_verbosity(absl.logging.INFO)
    tf.get_logger().handlers.clear()
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        logging.captureWarnings(False)
        root.handlers, root.level = handlers, level
        absl.logging.set_verbosity(verbosity)
        to_file.close()


@contextlib.contextmanager
def _nothing_packed() -> Iterator[None]:
    """Keeps TFX from packing its sources, 16 MB for each step with Beam.

    Workers import this project, and so have TFX; what is packed stays in the
    temporary folder for ever.
    """
    pack = dependency_utils.make_beam_dependency_flags
    dependency_utils.make_beam_dependency_flags = list
    try:
        yield
    finally:
        dependency_utils.make_beam_dependency_flags = pack


def run(config: Config, show: Show = print) -> dict[str, Step]:
    """Runs the pipeline on this machine.

    Args:
        config: What `load` returned.
        show: Prints one line of progress; `print` by default.

    Returns:
        The run's steps by component id, as ML Metadata has them.

    Raises:
        ConfigurationError: If the configuration and the data do not fit.
        DataError: If the data are damaged.
        InUseError: If another program writes to the same root.
    """
    judged = parts(config)[-1]
    # First what needs no data, so that nothing is drawn in vain.
    check(config.training, judged.data.class_set)
    _check_key(config.gate.signing_key)
    with held(config.local_folder(), "a run"):
        database = config.local_folder("metadata.sqlite")
        check_metadata(database, config.folder(), show)
        done = finish(config.folder(), database)
        if done is not None:
            show(f"Finished the rollback to version {done.serving} first.")
        fault = renew(config.folder(), database)
        if fault is not None:
            show(f"{fault} The push is made again.")
        return execute(judged, prepare(config).build(Engine()), show)


def _check_key(path: str | None) -> None:
    """Refuses a key that could not sign once a model is good enough."""
    if path is not None:
        try:
            private_key(path)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error


def execute(
    config: PipelineConfig, pipeline: tfx.dsl.Pipeline, show: Show
) -> dict[str, Step]:
    """Runs a pipeline on this machine, showing progress.

    Args:
        config: The configuration, for its folders.
        pipeline: The pipeline.
        show: Prints one line of progress.

    Returns:
        The run's steps by component id, as ML Metadata has them.
    """
    os.makedirs(config.local_folder("logs"), exist_ok=True)
    database = config.local_folder("metadata.sqlite")
    before = run_ids(database)
    progress = Progress(show, len(pipeline.components))
    with _logging_to(log_path(config), progress), _nothing_packed():
        try:
            tfx.orchestration.LocalDagRunner().run(pipeline)
        except Exception:
            LOG.exception("The run failed.")
            raise
    [own] = sorted({*run_ids(database)} - {*before})
    return run_steps(database, own)


def log_path(config: RunConfig) -> str:
    """Returns the file the latest run's whole log is written to."""
    return config.local_folder("logs", "latest.log")
