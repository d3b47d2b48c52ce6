"""What a comparison of losses consists of: one typed file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, TypeVar

from pipeline.config.adaptation_config import DomainOptions
from pipeline.config.data_options import DataOptions
from pipeline.config.loading import data_override, place_paths
from wseg_tf import configuration
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.adaptation.target import check_domains
from wseg_tf.configuration import ConfigurationError
from wseg_tf.decisions import LEAST_RISK
from wseg_tf.metrics.table import CRITICAL, expand
from wseg_tf.ranges import bounded, check_ranges
from wseg_tf.training.objectives import build_ground, check
from wseg_tf.training.recipe import GroundOptions, Recipe, Stage

Options = TypeVar("Options", Stage, GroundOptions, SelfTraining)

# The common start, among the names of methods.
START = "start"
# A column that no confusion count tells, among the names of metrics.
MISSES = "critical_misses"
# What is drawn anew beside the seeds, and what a report may share with what
# was trained on: as the gate says it.
UNITS = ("images", "drives")
SHAREABLE = ("image", "drive")
# Which starts there are: one for all seeds, or one for each.
STARTS = ("one", "each")


@dataclass
class Method:
    """One way to continue from the common start.

    Args:
        name: Shown in the tables.
        stage: Fields of `Stage` that differ from the experiment's `finetune`.
        ground: Fields of `GroundOptions` that differ from the recipe's.
        decides: The name of a method above, or `"start"`: its weights decide
            by the least expected severity under this method's D
            (`decision: least_risk`); nothing is trained.
        adaptation: Fields of `SelfTraining` that differ from the experiment's
            `adaptation`; with any, the method is its rounds on the target,
            and `stage` changes their stage.
    """

    name: str
    stage: dict[str, Any] = field(default_factory=dict)
    ground: dict[str, Any] = field(default_factory=dict)
    decides: Optional[str] = None  # noqa: UP045
    adaptation: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses what is never run."""
        for argument in ("stage", "adaptation"):
            received = getattr(self, argument)
            if received and self.decides is not None:
                raise ValueError(
                    f"Invalid value for argument `{argument}`. Expected none "
                    "for a method that `decides`, since nothing is trained. "
                    f"Received: {argument}={received}."
                )


