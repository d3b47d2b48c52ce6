"""The gate's rules: what a model must reach before it is pushed."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Optional

from wseg_tf.classes import ClassSet
from wseg_tf.metrics.table import CRITICAL, GROUP, TABLE, expand
from wseg_tf.ranges import bounded, check_ranges

# What a rule may bound its metric by, with the words that say so.
BOUNDS = {
    "floor": "at least",
    "ceiling": "at most",
    "allowed_loss": "a loss of at most",
    "allowed_relative_loss": "a relative loss of at most",
}
# Every record names its drive; in Cityscapes' layout, its city.
RECORDED = ("drive", "city")
IMAGE = "image"
# The judge's own rules are about the images that show a class: `images/car`.
IMAGES = "images"
# Of the intervals that are shown for rules that ask for none.
SHOWN_CONFIDENCE = 0.95
# Drawn sets that must lie beyond a bound: fewer say little about where it is.
MINIMUM_TAIL = 10


@dataclass
class Rule:
    """One condition a model must meet to be pushed.

    Exactly one of `floor`, `ceiling`, `allowed_loss` and
    `allowed_relative_loss` is given. A loss is how much worse the model is
    than the baseline, the last blessed model: lower, or for
    `expected_severity` higher.

    Args:
        metric: A metric of the evaluation, e.g. `"iou/pedestrian"`,
            `"iou_group/4"`, `"critical_minimum_iou"`, `"mean_iou"`; a name that
            `wseg_tf.metrics.table.expand` knows for several stands for one
            rule each: `"iou/critical"`, `"recall"`.
        floor: The metric must be at least this, 0..1; for all metrics but
            `"expected_severity"`, which is better when lower.
        ceiling: `"expected_severity"` must be at most this, in the units of D.
        allowed_loss: The baseline's metric may be better by this at most; 0
            demands no loss, a negative figure an improvement. Of a share, at
            least -1 and below 1, since nobody can lose more.
        allowed_relative_loss: The same as a share of the baseline's metric.
        slice: The rule is about one slice, e.g. `{drive: 0016E5}` or
            `{condition: dusk}`; the whole evaluation set by default.
        every: The rule must hold on every slice of this kind, e.g. `"drive"`.
        confidence: The bootstrap bound of this one-sided confidence must meet
            the rule, not only the figure itself; 0.5..1. Not used by default.
        resample: What the bootstrap draws: `"image"`, or whole slices of a
            kind, e.g. `"drive"`, since a drive's images resemble each other.
        minimum_images: Images that must show the class for the rule to be
            judged, at least 1; the gate's by default.
        minimum_pixels: Pixels of the class there must be, at least 1; the
            gate's by default.
        absent: What becomes of a slice, with `every`, that has less than the
            minima: `"refuse"` the model, or `"skip"` the slice; of a metric of
            several classes, such as a group, none is skipped.
    """

    metric: str
    floor: Optional[float] = bounded(None, 0)  # noqa: UP045
    ceiling: Optional[float] = bounded(None, 0)  # noqa: UP045
    allowed_loss: Optional[float] = bounded(None)  # noqa: UP045
    allowed_relative_loss: Optional[float] = bounded(None)  # noqa: UP045
    slice: Optional[dict[str, str]] = None  # noqa: UP045
    every: Optional[str] = None  # noqa: UP045
    confidence: Optional[float] = bounded(None, above=0.5, below=1)  # noqa: UP045
    resample: str = IMAGE
    minimum_images: Optional[int] = bounded(None, 1)  # noqa: UP045
    minimum_pixels: Optional[int] = bounded(None, 1)  # noqa: UP045
    absent: str = "refuse"

    def __post_init__(self) -> None:
        """Refuses a rule that demands nothing, or two things at once."""
        bounds = {name: getattr(self, name) for name in BOUNDS}
        given = [bound for bound in bounds.values() if bound is not None]
        if len(given) != 1 or not math.isfinite(given[0]):
            received = ", ".join(f"{k}={v}" for k, v in bounds.items())
            self._refuse(
                f"exactly one finite bound of {list(BOUNDS)}", received
            )
        self._check_range(*self.bound)
        try:
            check_ranges(self)
        except ValueError as error:
            said = f"Invalid rule on `{self.metric}`: {error}"
            raise ValueError(said) from error
        if self.slice is not None and (self.every or len(self.slice) != 1):
            self._refuse(
                "`slice` with one key, or `every`, not both",
                f"slice={self.slice}, every={self.every}",
            )
        if self.absent not in ("refuse", "skip"):
            self._refuse("`absent` refuse or skip", f"absent={self.absent}")
        row = TABLE.get(self.metric.partition("/")[0])
        if self.absent == "skip" and row and row.about in (CRITICAL, GROUP):
            # A drive without bicyclists would pass with every car missed.
            self._refuse(
                "`absent: refuse`, or a rule for each class with `skip`, since "
                "one absent class would hide the others",
                "absent=skip",
            )

    def _check_range(self, kind: str, bound: float) -> None:
        """Refuses a bound that holds whatever the model does, or never."""
        row = TABLE.get(self.metric.partition("/")[0])
        if row is None:  # The judge's own, or a metric that is refused later.
            return
        received = f"{kind}={bound:g}"
        if kind == ("floor" if row.lower_is_better else "ceiling"):
            other = "ceiling" if row.lower_is_better else "floor"
            better = "lower" if row.lower_is_better else "higher"
            self._refuse(f"a `{other}`, since {better} is better", received)
        if kind in ("floor", "ceiling"):
            if bound < 0 or (bound > 1 and not row.lower_is_better):
                least = "0 or more" if row.lower_is_better else "0 to 1"
                self._refuse(f"a {kind} of {least}", received)
        elif not row.lower_is_better:
            lowest = -1 if kind == "allowed_loss" else -math.inf
            if not lowest <= bound < 1:
                least = " and at least -1" if kind == "allowed_loss" else ""
                self._refuse(f"a loss below 1{least}", received)

    def _refuse(self, expected: str, received: str) -> None:
        raise ValueError(
            f"Invalid rule on `{self.metric}`. Expected {expected}. "
            f"Received: {received}."
        )

    @property
    def bound(self) -> tuple[str, float]:
        """Which of the bounds is given, and its figure."""
        return next(
            (name, float(value))
            for name in BOUNDS
            if (value := getattr(self, name)) is not None
        )

    @property
    def compares(self) -> bool:
        """Whether the rule is about the change against the baseline."""
        return self.bound[0].endswith("loss")

    @property
    def counts_images(self) -> bool:
        """Whether it is about the images that show a class."""
        return self.metric.startswith(f"{IMAGES}/")

    @property
    def shown_confidence(self) -> float:
        """The confidence of the interval that is shown beside the figure."""
        return self.confidence or SHOWN_CONFIDENCE

    @property
    def where(self) -> str:
        """The slices the rule is about, in words; empty for the whole set."""
        if self.slice is not None:
            ((kind, name),) = self.slice.items()
            return f"{kind} {name}"
        return f"every {self.every}" if self.every else ""

    @property
    def title(self) -> str:
        """The rule in a few words."""
        kind, figure = self.bound
        where = f" on {self.where}" if self.where else ""
        name = self.metric
        if self.counts_images:
            name = f"images that show {name.partition('/')[2]}"
        words = [f"{name}{where}: {BOUNDS[kind]} {figure:g}"]
        if self.confidence is not None:
            unit = "images" if self.resample == IMAGE else f"{self.resample}s"
            words.append(f"with {self.confidence:.4g} confidence over {unit}")
        return ", ".join(words)


@dataclass
class Gate:
    """What a model must reach before it is pushed.

    Args:
        rules: All of them must hold. Without any, nothing is ever pushed, so
            an empty list is refused.
        baseline: Whether a model that comes first may pass a rule about the
            change against the last blessed model: `"optional"`, or
            `"required"`, which refuses it.
        slices: Kinds of slices beside drives: the drives of each slice, e.g.
            `{condition: {day: [0016E5, 0006R0], dusk: [0001TP]}}`.
        minimum_images: Images that must show a class for it to be judged.
        minimum_pixels: Pixels of a class there must be for it to be judged.
        allow_shared: What training and evaluation may have in common: some of
            `"image"` and `"drive"`. Nothing by default.
        replicates: Evaluation sets the bootstrap draws.
        seed: Seeds the bootstrap.
        signing_key: File of an ed25519 private key, PEM, by which the push
            signs what it states of a version; unsigned by default.
    """

    rules: list[Rule] = field(default_factory=list)
    baseline: str = "optional"
    slices: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    minimum_images: int = bounded(1, 1)
    minimum_pixels: int = bounded(1, 1)
    allow_shared: list[str] = field(default_factory=list)
    replicates: int = bounded(1000, 100, 10**6)
    seed: int = bounded(0, 0)
    signing_key: Optional[str] = None  # noqa: UP045

    def __post_init__(self) -> None:
        """Refuses what would judge by nothing."""
        if self.baseline not in ("optional", "required"):
            raise ValueError(
                "Invalid value for argument `baseline`. Expected optional or "
                f"required. Received: baseline={self.baseline}."
            )
        for kind in self.allow_shared:
            if kind not in (IMAGE, "drive"):
                raise ValueError(
                    "Invalid value for argument `allow_shared`. Expected some "
                    f"of ['image', 'drive']. Received: {kind!r}."
                )
        check_ranges(self)
        for rule in self.rules:
            if rule.confidence is None:
                continue
            # Rounded, since 1 - 0.9 is a little less than a tenth.
            tail = round(self.replicates * (1 - rule.confidence), 6)
            if tail < MINIMUM_TAIL:
                needed = math.ceil(MINIMUM_TAIL / (1 - rule.confidence) - 1e-6)
                raise ValueError(
                    "Invalid value for argument `replicates`. Expected at "
                    f"least {needed}, since a rule on `{rule.metric}` wants "
                    f"confidence={rule.confidence:g}. Received: "
                    f"replicates={self.replicates}."
                )
        for kind, members in self.slices.items():
            drives = [drive for each in members.values() for drive in each]
            twice = sorted({d for d in drives if drives.count(d) > 1})
            if kind in (*RECORDED, IMAGE) or not drives or twice:
                raise ValueError(
                    f"Invalid value for argument `slices.{kind}`. Expected a "
                    f"name other than {[*RECORDED, IMAGE]} and drives, each "
                    f"in one slice. Received twice: {twice}."
                )

    def expanded(self, classes: ClassSet) -> list[Rule]:
        """Returns the rules with those about several classes spelled out.

        Args:
            classes: The class set.

        Returns:
            Rules in order; each is about one score.
        """
        return [
            dataclasses.replace(rule, metric=metric)
            for rule in self.rules
            for metric in expand(rule.metric, classes)
        ]
