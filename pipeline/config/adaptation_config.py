"""The configuration of an adaptation: two domains, one class list."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Optional

from pipeline.config.data_options import (
    SHARD_MEGABYTES,
    STREETS,
    DataOptions,
    StreetsOptions,
)
from pipeline.config.pipeline_config import PipelineConfig, RunConfig
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.ranges import bounded, check_ranges

DOMAINS = ("source", "target")


@dataclass
class DomainOptions:
    """Where the images of a domain come from.

    Args:
        dataset: A layout of `wseg_tf.data.layouts`, or a YAML description.
        classes: See `DataOptions`.
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

    dataset: str = STREETS
    path: Optional[str] = None  # noqa: UP045
    classes: Any = None
    train: str = "train"
    images: Optional[str] = None  # noqa: UP045
    eval: str = "val"
    drives: list[str] = field(default_factory=list)
    held_out: float = bounded(0.0, 0, below=1)
    allowed_failures: float = bounded(0.0, 0, 1)
    limit: Optional[int] = bounded(None, 1)  # noqa: UP045
    shard_megabytes: int = bounded(SHARD_MEGABYTES, 1)
    streets: Optional[StreetsOptions] = None  # noqa: UP045

    def __post_init__(self) -> None:
        """Refuses what is no share."""
        check_ranges(self)
        if self.images is not None and self.held_out:
            raise ValueError(
                "Invalid value for argument `held_out`. Expected 0 where "
                "`images` names images without labels, since what is held out "
                f"is judged by its labels. Received: held_out={self.held_out}."
            )

    @property
    def is_drawn(self) -> bool:
        """Whether the embedded streets stand in for a data set."""
        return self.path is None and self.streets is not None

    @cached_property
    def data(self) -> DataOptions:
        """The domain as a data set of the pipeline."""
        return DataOptions(
            dataset=STREETS if self.is_drawn else self.dataset,
            classes=self.classes,
            path=self.path,
            train=self.train,
            eval=self.eval,
            allowed_failures=self.allowed_failures,
            limit=self.limit,
            shard_megabytes=self.shard_megabytes,
            streets=self.streets or StreetsOptions(),
        )


@dataclass
class AdaptationConfig(RunConfig):
    """A run from two domains to a model pushed for the target.

    The other fields are those of `RunConfig`: `training` is the recipe of the
    training on the source, whose size, batch, seed, ground matrix,
    augmentation, precision and execution are those of the rounds, too; the
    rules of `gate` are judged on the target.

    Args:
        source: The domain with labels.
        target: The domain to adapt to. The labels of its split `train` are
            for the report alone; those of `eval` for the gate and the report.
        adaptation: The rounds.
    """

    source: DomainOptions = field(default_factory=DomainOptions)
    target: DomainOptions = field(default_factory=DomainOptions)
    adaptation: SelfTraining = field(default_factory=SelfTraining)

    def __post_init__(self) -> None:
        """Refuses a source without labels."""
        super().__post_init__()
        if self.source.images is not None:
            raise ValueError(
                "Invalid value for argument `source.images`. Expected none: "
                "the source is learned from by its labels. Received: "
                f"source.images={self.source.images!r}."
            )

    def of(self, domain: str) -> PipelineConfig:
        """Returns the run of one data set that a domain takes part in.

        Args:
            domain: `"source"` or `"target"`.
        """
        chosen: DomainOptions = getattr(self, domain)
        shared = {
            each.name: getattr(self, each.name)
            for each in dataclasses.fields(RunConfig)
        }
        return PipelineConfig(**shared, data=chosen.data)
