"""The judge: holds every rule against the counts of the evaluated images.

The Evaluator, `wseg gate` and the report all ask this one function.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.gate.bootstrap import Values, interval, replicate, tail
from pipeline.gate.image_counts import ImageCounts
from pipeline.gate.rules import BOUNDS, IMAGE, IMAGES, Gate, Rule
from wseg_tf.classes import ClassSet
from wseg_tf.metrics.confusion import Counts
from wseg_tf.metrics.formulas import in_order
from wseg_tf.metrics.table import classes_of, kind_of, score

# Fewer draw too few different sets for a bound that decides.
MINIMUM_UNITS = 5

Interval = tuple[float, float]
UNKNOWN = (math.nan, math.nan)


@dataclass(frozen=True)
class Measure:
    """What one rule measures on one slice, or on the whole set.

    Args:
        value: The metric; NaN if there is nothing to measure.
        baseline: The baseline's metric, or None without a baseline.
        judged: The metric or, for a rule about a change, the loss.
        interval: One-sided bootstrap bounds of `judged`.
        figure: What is held against the rule's bound: `judged`, or its
            bootstrap bound. NaN refuses.
        reason: Why there is no figure; empty if there is one.
    """

    value: float = math.nan
    baseline: float | None = None
    judged: float = math.nan
    interval: Interval = UNKNOWN
    figure: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class Finding:
    """A rule with the figure it was held against.

    Args:
        rule: The rule; of one metric.
        decisive: What was measured where the rule is closest to failing.
        where: The slice that is; empty for the whole set.
        slices: The figure on each slice the rule is about.
        skipped: Slices left out, each with the reason.
    """

    rule: Rule
    decisive: Measure
    where: str = ""
    slices: tuple[tuple[str, Measure], ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def figure(self) -> float:
        """What is held against the bound, here and by the Evaluator."""
        return self.decisive.figure

    @property
    def holds(self) -> bool:
        """Whether the figure satisfies the rule; NaN never does."""
        return satisfies(self.rule, self.figure)

    @property
    def sentence(self) -> str:
        """The finding in words."""
        kind, bound = self.rule.bound
        found, confidence = self.decisive, self.rule.confidence
        place = f" on {self.where}" if self.where else ""
        wanted = f"; the rule wants {BOUNDS[kind]} {bound:.4g}"
        if found.reason and math.isnan(found.figure):
            return (
                f"{self.rule.metric}{place} is not measured "
                f"({found.reason}){wanted}"
            )
        if found.reason:
            return f"{self.rule.metric}{place}: {found.reason}{wanted}"
        sentence = f"{self.rule.metric}{place} is {found.value:.4f}"
        if self.rule.compares and found.baseline is not None:
            sentence += (
                f" and the baseline's {found.baseline:.4f}, "
                f"{_in_words(kind, found.judged)}"
            )
        if confidence is not None:
            side = "at least" if kind == "floor" else "at most"
            sentence += (
                f", with {confidence:.4g} confidence {side} {found.figure:.4f}"
            )
        return sentence + wanted


def satisfies(rule: Rule, figure: float) -> bool:
    """Returns whether a figure meets a rule's bound, as TFMA decides it.

    Args:
        rule: The rule.
        figure: The figure; NaN meets no bound.

    Returns:
        Whether the rule holds.

    Example:

    >>> rule = Rule("mean_iou", floor=0.5)
    >>> satisfies(rule, 0.5), satisfies(rule, math.nan)
    (True, False)
    """
    kind, bound = rule.bound
    return figure >= bound if kind == "floor" else figure <= bound


def _in_words(kind: str, loss: float) -> str:
    if loss == 0:
        return "no loss"
    share = " of it" if kind == "allowed_relative_loss" else ""
    return f"{'a loss' if loss > 0 else 'a gain'} of {abs(loss):.4f}{share}"


def verdict(findings: list[Finding]) -> str:
    """Returns why a model passes or fails, in one sentence.

    Args:
        findings: What every rule found.

    Returns:
        That all rules hold, and why some do without a figure; or the sentence
        of each that does not.
    """
    if not findings:
        return "there are no rules"
    failed = [each.sentence for each in findings if not each.holds]
    if failed:
        return "; ".join(failed)
    reasons = [found for each in findings if (found := each.decisive.reason)]
    several = len(findings) > 1
    told = f"all {len(findings)} rules hold" if several else "the rule holds"
    if not reasons:
        return told
    why = "; ".join(dict.fromkeys(reasons))
    return f"{told}, {len(reasons)} without a figure: {why}"


def judge(
    gate: Gate, images: ImageCounts, classes: ClassSet, ground: npt.ArrayLike
) -> list[Finding]:
    """Holds every rule of a gate against the evaluated images.

    Args:
        gate: The rules.
        images: Exact counts of each image, for the model and its baseline.
        classes: The class set.
        ground: D `[N, N]`, rows truth, for the expected severity.

    Returns:
        A finding for each of `judged_rules`, in order.
    """
    ordered = images.in_order()
    severity = in_order(ground, classes.names)
    judged = _Judge(gate, ordered, classes, severity)
    return [judged.finding(rule) for rule in judged_rules(gate, classes)]


def judged_rules(gate: Gate, classes: ClassSet) -> list[Rule]:
    """Returns the rules that `judge` holds against the images.

    Args:
        gate: The rules as they were written.
        classes: The class set.

    Returns:
        First that enough images show each critical class; then the gate's
        rules, those about all critical classes spelled out.
    """
    shown = [
        Rule(f"{IMAGES}/{name}", floor=gate.minimum_images)
        for name in classes.critical
    ]
    return shown + gate.expanded(classes)


@dataclass
class _Judge:
    """Judges one rule after another on the same images."""

    gate: Gate
    images: ImageCounts
    classes: ClassSet
    ground: Values
    # Drawn once for all rules on the same slice.
    drawn: dict[tuple[str, str], Counts] = field(default_factory=dict)

    def finding(self, rule: Rule) -> Finding:
        """Measures a rule wherever it applies, and picks what decides."""
        if rule.slice is None and rule.every is None:
            return Finding(rule, self._measure(rule, self.images, ""))
        kind = rule.every or next(iter(rule.slice or {}))
        try:
            parts = self.images.by_slice(kind, self.gate.slices)
        except ValueError as error:
            return Finding(rule, Measure(reason=str(error)))
        if rule.slice is not None:
            name = rule.slice[kind]
            parts = {name: parts.get(name, self.images.chosen([]))}
        measured = {
            f"{kind} {name}": self._measure(rule, own, f"{kind} {name}")
            for name, own in parts.items()
        }
        return _decide(rule, measured)

    def _measure(self, rule: Rule, own: ImageCounts, place: str) -> Measure:
        """Measures a rule on the whole set or on one slice."""
        lack = self._lack(rule, own.candidate)
        if rule.counts_images:
            (index,) = self._demanded(rule)
            value = float(own.candidate[:, index].any(axis=-1).sum())
            figure = math.nan if lack else value
            return Measure(value, judged=value, figure=figure, reason=lack)
        if lack:
            return Measure(reason=lack)
        value = self._score(rule, own.candidate)
        if own.baseline is not None:
            baseline = self._score(rule, own.baseline)
            judged = value
            if rule.compares:
                judged = float(_loss(rule, np.array(value), np.array(baseline)))
            found = Measure(value, baseline, judged, figure=judged)
        elif not rule.compares:
            found = Measure(value, None, value, figure=value)
        elif self.gate.baseline == "required":
            return Measure(value, reason="there is no baseline yet")
        else:
            # Nothing to lose against; TFMA decides alike.
            reason = "there is no baseline yet, which the gate allows"
            return Measure(value, figure=-math.inf, reason=reason)
        return self._bounded(rule, found, own, place)

    def _lack(self, rule: Rule, counts: Counts) -> str:
        """Says what is missing to judge a rule by; empty if nothing is."""
        images = rule.minimum_images or self.gate.minimum_images
        pixels = rule.minimum_pixels or self.gate.minimum_pixels
        if len(counts) < images:
            return f"{len(counts)} images there, {images} needed"
        for index in self._demanded(rule):
            name = self.classes.names[index]
            by_image = counts[:, index].sum(axis=-1)
            shown, total = int((by_image > 0).sum()), int(by_image.sum())
            if shown < images:
                return f"{shown} images show {name}, {images} needed"
            if total < pixels:
                return f"{total} pixels show {name}, {pixels} needed"
        return ""

    def _demanded(self, rule: Rule) -> list[int]:
        """Returns the classes that must be there for a figure to mean much."""
        if rule.counts_images:
            return [self.classes.index(rule.metric.partition("/")[2])]
        return classes_of(rule.metric, self.classes) or []

    def _score(self, rule: Rule, counts: Counts) -> float:
        total = counts.sum(axis=0)
        return float(score(rule.metric, total, self.classes, self.ground))

    def _bounded(
        self, rule: Rule, found: Measure, own: ImageCounts, place: str
    ) -> Measure:
        """Adds the bootstrap's bounds; takes the one that decides, if any."""
        units = self._units(rule, own.candidate, own)
        if len(units) < MINIMUM_UNITS:
            if rule.confidence is None:
                return found
            reason = f"{len(units)} {rule.resample}s to draw from, "
            reason += f"{MINIMUM_UNITS} needed"
            return dataclasses.replace(found, figure=math.nan, reason=reason)
        beyond = self.gate.replicates * tail(rule.shown_confidence, len(units))
        if rule.confidence is not None and beyond < 1:
            reason = f"{self.gate.replicates} drawn sets do not carry a bound "
            reason += f"over {len(units)} {rule.resample}s"
            return dataclasses.replace(found, figure=math.nan, reason=reason)
        drawn = self._drawn_scores(rule, own, own.candidate, place)
        if rule.compares and own.baseline is not None:
            theirs = self._drawn_scores(rule, own, own.baseline, place + "*")
            drawn = _loss(rule, drawn, theirs)
        low, high = interval(drawn, rule.shown_confidence, len(units))
        figure = found.judged
        if rule.confidence is not None:
            figure = low if rule.bound[0] == "floor" else high
        return dataclasses.replace(found, interval=(low, high), figure=figure)

    def _units(self, rule: Rule, counts: Counts, own: ImageCounts) -> Counts:
        """Counts of what the bootstrap draws: images, or whole slices."""
        if rule.resample == IMAGE:
            return counts
        try:
            parts = own.members(rule.resample, self.gate.slices)
        except ValueError:
            return counts[:0]
        units = [counts[part].sum(axis=0) for part in parts.values() if part]
        return np.stack(units)

    def _drawn_scores(
        self, rule: Rule, own: ImageCounts, counts: Counts, place: str
    ) -> Values:
        key = place, rule.resample
        if key not in self.drawn:
            units = self._units(rule, counts, own)
            # One seed for both models: they are compared on the same sets.
            self.drawn[key] = replicate(
                units, self.gate.replicates, self.gate.seed
            )
        drawn = self.drawn[key]
        values = score(rule.metric, drawn, self.classes, self.ground)
        # A drawn set lacks what the real one must not lack.
        lacking = (drawn.sum(axis=-1)[:, self._demanded(rule)] == 0).any(-1)
        return np.where(lacking, np.nan, values)


