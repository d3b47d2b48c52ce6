"""The pipeline's configuration: one typed file per run."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

import tensorflow as tf

from pipeline.scores import score_names
from wseg_tf import configuration
from wseg_tf.classes import ClassSet
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.layouts import layout
from wseg_tf.training.recipe import Recipe


@dataclass
class StreetsOptions:
    """The embedded, procedurally drawn data set.

    Args:
        train: Images to train on.
        eval: Images the gate judges on; of other drives.
        height: Height of the drawn images.
        width: Width of the drawn images.
        seed: Seeds the drawing.
        look: `"day"` or `"dusk"`.
    """

    train: int = 96
    eval: int = 32
    height: int = 120
    width: int = 160
    seed: int = 0
    look: str = "day"


@dataclass
class DataOptions:
    """Where images and labels come from.

    Args:
        dataset: A layout of `wseg_tf.data.layouts`, e.g. `"camvid"`, or the
            path of a YAML description of a folder.
        path: Folder of the data set; not used for `"streets"`.
        train: The data set's split to train on.
        eval: The data set's split the gate judges on.
        allowed_failures: Share of pairs that may fail their checks, 0..1;
            they are listed in the run's quarantine. None by default.
        limit: Read at most this many images of each split; all by default.
        streets: How the embedded streets are drawn.
    """

    dataset: str = "streets"
    path: Optional[str] = None  # noqa: UP045
    train: str = "train"
    eval: str = "val"
    allowed_failures: float = 0.0
    limit: Optional[int] = None  # noqa: UP045
    streets: StreetsOptions = field(default_factory=StreetsOptions)

    def __post_init__(self) -> None:
        """Refuses an unknown data set."""
        layout(self.dataset)
        if not 0 <= self.allowed_failures <= 1:
            raise ValueError(
                "Invalid value for argument `allowed_failures`. Expected a "
                "share, 0..1. Received: "
                f"allowed_failures={self.allowed_failures}."
            )

    @property
    def classes(self) -> ClassSet:
        """The class set the labels are written in."""
        return layout(self.dataset).classes


@dataclass
class Rule:
    """One condition a model must meet to be pushed.

    Args:
        metric: A metric of the evaluation, e.g. `"iou/pedestrian"`,
            `"iou_group/4"`, `"critical_iou/minimum"`, `"mean_iou"`.
        floor: The metric must be at least this.
        ceiling: The metric must be at most this, e.g. for
            `"expected_severity"`.
    """

    metric: str
    floor: Optional[float] = None  # noqa: UP045
    ceiling: Optional[float] = None  # noqa: UP045

    def __post_init__(self) -> None:
        """Refuses a rule that demands nothing."""
        bounds = [b for b in (self.floor, self.ceiling) if b is not None]
        if not bounds or not all(math.isfinite(bound) for bound in bounds):
            raise ValueError(
                f"Invalid rule on `{self.metric}`. Expected a finite `floor` "
                f"or `ceiling`. Received: floor={self.floor}, "
                f"ceiling={self.ceiling}."
            )


@dataclass
class Gate:
    """What a model must reach before it is pushed.

    Args:
        rules: All of them must hold. Without any, nothing is ever pushed, so
            an empty list is refused.
    """

    rules: list[Rule] = field(default_factory=list)


@dataclass
class PipelineConfig:
    """A run of the pipeline, from images to a pushed model.

    Args:
        name: Name of the pipeline; its runs share metadata and cache.
        root: Folder that holds everything the pipeline writes.
        data: The images and labels.
        schema: The curated schema of the records, a text proto; a relative
            path is relative to the configuration file.
        training: The recipe.
        gate: The rules.
        beam: Options passed on to Beam.
    """

    name: str
    root: str = "runs"
    data: DataOptions = field(default_factory=DataOptions)
    schema: str = "schema.pbtxt"
    training: Recipe = field(default_factory=Recipe)
    gate: Gate = field(default_factory=Gate)
    beam: list[str] = field(
        default_factory=lambda: ["--direct_running_mode=in_memory"]
    )

    def __post_init__(self) -> None:
        """Refuses a name that cannot be a folder, and a gate without rules."""
        if not self.name or not self.name.replace("-", "_").isidentifier():
            raise ValueError(
                "Invalid value for argument `name`. Expected letters, digits, "
                f"`-` and `_`, not starting with a digit. "
                f"Received: name={self.name!r}."
            )
        if not self.gate.rules:
            raise ValueError(
                "Invalid value for argument `gate.rules`. Expected at least "
                "one rule, since a gate without rules pushes nothing. "
                "Received: gate.rules=[]."
            )

    def folder(self, *parts: str) -> str:
        """Returns an absolute path below this pipeline's own folder."""
        local = "://" not in self.root
        root = os.path.abspath(self.root) if local else self.root.rstrip("/")
        return "/".join([root, self.name, *parts])


def load(path: str, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Reads a pipeline's configuration and checks it as a whole.

    Args:
        path: A YAML file; remote paths TensorFlow can read are allowed.
        overrides: `key=value` assignments, applied last.

    Returns:
        The configuration.

    Raises:
        ConfigurationError: One sentence that names the file and the field.
    """
    try:
        with tf.io.gfile.GFile(path) as file:
            text = file.read()
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"Invalid configuration file. Expected a YAML file. Received: "
            f"{path} ({_reason(error)})."
        ) from error
    config = configuration.load(PipelineConfig, text, path, overrides)
    if "://" not in config.schema:
        config.schema = os.path.join(os.path.dirname(path), config.schema)
    check_rules(config.gate, config.data.classes, path)
    return config


def check_rules(gate: Gate, classes: ClassSet, source: str) -> None:
    """Refuses a rule on a metric the evaluation does not have.

    Args:
        gate: The rules.
        classes: The class set that will be evaluated.
        source: The file the rules came from.

    Raises:
        ConfigurationError: If a metric is unknown; lists those there are.
    """
    names = score_names(classes)
    for position, rule in enumerate(gate.rules):
        if rule.metric not in names:
            close = difflib.get_close_matches(rule.metric, names, n=1)
            hint = f" (did you mean `{close[0]}`?)" if close else ""
            raise ConfigurationError(
                f"Invalid metric `{rule.metric}` in `gate.rules.{position}` "
                f"of {source}. Expected one of {names}{hint}."
            )


def _reason(error: Exception) -> str:
    if isinstance(error, tf.errors.NotFoundError):
        return "no such file"
    return type(error).__name__