@dataclass
class Experiment:
    """A comparison: a start, methods that continue from it, and seeds.

    Args:
        name: Names the results' folder.
        root: Folder of all experiments.
        data: The images; `train` is trained on, `eval` reported on.
        hold_out: Drives of the training split that are not trained on but
            reported on, under the name `"held-out drives"`.
        target: A domain to adapt to: methods with `adaptation` label its
            split `train` themselves, and its `eval` is reported on, under the
            name `"target"`. Without a path it lies where `data` does.
        start: The recipe all methods start from.
        starts: `"one"` start, of its own seed, for all `seeds`, or one for
            `"each"` of them: longer, and intervals hold the starts' spread.
        finetune: The stage that follows, as far as methods do not change it.
        adaptation: The rounds, as far as methods do not change them.
        methods: What is compared.
        reference: The method that the others are tested against.
        seeds: Of the fine-tuning, and of the start with `starts: each`:
            order and augmentation.
        fine_tunings: How often each method goes on from the start of each
            seed: with that seed, with 10 more, 20 more, ... Their mean counts
            as one. Above 1 with `starts: each` alone.
        metrics: Columns of the tables, names of `wseg_tf.metrics.table` or
            `critical_misses`; by default the IoU of the critical classes and of
            the two most important groups, what is found of the first, the mean
            IoU, the expected severity and the critical misses.
        tested: Metrics whose differences to the reference get an interval and
            a test, corrected for their number; the fewer, the more a test can
            find. By default the most important group's IoU and what is found
            of it, the mean IoU and the severity.
        exploratory: Evaluation sets that were looked at while D or a method
            was chosen: their differences get an interval, but no test.
        resample: What differs between one evaluation set and the next, beside
            the seeds: `"images"` or whole `"drives"`.
        allow_shared: What a report may have in common with the training:
            `"image"`, or its images are refused. Shared drives are allowed,
            and the table names them.
        severity: D of the reported expected severity; the same for all.
        published: Figures printed elsewhere, by method and metric, in percent.
        notes: What a reader of the published figures should know.
    """

    name: str
    root: str = "runs/experiments"
    data: DataOptions = field(default_factory=DataOptions)
    hold_out: list[str] = field(default_factory=list)
    target: Optional[DomainOptions] = None  # noqa: UP045
    start: Recipe = field(default_factory=Recipe)
    starts: str = "one"
    finetune: Stage = field(default_factory=Stage)
    adaptation: SelfTraining = field(default_factory=SelfTraining)
    methods: list[Method] = field(default_factory=list)
    reference: str = "continued CE"
    seeds: list[int] = bounded(lambda: [0, 1, 2], 0)
    fine_tunings: int = bounded(1, 1, 100)
    metrics: list[str] = field(default_factory=list)
    tested: list[str] = field(default_factory=list)
    exploratory: list[str] = field(default_factory=list)
    resample: str = "images"
    allow_shared: list[str] = field(default_factory=list)
    severity: GroundOptions = field(default_factory=GroundOptions)
    published: dict[str, dict[str, float]] = bounded(dict)
    notes: Optional[str] = None  # noqa: UP045

    def __post_init__(self) -> None:
        """Refuses a comparison with nothing to compare."""
        check_ranges(self)
        names = [method.name for method in self.methods]
        for argument in ("methods", "seeds"):
            values = getattr(self, argument)
            keys = names if argument == "methods" else list(values)
            if not values or len(set(keys)) < len(keys):
                raise ValueError(
                    f"Invalid value for argument `{argument}`. Expected at "
                    "least one, and none twice. Received: "
                    f"{argument}={keys}."
                )
        for argument, known in (("resample", UNITS), ("starts", STARTS)):
            received = getattr(self, argument)
            if received not in known:
                raise ValueError(
                    f"Invalid value for argument `{argument}`. Expected one "
                    f"of {list(known)}. Received: {argument}={received!r}."
                )
        if self.fine_tunings > 1 and self.starts == "one":
            raise ValueError(
                "Invalid value for argument `fine_tunings`. Expected 1 with "
                "one start, of which each of `seeds` is a fine-tuning. "
                f"Received: fine_tunings={self.fine_tunings}."
            )
        own = [seed for _, seed in self.runs()]
        if twice := sorted({seed for seed in own if own.count(seed) > 1}):
            raise ValueError(
                "Invalid value for argument `fine_tunings`. Expected seeds "
                "that are not 10, 20, ... apart, which the fine-tunings of a "
                f"start are. Received: fine_tunings={self.fine_tunings} with "
                f"seeds={list(self.seeds)}, of which {twice} come twice."
            )
        if set(self.allow_shared) - set(SHAREABLE):
            raise ValueError(
                "Invalid value for argument `allow_shared`. Expected some of "
                f"{list(SHAREABLE)}. Received: "
                f"allow_shared={list(self.allow_shared)}."
            )
        if self.data.validation is not None:
            raise ValueError(
                "Invalid value for argument `data.validation`. Expected none: "
                "a comparison keeps the last weights and chooses nothing. "
                f"Received: data.validation={self.data.validation!r}."
            )
        if self.reference not in names:
            raise ValueError(
                "Invalid value for argument `reference`. Expected one of "
                f"{names}. Received: reference={self.reference!r}."
            )
        trained = [START]
        for method in self.methods:
            if method.decides is None:
                trained.append(method.name)
            elif method.decides not in trained:
                raise ValueError(
                    "Invalid value for argument `decides`. Expected one of the "
                    f"trained methods above, {trained}. Received: "
                    f"decides={method.decides!r}."
                )
        adapting = [each.name for each in self.methods if each.adaptation]
        if adapting and self.target is None:
            raise ValueError(
                "Invalid value for argument `target`. Expected a domain for "
                f"{adapting} to adapt to. Received: target=None."
            )
        if self.target is not None:
            check_domains(self.data.class_set, self.target.data.class_set)

    def start_of(self, seed: int) -> Recipe:
        """Returns the recipe of the start that a seed continues from.

        Args:
            seed: One of `seeds`.
        """
        if self.starts == "one":
            return self.start
        return dataclasses.replace(self.start, seed=seed)

    def runs(self) -> list[tuple[int, int]]:
        """Returns the seeds of each fine-tuning: its start's and its own."""
        return [
            (seed, seed + 10 * again)
            for seed in self.seeds
            for again in range(self.fine_tunings)
        ]

    def method(self, name: str) -> Method:
        """Returns the method of a name.

        Raises:
            KeyError: If there is none.
        """
        return {method.name: method for method in self.methods}[name]

    def recipe(self, method: Method, seed: int, initial: str) -> Recipe:
        """Returns what a method runs.

        Args:
            method: One of `methods`.
            seed: Of the fine-tuning.
            initial: The weights that the start ended with.

        Raises:
            ConfigurationError: If the method names a field there is not.
        """
        usual = self.adaptation.stage if method.adaptation else self.finetune
        stage = self._changed(method, usual, method.stage)
        ground = self._changed(method, self.start.ground, method.ground)
        return dataclasses.replace(
            self.start,
            initial=initial,
            seed=seed,
            ground=ground,
            stages=[stage],
            decision=self.start.decision
            if method.decides is None
            else LEAST_RISK,
            # The last weights count: nothing is selected on what is reported.
            select=None,
        )

    def rounds(self, method: Method) -> SelfTraining:
        """Returns the rounds of a method that adapts.

        Args:
            method: One of `methods`, with `adaptation`.

        Raises:
            ConfigurationError: If the method names a field there is not.
        """
        [stage] = self.recipe(method, self.start.seed, "").stages
        changes = {**method.adaptation, "stage": dataclasses.asdict(stage)}
        return self._changed(method, self.adaptation, changes)

    def _changed(
        self, method: Method, usual: Options, changes: Mapping[str, Any]
    ) -> Options:
        """Returns options with a method's changes, held to their types."""
        kind = type(usual)
        if isinstance(usual, GroundOptions):
            changes = GroundOptions.chosen(changes)
        values = {**dataclasses.asdict(usual), **changes}
        try:
            return configuration.fill(kind, values, f"method `{method.name}`")
        except ValueError as error:
            raise ConfigurationError(
                f"Invalid method `{method.name}` of the experiment "
                f"`{self.name}`. Expected fields of `{kind.__name__}`. "
                f"Received: {error}"
            ) from error


