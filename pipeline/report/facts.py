"""The facts of a run, ready for JSON; every report is written from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.gate.judge import Finding, Measure, verdict
from pipeline.report.missed import Missed
from pipeline.report.pictures import (
    INVENTED,
    MISSED,
    ClassImage,
    legend,
    to_hex,
)
from pipeline.report.remarks import remarks
from pipeline.report.run import Run as Run
from pipeline.report.schema import VERSION
from pipeline.report.words import meaning
from wseg_tf.classes import ClassSet
from wseg_tf.metrics.confusion import Counts
from wseg_tf.metrics.misses import MEANING
from wseg_tf.metrics.table import iou_rows, scores

COSTLIEST = 8


CURVES = ("loss", "validation_loss", "mean_iou", "critical_iou")


def facts(run: Run) -> dict[str, Any]:
    """Returns everything that a report says.

    Args:
        run: What the run left.

    Returns:
        Plain values, as `schema.SCHEMA` has them; what was not measured is
        None.
    """
    total = run.images.candidate.sum(axis=0)
    values = scores(total, run.classes, run.ground)
    other = None
    if run.images.baseline is not None:
        other = run.images.baseline.sum(axis=0)
    theirs = scores(other, run.classes, run.ground) if other is not None else {}
    return {
        "version": VERSION,
        "name": run.name,
        "verdict": "pushed" if run.pushed else "refused",
        "reason": _reason(run),
        "started": dict(run.started) or None,
        "trained_on": [
            {**each, "accelerators": [*each["accelerators"]]}
            for each in run.machines
        ],
        "blessed": run.blessed,
        "shared": run.shared or None,
        "serving_check": {
            "passes": not run.serving_fault,
            "fault": run.serving_fault or None,
        },
        "pushed": run.pushed,
        "model": run.model,
        "baseline": run.baseline,
        "remarks": remarks(run),
        "rules": [
            {
                **finding_json(each),
                "meaning": meaning(each.rule, run.gate, run.classes),
            }
            for each in run.findings
        ],
        "images": len(run.images),
        "pixels": int(total.sum()),
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
        "worst": [_image(each) for each in run.worst],
        "typical": [_image(each) for each in run.typical],
        "missed": None if run.missed is None else _missed(run.missed, run),
        "curve": [
            {
                "stage": str(row.get("stage", "")),
                **{name: _figure(row.get(name)) for name in CURVES},
            }
            for row in run.history
        ],
        "data": dict(run.data),
        "quarantine": [dict(each) for each in run.quarantine],
        "lineage": {name: dict(each) for name, each in run.lineage.items()},
        "config": run.config,
        "decisions": [dict(each) for each in run.decisions],
        "legend": legend(run.classes),
        "errors": {"missed": to_hex(MISSED), "invented": to_hex(INVENTED)},
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
    # A rollback takes the blessing back, too.
    if holds and run.withdrawn and not run.pushed:
        return f"{reason}, but {run.withdrawn}"
    if holds and not run.blessed:
        return "the Evaluator refused it although every rule holds here"
    if holds and run.serving_fault:
        return f"{reason}, but the serving check failed: {run.serving_fault}"
    return reason


def _image(image: ClassImage) -> dict[str, Any]:
    baseline = finite(image.baseline)
    return {**asdict(image), "iou": finite(image.iou), "baseline": baseline}


def _missed(missed: Missed, run: Run) -> dict[str, Any]:
    total = int(missed.missed.sum())
    return {
        "smallest": missed.smallest,
        "meaning": MEANING.format(smallest=missed.smallest),
        "regions": int(missed.regions.sum()),
        "missed": total,
        "per_100_images": 100 * total / max(1, missed.images),
        "classes": missed.by_class(run.classes),
        "shown": [
            {**asdict(each), "box": [*each.box]} for each in missed.shown
        ],
    }


def _figure(text: Any) -> float | None:
    """Reads a figure of a history, where there is one."""
    return None if text in (None, "") else finite(float(text))


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
            # Of a group there is neither.
            "recall": finite(values.get(f"recall/{name}")),
            "precision": finite(values.get(f"precision/{name}")),
        }
        for i, (name, kind, value) in enumerate(rows)
    ]


def _slices(run: Run) -> list[dict[str, Any]]:
    """The critical classes on each drive, and on each slice of the gate's."""
    rows = []
    for kind in ("drive", *run.gate.slices):
        try:
            parts = run.images.by_slice(kind, run.gate.slices)
        except ValueError:
            continue  # A drive in no slice: the rules about the kind say so.
        for name, own in parts.items():
            found = scores(own.candidate.sum(axis=0), run.classes, run.ground)
            row: dict[str, Any] = {
                "kind": kind,
                "slice": name,
                "images": len(own),
                "mean": finite(found["mean_iou"]),
            }
            for measure in ("iou", "recall", "precision"):
                row[measure] = {
                    each: finite(found[f"{measure}/{each}"])
                    for each in run.classes.critical
                }
            rows.append(row)
    return rows
