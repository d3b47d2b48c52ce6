"""The frames of a comparison: found, told apart by content, never leaked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from pipeline.config.adaptation_config import DomainOptions
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.experiments.plan import Experiment
from pipeline.gate.rules import Gate, Rule
from pipeline.ingest.leaks import Shared, find_shared, refuse_shared
from pipeline.ingest.listing import domain_splits, find_splits
from pipeline.ingest.manifest import Files, contents, marks
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts import Layout
from wseg_tf.data.pairs import Pair

HELD_OUT = "held-out drives"
TARGET = "target"


@dataclass(frozen=True)
class Frames:
    """The frames of an experiment.

    Args:
        training: What is trained on.
        reported: What is reported on, by name, in the order of names.
        target: What methods label themselves.
        shared: What each reported set has in common with the other two.
        files: What shows that a file of theirs was changed, in the order of
            `pairs`.
    """

    training: list[Pair]
    reported: dict[str, list[Pair]]
    target: list[Pair]
    shared: dict[str, Shared]
    files: list[Files]

    @property
    def pairs(self) -> list[Pair]:
        """All of them, what is reported last."""
        return [*self.training, *self.target, *chain(*self.reported.values())]

    def refuse_changed(self) -> None:
        """Refuses to go on with other files than those that were found.

        Raises:
            DataError: If one was changed since; names it.
        """
        now = marks(self.pairs)
        for pair, old, new in zip(self.pairs, self.files, now, strict=True):
            if old != new:
                raise DataError(
                    f"{pair.label or pair.image}: expected a frame that stays "
                    "as it is while it is used. Found: it, or its image, was "
                    "changed; run the same command again."
                )


def find_frames(plan: Experiment) -> Frames:
    """Finds the frames and sets the held-out drives apart.

    Where there is a target, they are left out of the training alone: it may
    be made of them.

    Args:
        plan: The experiment.

    Returns:
        The frames.

    Raises:
        ConfigurationError: If a held-out drive is not there, or none is left;
            if what is reported on is trained on and the plan does not say so;
            if there are no two drives to resample.
        DataError: If a file has no partner.
    """
    # Streets are drawn below the experiment's folder, as below a pipeline's.
    gate = Gate(rules=[Rule(metric="mean_iou", floor=0.0)])
    name = re.sub(r"\W", "_", plan.name)
    splits = find_splits(
        PipelineConfig(name=name, root=plan.root, data=plan.data, gate=gate)
    )
    drives = {pair.drive for pair in splits["train"]}
    if unknown := sorted(set(plan.hold_out) - drives):
        raise ConfigurationError(
            "Invalid value for argument `hold_out`. Expected drives of the "
            f"training split, {sorted(drives)}. Received: {unknown}."
        )
    kept = [p for p in splits["train"] if p.drive not in plan.hold_out]
    held = [p for p in splits["train"] if p.drive in plan.hold_out]
    if not kept:
        raise ConfigurationError(
            "Invalid value for argument `hold_out`. Expected a drive to train "
            f"on to be left. Received: hold_out={list(plan.hold_out)}."
        )
    target: dict[str, list[Pair]] = {"train": [], "eval": []}
    others = {HELD_OUT: held}
    if plan.target is not None:
        target = _target_splits(plan, plan.target)
        others = {TARGET: target["eval"]}
    if plan.data.eval in others:
        raise ConfigurationError(
            "Invalid value for argument `data.eval`. Expected another name "
            f"than {plan.data.eval!r}, which a set of the report has already."
        )
    reported = {plan.data.eval: splits["eval"], **others}
    reported = {
        # In the order in which images are counted.
        name: sorted(pairs, key=lambda pair: (pair.name, pair.drive))
        for name, pairs in reported.items()
        if pairs
    }
    learned = [*kept, *target["train"]]
    shared = {n: find_shared(learned, p) for n, p in reported.items()}
    for name, pairs in reported.items():
        _check_reported(plan, name, pairs, shared[name])
    found = Frames(kept, reported, target["train"], shared, [])
    return replace(found, files=marks(found.pairs))


def _check_reported(
    plan: Experiment, name: str, pairs: Sequence[Pair], shared: Shared
) -> None:
    try:
        # Drives that are shared are named below the table.
        own = Shared(images=shared.images)
        refuse_shared(own, plan.allow_shared, "allow_shared")
    except ConfigurationError as error:
        raise ConfigurationError(f"Set `{name}`: {error}") from error
    drives = sorted({pair.drive for pair in pairs})
    if plan.resample == "drives" and len(drives) < 2:
        raise ConfigurationError(
            "Invalid value for argument `resample`. Expected 'images', since "
            f"one drive tells nothing of others: set `{name}` has {drives}. "
            "Received: resample='drives'."
        )


def _target_splits(
    plan: Experiment, target: DomainOptions
) -> dict[str, list[Pair]]:
    path = target.path or plan.data.path
    if path is None:
        raise ConfigurationError(
            "Invalid value for argument `target.path`. Expected the folder of "
            "the target's data set. Received: target.path=None."
        )
    return domain_splits(target, path)


def layout_of(plan: Experiment, name: str) -> Layout:
    """Returns how the labels of an evaluation set are read.

    Args:
        plan: The experiment.
        name: Its name.
    """
    if name == TARGET and plan.target is not None:
        return plan.target.data.layout
    return plan.data.layout


def digest(pairs: Sequence[Pair], layout: Layout) -> str:
    """Returns what tells frames from others, wherever they lie.

    Args:
        pairs: The frames.
        layout: The layout they were found by.

    Returns:
        SHA-256 of their names, their order, the bytes of their files and of
        what labels mean; sixteen hexadecimal digits.

    Raises:
        DataError: If a file cannot be read.
    """
    # Colours and groups decide no count.
    classes = layout.classes
    meaning = {**layout.meaning(), "classes": [*classes.names, classes.void]}
    rows = contents(pairs)
    return hashlib.sha256(repr((rows, meaning)).encode()).hexdigest()[:16]