def _loss(rule: Rule, ours: Values, theirs: Values) -> Values:
    """How much worse the candidate is; a share for a relative rule."""
    lower = kind_of(rule.metric).lower_is_better
    loss = ours - theirs if lower else theirs - ours
    if rule.bound[0] == "allowed_loss":
        return loss
    # No loss against a baseline of 0 is none; any other has no bounds.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(loss == 0, 0.0, loss / np.abs(theirs))


def _is_lacking(measure: Measure) -> bool:
    """Whether a slice has too little to judge; not whether it was missed."""
    return math.isnan(measure.value) and bool(measure.reason)


def _decide(rule: Rule, measured: dict[str, Measure]) -> Finding:
    """Picks the slice on which the rule is closest to failing."""
    skipped = []
    if rule.absent == "skip":
        skipped = [
            f"{place} ({each.reason})"
            for place, each in measured.items()
            if _is_lacking(each)
        ]
    kept = {
        place: each
        for place, each in measured.items()
        if rule.absent == "refuse" or not _is_lacking(each)
    }
    if not kept:
        reason = "no slice has enough to judge it by"
        return Finding(rule, Measure(reason=reason), skipped=tuple(skipped))
    sign = 1.0 if rule.bound[0] == "floor" else -1.0

    def margin(place: str) -> float:
        figure = kept[place].figure
        return -math.inf if math.isnan(figure) else sign * figure

    where = min(kept, key=margin)
    return Finding(
        rule, kept[where], where, tuple(kept.items()), tuple(skipped)
    )
