"""The pipeline's configuration: one typed file per run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Optional

from pipeline.config.beam_options import IN_MEMORY, on_cores, with_plugins
from pipeline.config.data_options import STREETS, DataOptions
from pipeline.config.kubeflow_options import KubeflowOptions
from pipeline.gate.rules import Gate
from wseg_tf.filesystems import is_remote
from wseg_tf.ranges import bounded, check_ranges
from wseg_tf.training.recipe import Recipe

LONGEST_NAME = 100


@dataclass
class RunConfig:
    """What every run says, whatever it learns from.

    Args:
        name: Name of the pipeline; its runs share metadata and cache.
        root: Folder that holds everything the pipeline writes.
        schema: A schema of the records, a text proto, in place of this
            package's own.
        training: The recipe.
        gate: The rules.
        workers: Processes that share Beam's work on this machine; 1 is this
            process alone.
        beam: Options passed on to Beam: another engine, in place of `workers`.
        kubeflow: How a cluster runs it; not used by `wseg run`.
    """

    name: str
    root: str = "runs"
    schema: Optional[str] = None  # noqa: UP045
    training: Recipe = field(default_factory=Recipe)
    gate: Gate = field(default_factory=Gate)
    workers: int = bounded(1, 1)
    beam: list[str] = field(default_factory=lambda: [*IN_MEMORY])
    kubeflow: KubeflowOptions = field(default_factory=KubeflowOptions)

    def __post_init__(self) -> None:
        """Refuses what cannot be run, and tells Beam of its workers."""
        check_ranges(self)
        is_word = self.name.replace("-", "_").isidentifier()
        if not is_word or len(self.name) > LONGEST_NAME:
            raise ValueError(
                f"Invalid value for argument `name`. Expected at most "
                f"{LONGEST_NAME} letters, digits, `-` and `_`, not starting "
                f"with a digit. Received: name={self.name!r}."
            )
        if not self.gate.rules:
            raise ValueError(
                "Invalid value for argument `gate.rules`. Expected at least "
                "one rule, since a gate without rules pushes nothing. "
                "Received: gate.rules=[]."
            )
        own = on_cores(self.workers)
        if self.workers > 1 and self.beam not in (IN_MEMORY, own):
            raise ValueError(
                "Invalid value for argument `workers`. Expected 1 beside "
                f"`beam`, which says it itself. Received: workers="
                f"{self.workers}, beam={self.beam}."
            )
        if self.workers > 1:
            self.beam = own

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


@dataclass
class PipelineConfig(RunConfig):
    """A run of the pipeline, from images to a pushed model.

    Args:
        data: The images and labels; the other fields are those of `RunConfig`.
    """

    data: DataOptions = field(default_factory=DataOptions)

    @property
    def opened(self) -> list[str]:
        """The folders that Beam's workers open."""
        drawn = self.data.path is None or self.data.dataset == STREETS
        return [self.root] if drawn else [self.root, str(self.data.path)]

    def beam_options(self) -> list[str]:
        """Returns what Beam is told, with what its workers need to import."""
        return with_plugins(self.beam, *self.opened)
