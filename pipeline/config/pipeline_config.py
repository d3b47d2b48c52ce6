"""The pipeline's configuration: one typed file per run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

from pipeline.config.beam_options import IN_MEMORY, check_options, with_plugins
from pipeline.config.kubeflow_options import KubeflowOptions
from pipeline.gate.rules import Gate, check_rules
from pipeline.ingest.manifest import SHARD_MEGABYTES
from pipeline.yaml_files import open_remote, read_yaml
from wseg_tf import configuration
from wseg_tf.classes import ClassSet
from wseg_tf.data.layouts import layout
from wseg_tf.filesystems import is_remote
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
        shard_megabytes: About how many MiB of images and labels each record
            file holds; several workers share the work by file.
        drift_limit: The run stops before it trains where a class has a share
            of the labelled pixels of `eval` that is this many times as large,
            or as small, as its share of `train`. Off by default.
        drift_reference: `statistics.json` of data known to be good: `train`
            is held to it by the same limit.
        streets: How the embedded streets are drawn.
    """

    dataset: str = "streets"
    path: Optional[str] = None  # noqa: UP045
    train: str = "train"
    eval: str = "val"
    allowed_failures: float = 0.0
    limit: Optional[int] = None  # noqa: UP045
    shard_megabytes: int = SHARD_MEGABYTES
    drift_limit: Optional[float] = None  # noqa: UP045
    drift_reference: Optional[str] = None  # noqa: UP045
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
        if self.shard_megabytes < 1:
            raise ValueError(
                "Invalid value for argument `shard_megabytes`. Expected at "
                "least 1. Received: "
                f"shard_megabytes={self.shard_megabytes}."
            )
        if self.drift_limit is not None and not self.drift_limit > 1:
            raise ValueError(
                "Invalid value for argument `drift_limit`. Expected a factor "
                f"above 1. Received: drift_limit={self.drift_limit}."
            )
        if self.drift_reference is not None and self.drift_limit is None:
            raise ValueError(
                "Invalid value for argument `drift_reference`. Expected a "
                "`drift_limit` beside it. Received: drift_limit=None."
            )

    @property
    def classes(self) -> ClassSet:
        """The class set the labels are written in."""
        return layout(self.dataset).classes


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
        kubeflow: How a cluster runs it; not used by `wseg run`.
    """

    name: str
    root: str = "runs"
    data: DataOptions = field(default_factory=DataOptions)
    schema: str = "schema.pbtxt"
    training: Recipe = field(default_factory=Recipe)
    gate: Gate = field(default_factory=Gate)
    beam: list[str] = field(default_factory=lambda: [*IN_MEMORY])
    kubeflow: KubeflowOptions = field(default_factory=KubeflowOptions)

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
        root = self.root.rstrip("/")
        if not is_remote(root):
            root = os.path.abspath(self.root)
        return "/".join([root, self.name, *parts])

    def local_folder(self, *parts: str) -> str:
        """Returns a path for what must be a local file: SQLite and the log.

        It is below the pipeline's own folder, or below `runs` where that
        folder is remote.
        """
        if not is_remote(self.root):
            return self.folder(*parts)
        return "/".join([os.path.abspath("runs"), self.name, *parts])

    @property
    def opened(self) -> list[str]:
        """The folders that Beam's workers open."""
        drawn = self.data.path is None or self.data.dataset == "streets"
        return [self.root] if drawn else [self.root, str(self.data.path)]

    def beam_options(self) -> list[str]:
        """Returns what Beam is told, with what its workers need to import."""
        return with_plugins(self.beam, *self.opened)


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
    open_remote(*overrides)
    config = configuration.load(
        PipelineConfig, read_yaml(path), path, overrides
    )
    check_options(config.beam, *config.opened)
    if not is_remote(config.schema):
        config.schema = os.path.join(os.path.dirname(path), config.schema)
    check_rules(config.gate, config.data.classes, path)
    return config
