"""What a run left, from which the facts of its report are taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.gate.image_counts import ImageCounts
from pipeline.gate.judge import Finding
from pipeline.gate.rules import Gate
from pipeline.report.missed import Missed, MissedRegion
from pipeline.report.pictures import ClassImage
from wseg_tf.classes import ClassSet


@dataclass(frozen=True)
class Run:
    """What a run left.

    Args:
        name: Name of the pipeline.
        classes: The class set.
        ground: D `[N, N]`, rows truth.
        images: Exact counts of each image.
        findings: What every rule found.
        blessed: The Evaluator's verdict.
        serving_fault: What the serving check said; empty if all is well.
        shared: What training and evaluation have in common, in words.
        withdrawn: Who withdrew the same model before, and why; empty if
            nobody did.
        pushed: Folder the model is served from, or None.
        model: Folder of the trained model.
        baseline: Folder of the baseline, or None.
        gate: The gate whose rules were judged.
        worst: The images it does worst on.
        typical: Images that it does neither well nor badly on.
        missed: Critical regions that it misses, or None if nobody looked.
        history: Lines of the training's history.
        selected: The metric by which the weights were chosen on the images
            judged; empty if they are the last.
        data: Facts about the data, by name.
        quarantine: What was left out: split, name and reason.
        lineage: Facts about code, configuration and models, by name.
        started: When, by whom and by what the run was started.
        machines: Those that the model was trained on.
        config: The configuration as YAML.
        decisions: Decisions about releases, the oldest first.

    Raises:
        ValueError: If the counts are of other classes, or a picture is of an
            image that was not judged.
    """

    name: str
    classes: ClassSet
    ground: npt.NDArray[np.float64]
    images: ImageCounts
    findings: Sequence[Finding]
    blessed: bool
    serving_fault: str
    pushed: str | None
    model: str
    baseline: str | None = None
    gate: Gate = field(default_factory=Gate)
    worst: Sequence[ClassImage] = ()
    typical: Sequence[ClassImage] = ()
    missed: Missed | None = None
    history: Sequence[Mapping[str, Any]] = ()
    selected: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    quarantine: Sequence[Mapping[str, str]] = ()
    lineage: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    started: Mapping[str, Any] = field(default_factory=dict)
    machines: Sequence[Mapping[str, Any]] = ()
    config: str = ""
    decisions: Sequence[Mapping[str, Any]] = ()
    withdrawn: str = ""
    shared: str = ""

    def __post_init__(self) -> None:
        """Refuses what is another run's."""
        count = len(self.classes)
        for argument, shape in (
            ("images", self.images.candidate.shape[1:]),
            ("ground", np.shape(self.ground)),
        ):
            if shape != (count, count):
                raise ValueError(
                    f"Invalid value for argument `{argument}`. Expected what "
                    f"the {count} classes are judged by. Received: shape "
                    f"{shape}."
                )
        judged = {*zip(self.images.names, self.images.drives, strict=True)}
        regions = () if self.missed is None else self.missed.shown
        shown: list[ClassImage | MissedRegion] = [
            *self.worst,
            *self.typical,
            *regions,
        ]
        for each in shown:
            if (each.name, each.drive) not in judged:
                raise ValueError(
                    "Invalid picture. Expected an image that was judged. "
                    f"Received: {each.name!r} of drive {each.drive!r}."
                )
