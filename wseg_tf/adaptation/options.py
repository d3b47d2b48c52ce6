"""The options of self-training: how pseudo-labels are chosen and used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wseg_tf.ranges import bounded, check_ranges
from wseg_tf.training.recipe import Stage

METHODS = ("cbst", "lrent", "mrkld")
LEAST_ALPHA = 0.05  # below it, powers of 1 / alpha overflow float32


def _default_stage() -> Stage:
    return Stage(
        name="round",
        loss="cross_entropy",
        epochs=2,
        learning_rate=1e-4,
        freeze=["batch_norm"],
    )


@dataclass
class SelfTraining:
    """How a model is adapted to a domain without labels.

    Rounds of labelling the target with the model itself, then training on the
    source and on the pixels it was surest of, class by class.

    Args:
        method: `"lrent"` (soft labels), `"cbst"` (one-hot labels) or
            `"mrkld"` (one-hot labels, and a penalty on certainty).
        rounds: How often the target is labelled and trained on.
        portion: Share of the pixels predicted of each class whose labels are
            taken in the first round, 0..1.
        portion_step: By how much it grows each round.
        portion_limit: It grows no further.
        alpha: Softness of `"lrent"`, 0.05..1: labels are `(p / l)^(1 / alpha)`.
        uniformity: Weight of `KL(uniform || s)`, for `"mrkld"`.
        flip: Whether predictions are averaged over an image and its mirror.
        scales: Predictions are averaged over images resized by these.
        target_share: Share of the target's images in a batch, 0..1.
        rare_classes: How many of the classes that the target shows least are
            mined for; none by default.
        rare: Probability that a crop of the target is placed on one of them.
        rare_images: Share of the target's epoch drawn from images that show
            one of them.
        stage: The training of each round; an epoch is one pass over the
            target. Soft labels go with `"cross_entropy"` (the baseline),
            `"wasserstein"` and `"mixture"`.

    Source: Zou et al. (ECCV 2018) for CBST, (ICCV 2019) for LRENT and MRKLD;
    Liu et al. (AAAI 2020) for the Wasserstein loss on LRENT's labels.

    Example:

    >>> [SelfTraining().portion_in(number) for number in (0, 2, 9)]
    [0.2, 0.3, 0.5]
    """

    method: str = "lrent"
    rounds: int = bounded(3, 1)
    portion: float = bounded(0.20, 0, 1)
    portion_step: float = bounded(0.05, 0)
    portion_limit: float = bounded(0.50, 0, 1)
    alpha: float = bounded(0.25, LEAST_ALPHA, 1)
    uniformity: float = bounded(0.1, 0)
    flip: bool = True
    scales: list[float] = bounded(lambda: [1.0], above=0, most=16)
    target_share: float = bounded(0.5, above=0, most=1)
    rare_classes: int = bounded(0, 0)
    rare: float = bounded(0.0, 0, 1)
    rare_images: float = bounded(0.0, 0, 1)
    stage: Stage = field(default_factory=_default_stage)

    def __post_init__(self) -> None:
        """Refuses what labels nothing, or what does not go together."""
        check_ranges(self)
        if self.method not in METHODS:
            _refuse("method", f"one of {list(METHODS)}", repr(self.method))
        if not self.scales:
            _refuse("scales", "at least one", [])
        if (self.rare or self.rare_images) and not self.rare_classes:
            _refuse("rare_classes", "at least 1, to mine for them", 0)
        soft = ("cross_entropy", "wasserstein", "mixture")
        if self.is_soft and self.stage.loss not in soft:
            _refuse(
                "stage.loss",
                f"one of {list(soft)} for soft labels",
                repr(self.stage.loss),
            )

    @property
    def is_soft(self) -> bool:
        """Whether pseudo-labels are distributions."""
        return self.method == "lrent"

    def portion_in(self, number: int) -> float:
        """Returns the portion of a round.

        Args:
            number: The round, from 0.
        """
        grown = round(self.portion + number * self.portion_step, 12)
        return min(max(self.portion_limit, self.portion), grown)


def _refuse(argument: str, expected: str, received: Any) -> None:
    raise ValueError(
        f"Invalid value for argument `{argument}`. Expected {expected}. "
        f"Received: {argument}={received}."
    )
