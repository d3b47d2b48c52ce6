"""The training recipe: what `wseg train` and the TFX Trainer both run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

from wseg_tf.data.augmentation import Augmentation
from wseg_tf.data.statistics import WEIGHTINGS
from wseg_tf.losses.wasserstein import LINKS

LOSSES = (
    "cross_entropy",
    "weighted_cross_entropy",
    "focal",
    "importance_aware",
    "wasserstein_dice",
    "wasserstein",
    "mixture",
)
MAPS = ("linear", "power", "huber", "step")
PRESETS = ("severity_aware", "importance_aware")
BALANCES = ("none", *WEIGHTINGS)
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SCHEDULES = ("constant", "poly", "cosine")


def _one_of(argument: str, received: str, expected: tuple[str, ...]) -> None:
    if received not in expected:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected one of "
            f"{list(expected)}. Received: {argument}={received!r}."
        )


def _at_least(argument: str, received: Any, least: float) -> None:
    if not received >= least:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected at least "
            f"{least:g}. Received: {argument}={received}."
        )


@dataclass
class GroundOptions:
    """How severe each confusion is: the ground matrix D and its map f.

    Args:
        preset: `"severity_aware"` (Fig. 2 left of Liu et al.: less within a
            group than across) or `"importance_aware"` (Fig. 2 right).
        file: A YAML or CSV matrix with class names; replaces the preset.
        severities: Cost of losing a pixel of importance group 1, 2, 3 and 4.
        within: Share of that cost when the confusion stays in the group;
            `"severity_aware"` only.
        map: `"linear"`, `"power"`, `"huber"` or `"step"`, applied to D.
        exponent: The power, for `map="power"`.
        tau: Where Huber turns linear, in units of D, for `map="huber"`.
    """

    preset: str = "severity_aware"
    file: Optional[str] = None  # noqa: UP045
    severities: list[float] = field(
        default_factory=lambda: [1.0, 2.0, 3.0, 4.0]
    )
    within: float = 0.5
    map: str = "linear"
    exponent: float = 2.0
    tau: float = 2.0

    def __post_init__(self) -> None:
        """Refuses what no ground matrix can be built from."""
        _one_of("preset", self.preset, PRESETS)
        _one_of("map", self.map, MAPS)
        if len(self.severities) != 4 or min(self.severities) < 0:
            raise ValueError(
                "Invalid value for argument `severities`. Expected four "
                "non-negative costs, for importance groups 1 to 4. Received: "
                f"severities={list(self.severities)}."
            )


@dataclass
class Stage:
    """One stage of training: a loss, an optimiser's schedule and a length.

    Args:
        name: Shown while it runs.
        loss: One of `LOSSES`; `"mixture"` is cross-entropy + `weight` x
            Wasserstein.
        link: `"linear"` or `"log"`, for the Wasserstein loss.
        weight: Weight of the Wasserstein term, for `loss="mixture"`.
        balance: `"none"`, `"logarithmic"` (ENet's) or `"median_frequency"`
            (SegNet's): weighs the pixels of rare classes more, by the
            frequencies of the training labels. Cross-entropies are weighed by
            class; of D, the rows are, so that its structure stays.
        epochs: Passes over the training images.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Decoupled weight decay of AdamW.
        schedule: `"constant"`, `"poly"` (power 0.9) or `"cosine"`.
    """

    name: str = "train"
    loss: str = "cross_entropy"
    link: str = "linear"
    weight: float = 0.2
    balance: str = "none"
    epochs: int = 1
    learning_rate: float = 5e-4
    weight_decay: float = 2e-4
    schedule: str = "poly"

    def __post_init__(self) -> None:
        """Refuses an unknown loss or a stage that trains nothing."""
        _one_of("loss", self.loss, LOSSES)
        _one_of("link", self.link, LINKS)
        _one_of("balance", self.balance, BALANCES)
        _one_of("schedule", self.schedule, SCHEDULES)
        _at_least("epochs", self.epochs, 1)
        _at_least("learning_rate", self.learning_rate, 0)


@dataclass
class Recipe:
    """Everything that decides the weights a training ends with.

    Args:
        model: A name from `wseg_tf.models`.
        height: Height the network sees; images are resized to it.
        width: Width the network sees.
        batch: Images per step.
        seed: Seeds weights, order and augmentation.
        precision: A Keras precision policy.
        ground: The ground matrix.
        augmentation: Random changes of the training images.
        stages: Run in order, each from the weights of the last.
    """

    model: str = "enet"
    height: int = 360
    width: int = 480
    batch: int = 8
    seed: int = 0
    precision: str = "float32"
    ground: GroundOptions = field(default_factory=GroundOptions)
    augmentation: Augmentation = field(default_factory=Augmentation)
    stages: list[Stage] = field(default_factory=lambda: [Stage()])

    def __post_init__(self) -> None:
        """Refuses sizes and batches that no training can use."""
        _one_of("precision", self.precision, PRECISIONS)
        for argument in ("height", "width", "batch"):
            _at_least(argument, getattr(self, argument), 1)
        if not self.stages:
            raise ValueError(
                "Invalid value for argument `stages`. Expected at least one "
                "stage. Received: stages=[]."
            )
