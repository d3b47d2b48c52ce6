"""The configuration of an adaptation: two domains, one class list."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

from pipeline.config.beam_options import check_options
from pipeline.config.kubeflow_options import KubeflowOptions
from pipeline.config.pipeline_config import (
    DataOptions,
    PipelineConfig,
    StreetsOptions,
)
from pipeline.gate.rules import Gate, check_rules
from pipeline.ingest.manifest import SHARD_MEGABYTES
from pipeline.yaml_files import open_remote, read_yaml
from wseg_tf import configuration
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.adaptation.target import check_domains
from wseg_tf.configuration import ConfigurationError
from wseg_tf.filesystems import is_remote
from wseg_tf.training.recipe import Recipe

# A file with this key adapts; others train on one data set.
KEY = "adaptation"


@dataclass
class DomainOptions:
    """Where the images of a domain come from.

    Args:
        dataset: A layout of `wseg_tf.data.layouts`, or a YAML description.
        path: Folder of the data set.
        train: Its split to learn from; of the target, without the labels.
        images: In place of the pairs of `train`, these images, which need no
            labels: a pattern below `path` with `{name}` and perhaps `{drive}`,
            as in a description of a folder. For the target alone.
        eval: Its split that the domain is judged on.
        drives: The drives that make up the domain, in both splits; all by
            default.
        held_out: In place of `eval`, this share of the frames of each drive
            of `train`, its last ones, is what the domain is judged on.
        allowed_failures: Share of pairs that may fail their checks, 0..1.
        limit: Read at most this many images of each split; all by default.
        shard_megabytes: About how many MiB each record file holds.
        streets: Where there is no `path`, these streets are drawn instead.
    """

    dataset: str = "streets"
    path: Optional[str] = None  # noqa: UP045
    train: str = "train"
    images: Optional[str] = None  # noqa: UP045
    eval: str = "val"
    drives: list[str] = field(default_factory=list)
    held_out: float = 0.0
    allowed_failures: float = 0.0
    limit: Optional[int] = None  # noqa: UP045
    shard_megabytes: int = SHARD_MEGABYTES
    streets: Optional[StreetsOptions] = None  # noqa: UP045

    def __post_init__(self) -> None:
        """Refuses what is no share."""
        if not 0 <= self.held_out < 1:
            raise ValueError(
                "Invalid value for argument `held_out`. Expected a share, 0 "
                f"up to 1. Received: held_out={self.held_out}."
            )
        if self.images is not None and self.held_out:
            raise ValueError(
                "Invalid value for argument `held_out`. Expected 0 where "
                "`images` names images without labels, since what is held out "
                f"is judged by its labels. Received: held_out={self.held_out}."
            )
        self.data()

    @property
    def is_drawn(self) -> bool:
        """Whether the embedded streets stand in for a data set."""
        return self.path is None and self.streets is not None

    def data(self) -> DataOptions:
        """Returns the domain as a data set of the pipeline."""
        return DataOptions(
            dataset="streets" if self.is_drawn else self.dataset,
            path=self.path,
            train=self.train,
            eval=self.eval,
            allowed_failures=self.allowed_failures,
            limit=self.limit,
            shard_megabytes=self.shard_megabytes,
            streets=self.streets or StreetsOptions(),
        )


@dataclass
class AdaptationConfig:
    """A run from two domains to a model pushed for the target.

    Args:
        name: Name of the pipeline; its runs share metadata and cache.
        root: Folder that holds everything the pipeline writes.
        source: The domain with labels.
        target: The domain to adapt to. The labels of its split `train` are
            for the report alone; those of `eval` for the gate and the report.
        schema: The curated schema of the records, a text proto; a relative
            path is relative to the configuration file.
        training: The recipe of the training on the source; its size, batch,
            seed, ground matrix, augmentation, precision and execution are
            those of the rounds, too.
        adaptation: The rounds.
        gate: The rules, judged on the target.
        beam: Options passed on to Beam.
        kubeflow: What a cluster must know, for `wseg compile`; a run on this
            machine needs none of it.
    """

    name: str
    root: str = "runs"
    source: DomainOptions = field(default_factory=DomainOptions)
    target: DomainOptions = field(default_factory=DomainOptions)
    schema: str = "schema.pbtxt"
    training: Recipe = field(default_factory=Recipe)
    adaptation: SelfTraining = field(default_factory=SelfTraining)
    gate: Gate = field(default_factory=Gate)
    beam: list[str] = field(
        default_factory=lambda: ["--direct_running_mode=in_memory"]
    )
    kubeflow: KubeflowOptions = field(default_factory=KubeflowOptions)

    def __post_init__(self) -> None:
        """Refuses domains that name different classes."""
        check_domains(self.source.data().classes, self.target.data().classes)
        if self.source.images is not None:
            raise ValueError(
                "Invalid value for argument `source.images`. Expected none: "
                "the source is learned from by its labels. Received: "
                f"source.images={self.source.images!r}."
            )
        self.of("target")

    def of(self, domain: str) -> PipelineConfig:
        """Returns the run of one data set that a domain takes part in.

        Args:
            domain: `"source"` or `"target"`.
        """
        chosen: DomainOptions = getattr(self, domain)
        return PipelineConfig(
            name=self.name,
            root=self.root,
            data=chosen.data(),
            schema=self.schema,
            training=self.training,
            gate=self.gate,
            beam=self.beam,
            kubeflow=self.kubeflow,
        )

    def folder(self, *parts: str) -> str:
        """Returns an absolute path below this pipeline's own folder."""
        return self.of("target").folder(*parts)

    def local_folder(self, *parts: str) -> str:
        """Returns a path for what must be a local file."""
        return self.of("target").local_folder(*parts)


def is_adaptation(path: str) -> bool:
    """Whether a configuration file adapts a model to a second domain.

    Args:
        path: A YAML file; one that cannot be read does not.
    """
    try:
        values = configuration.parse(read_yaml(path), path)
    except ConfigurationError:
        return False  # Whoever loads it says what is wrong.
    return isinstance(values, dict) and KEY in values


def load(
    path: str, overrides: Sequence[str] = (), data: str | None = None
) -> AdaptationConfig:
    """Reads the configuration of an adaptation and checks it as a whole.

    Args:
        path: A YAML file; remote paths TensorFlow can read are allowed.
        overrides: `key=value` assignments, applied last.
        data: Folder that holds both domains.

    Returns:
        The configuration.

    Raises:
        ConfigurationError: One sentence that names the file and the field.
    """
    given = list(overrides)
    if data is not None:
        # As JSON, which is YAML: a path may hold colons.
        for domain in ("source", "target"):
            given.append(f"{domain}.path={json.dumps(data)}")
    open_remote(*given)
    config = configuration.load(AdaptationConfig, read_yaml(path), path, given)
    for domain in ("source", "target"):
        check_options(config.beam, *config.of(domain).opened)
    if not is_remote(config.schema):
        schema = os.path.join(os.path.dirname(path), config.schema)
        config = dataclasses.replace(config, schema=schema)
    check_rules(config.gate, config.target.data().classes, path)
    for domain in ("source", "target"):
        chosen: DomainOptions = getattr(config, domain)
        if chosen.path is None and not chosen.is_drawn:
            raise ConfigurationError(
                f"Invalid value for argument `{domain}.path`. Expected the "
                f"folder of the {chosen.dataset} data set; give it with "
                f"{domain}.path=FOLDER. Received: {domain}.path=None."
            )
    return config
