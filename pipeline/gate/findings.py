"""What the rules found: each with its figure, its interval and its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.gate.rules import BOUNDS, Rule

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
                f"{_loss(kind, found.judged)}"
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


def _loss(kind: str, loss: float) -> str:
    if loss == 0:
        return "no loss"
    share = " of it" if kind == "allowed_relative_loss" else ""
    return f"{'a loss' if loss > 0 else 'a gain'} of {abs(loss):.4f}{share}"


def verdict(findings: list[Finding]) -> str:
    """Returns why a model passes or fails, in one sentence.

    Args:
        findings: What every rule found.

    Returns:
        That all rules hold, or the sentence of each that does not.
    """
    failed = [each.sentence for each in findings if not each.holds]
    if not findings:
        return "there are no rules"
    return "; ".join(failed) or f"all {len(findings)} rules hold"
