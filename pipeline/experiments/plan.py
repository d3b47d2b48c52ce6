"""What a comparison of losses consists of: one typed file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from pipeline.config.adaptation_config import DomainOptions
from pipeline.config.data_options import DataOptions
from pipeline.config.loading import data_override
from wseg_tf import configuration
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.adaptation.target import check_domains
from wseg_tf.configuration import ConfigurationError
from wseg_tf.decisions import LEAST_RISK
from wseg_tf.training.objectives import check
from wseg_tf.training.recipe import GroundOptions, Recipe, Stage

# The common start, among the names of methods.
START = "start"


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
        start: The recipe all methods start from; its stages are trained once.
        finetune: The stage that follows, as far as methods do not change it.
        adaptation: The rounds, as far as methods do not change them.
        methods: What is compared.
        reference: The method that the others are tested against.
        seeds: Of the fine-tuning: order and augmentation.
        metrics: Rows of the tables, names of `wseg_tf.metrics.table`.
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
    finetune: Stage = field(default_factory=Stage)
    adaptation: SelfTraining = field(default_factory=SelfTraining)
    methods: list[Method] = field(default_factory=list)
    reference: str = "continued CE"
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    metrics: list[str] = field(default_factory=list)
    severity: GroundOptions = field(default_factory=GroundOptions)
    published: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: Optional[str] = None  # noqa: UP045

    def __post_init__(self) -> None:
        """Refuses a comparison with nothing to compare."""
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
            seed: One of `seeds`.
            initial: The weights that the start ended with.

        Raises:
            ConfigurationError: If the method names a field there is not.
        """
        try:
            stage = dataclasses.replace(
                self.adaptation.stage if method.adaptation else self.finetune,
                **{"name": method.name, **method.stage},
            )
            ground = dataclasses.replace(self.start.ground, **method.ground)
        except (TypeError, ValueError) as error:
            raise self._refused(method, error) from error
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
        try:
            return dataclasses.replace(
                self.adaptation, **{**method.adaptation, "stage": stage}
            )
        except (TypeError, ValueError) as error:
            raise self._refused(method, error) from error

    def _refused(self, method: Method, error: Exception) -> ConfigurationError:
        return ConfigurationError(
            f"Invalid method `{method.name}` of the experiment `{self.name}`. "
            "Expected fields of `Stage`, `GroundOptions` and `SelfTraining`. "
            f"Received: {error}"
        )


def load(
    path: str, overrides: Sequence[str] = (), data: str | None = None
) -> Experiment:
    """Reads an experiment and checks every recipe in it.

    Args:
        path: A YAML file.
        overrides: `key=value` assignments, applied last.
        data: Folder of the data set.

    Returns:
        The experiment.

    Raises:
        ConfigurationError: One sentence that names the file and the field.
    """
    plan = configuration.load(
        Experiment,
        configuration.text_of(path),
        path,
        [*overrides, *data_override("data.path", data)],
    )
    classes = plan.data.class_set
    check(plan.start, classes)
    for method in plan.methods:
        check(plan.recipe(method, plan.seeds[0], ""), classes)
        if method.adaptation:
            plan.rounds(method)
    return plan


def folder(plan: Experiment, *parts: str) -> str:
    """Returns a path in the experiment's folder."""
    return os.path.join(plan.root, plan.name, *parts)
