"""The facts of a run, ready for JSON; every report is written from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.gate.image_counts import ImageCounts
from pipeline.gate.judge import Finding, Measure, verdict
from pipeline.report.pictures import WorstImage
from wseg_tf.classes import ClassSet
from wseg_tf.metrics.confusion import Counts
from wseg_tf.metrics.table import iou_rows, scores

COSTLIEST = 8


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
        refusal: Why a model that passed was not pushed; empty otherwise.
        pushed: Folder the model is served from, or None.
        model: Folder of the trained model.
        baseline: Folder of the baseline, or None.
        worst: The images it does worst on.
        data: Facts about the data, by name.
        quarantine: What was left out: split, name and reason.
        lineage: Facts about code, configuration and models, by name.
        config: The configuration as YAML.
        decisions: Decisions about releases, the oldest first.
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
    worst: Sequence[WorstImage] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    quarantine: Sequence[Mapping[str, str]] = ()
    lineage: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    config: str = ""
    decisions: Sequence[Mapping[str, Any]] = ()
    refusal: str = ""
    shared: str = ""


def facts(run: Run) -> dict[str, Any]:
    """Returns everything that a report says.

    Args:
        run: What the run left.

    Returns:
        Plain values; what was not measured is None.
    """
    total = run.images.candidate.sum(axis=0)
    values = scores(total, run.classes, run.ground)
    other = None
    if run.images.baseline is not None:
        other = run.images.baseline.sum(axis=0)
    theirs = scores(other, run.classes, run.ground) if other is not None else {}
    return {
        "name": run.name,
        "verdict": "pushed" if run.pushed else "refused",
        "reason": _reason(run),
        "blessed": run.blessed,
        "shared": run.shared or None,
        "serving_check": {
            "passes": not run.serving_fault,
            "fault": run.serving_fault or None,
        },
        "pushed": run.pushed,
        "model": run.model,
        "baseline": run.baseline,
        "rules": [finding_json(each) for each in run.findings],
        "images": len(run.images),
        "scores": {name: finite(value) for name, value in values.items()},
        "baseline_scores": {k: finite(v) for k, v in theirs.items()},
        "table": _table(values, theirs, run.classes),
        "slices": _slices(run),
        "classes": list(run.classes.names),
        "groups": list(run.classes.groups),
        "critical": list(run.classes.critical),
        "confusion": total.tolist(),
        "ground": run.ground.tolist(),
        "costliest": costliest(total, run.ground, run.classes),
        "worst": [
            {**asdict(each), "iou": finite(each.iou)} for each in run.worst
        ],
        "data": dict(run.data),
        "quarantine": [dict(each) for each in run.quarantine],
        "lineage": {name: dict(each) for name, each in run.lineage.items()},
        "config": run.config,
        "decisions": [dict(each) for each in run.decisions],
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """Returns a finding as plain values.

    Args:
        finding: What a rule found.

    Returns:
        The rule, its figures, and whether it holds.
    """
    rule = finding.rule
    kind, bound = rule.bound
    return {
        "rule": rule.title,
        "metric": rule.metric,
        "bound": kind,
        "limit": bound,
        "where": finding.where or None,
        "confidence": rule.confidence,
        "shown_confidence": rule.shown_confidence,
        **_measure(finding.decisive),
        "holds": finding.holds,
        "sentence": finding.sentence,
        "slices": [
            {"slice": name, **_measure(each)} for name, each in finding.slices
        ],
        "skipped": list(finding.skipped),
    }


def _measure(measure: Measure) -> dict[str, Any]:
    return {
        "value": finite(measure.value),
        "baseline": finite(measure.baseline),
        "judged": finite(measure.judged),
        "interval": [finite(bound) for bound in measure.interval],
        "figure": finite(measure.figure),
        "reason": measure.reason or None,
    }


def finite(value: float | None) -> float | None:
    """Returns a number that JSON can hold: no NaN, no infinity."""
    return None if value is None or not math.isfinite(value) else float(value)


def costliest(
    counts: Counts, ground: npt.NDArray[np.float64], classes: ClassSet
) -> list[dict[str, Any]]:
    """Returns the confusions that make up most of the expected severity.

    Args:
        counts: Confusion count `[N, N]`, rows truth.
        ground: D `[N, N]`.
        classes: The class set.

    Returns:
        At most eight: true and predicted class, pixels, D, and their share of
        the severity, the costliest first.
    """
    cost = counts * ground
    total = cost.sum()
    order = np.argsort(-cost, axis=None, kind="stable")[:COSTLIEST]
    cells = [divmod(int(cell), len(classes)) for cell in order]
    return [
        {
            "true": classes.names[true],
            "predicted": classes.names[predicted],
            "pixels": int(counts[true, predicted]),
            "cost": float(ground[true, predicted]),
            "share": float(cost[true, predicted] / total),
        }
        for true, predicted in cells
        if cost[true, predicted] > 0
    ]


def _reason(run: Run) -> str:
    reason = verdict(list(run.findings))
    holds = all(each.holds for each in run.findings)
    if holds and not run.blessed:
        return (
            "every rule holds, but it is not blessed: the same model was "
            "withdrawn by a rollback, whose decision says who and why, or "
            "the Evaluator judged otherwise"
        )
    if holds and run.serving_fault:
        return f"{reason}, but the serving check failed: {run.serving_fault}"
    if run.refusal:
        return f"{reason}, but {run.refusal}"
    return reason


def _table(
    values: Mapping[str, float],
    theirs: Mapping[str, float],
    classes: ClassSet,
) -> list[dict[str, Any]]:
    rows = iou_rows(values, classes)
    others = iou_rows(theirs, classes) if theirs else []
    return [
        {
            "name": name,
            "kind": kind,
            "iou": finite(value),
            "baseline": finite(others[i][2]) if others else None,
        }
        for i, (name, kind, value) in enumerate(rows)
    ]


def _slices(run: Run) -> list[dict[str, Any]]:
    """IoU of the critical classes on each drive."""
    rows = []
    for drive, own in run.images.by_slice("drive", {}).items():
        found = scores(own.candidate.sum(axis=0), run.classes, run.ground)
        ious = {
            name: finite(found[f"iou/{name}"]) for name in run.classes.critical
        }
        mean = finite(found["mean_iou"])
        rows.append(
            {"drive": drive, "images": len(own), "mean": mean, "iou": ious}
        )
    return rows