def load(
    path: str, overrides: Sequence[str] = (), data: str | None = None
) -> Experiment:
    """Reads an experiment and checks every recipe in it.

    Relative paths in the file are relative to its folder, but for `root`;
    those of the command line are relative to where it is typed.

    Args:
        path: A YAML file.
        overrides: `key=value` assignments, applied last.
        data: Folder of the data set.

    Returns:
        The experiment.

    Raises:
        ConfigurationError: One sentence that names the file and the field.
    """
    values = configuration.parse(configuration.text_of(path), path)
    place_paths(values, path)
    given = [*overrides, *data_override("data.path", data)]
    plan = configuration.fill(Experiment, values, path, given)
    classes = plan.data.class_set
    for method in plan.methods:
        plan.recipe(method, plan.seeds[0], "")
    for _, seed in plan.runs():
        plan.recipe(plan.methods[0], seed, "")
    try:
        _read_grounds(plan)
        build_ground(plan.severity, classes)
        compared_metrics(plan)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    check(plan.start, classes)
    for method in plan.methods:
        check(plan.recipe(method, plan.seeds[0], ""), classes)
        if method.adaptation:
            plan.rounds(method)
    return plan


def _read_grounds(plan: Experiment) -> None:
    """Puts its numbers in place of each D's file, which may change later."""

    def numbers(file: str | None) -> dict[str, Any]:
        if file is None:
            return {"file": None, "matrix": None}
        ground = build_ground(GroundOptions(file=file), plan.data.class_set)
        return {"file": None, "matrix": ground.values.tolist()}

    for owner, name in ((plan.start, "ground"), (plan, "severity")):
        own: GroundOptions = getattr(owner, name)
        if own.file is not None:
            setattr(owner, name, dataclasses.replace(own, **numbers(own.file)))
    for method in plan.methods:
        # `file: null` goes back from the start's file to its preset.
        if "file" in method.ground and method.ground.get("matrix") is None:
            method.ground |= numbers(method.ground["file"])


def metric_names(plan: Experiment) -> list[str]:
    """Returns the columns of the tables.

    Args:
        plan: The experiment.

    Raises:
        ValueError: If there is no such score; suggests the nearest name.
    """
    classes = plan.data.class_set
    most, *others = sorted(set(classes.groups), reverse=True)
    chosen = list(plan.metrics) or [
        f"iou/{CRITICAL}",
        f"iou_group/{most}",
        f"merged_recall/{most}",
        *(f"iou_group/{group}" for group in others[:1]),
        "mean_iou",
        "expected_severity",
        MISSES,
    ]
    return [
        one
        for name in chosen
        for one in (
            [name] if name == MISSES else expand(name, classes, "metric")
        )
    ]


def compared_metrics(plan: Experiment) -> list[str]:
    """Returns the metrics whose differences are tested.

    Args:
        plan: The experiment.

    Raises:
        ValueError: If one is no column of the tables.
    """
    names = metric_names(plan)
    if unknown := [name for name in plan.tested if name not in names]:
        raise ValueError(
            "Invalid value for argument `tested`. Expected some of `metrics`, "
            f"{names}. Received: {unknown}."
        )
    most = max(plan.data.class_set.groups)
    usual = (
        f"iou_group/{most}",
        f"merged_recall/{most}",
        "mean_iou",
        "expected_severity",
    )
    return list(plan.tested) or [name for name in usual if name in names]


def folder(plan: Experiment, *parts: str) -> str:
    """Returns a path in the experiment's folder."""
    return os.path.join(plan.root, plan.name, *parts)
