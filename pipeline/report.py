"""The report of a run: what was measured, what the gate said, and why."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.findings import Finding, verdict
from pipeline.scores import iou_rows
from wseg_tf.classes import ClassSet

PICTURE = "prediction.png"


@dataclass(frozen=True)
class Report:
    """Everything a run's report says.

    Args:
        name: Name of the pipeline.
        blessed: The Evaluator's verdict.
        findings: Each rule with its figure.
        values: Every score by name.
        confusion: Exact counts `[N, N]`; rows truth.
        images: Images evaluated.
        classes: The class set.
        model: Folder of the trained model.
        pushed: Folder the model is served from, or None if it was refused.
    """

    name: str
    blessed: bool
    findings: list[Finding]
    values: dict[str, float]
    confusion: npt.NDArray[np.int64]
    images: int
    classes: ClassSet
    model: str
    pushed: str | None

    @property
    def reason(self) -> str:
        """Why the model was pushed or refused, in one sentence."""
        return verdict(self.findings)


def to_json(report: Report) -> str:
    """Returns the report for machines.

    Args:
        report: The report.

    Returns:
        JSON; what was not measured is null.
    """
    return json.dumps(
        {
            "name": report.name,
            "blessed": report.blessed,
            "reason": report.reason,
            "rules": [
                {
                    "metric": finding.rule.metric,
                    "rule": finding.rule.title,
                    "value": _finite(finding.decisive.value),
                    "holds": finding.holds,
                }
                for finding in report.findings
            ],
            "scores": {
                name: _finite(value) for name, value in report.values.items()
            },
            "table": [
                {"name": name, "kind": kind, "iou": _finite(value)}
                for name, kind, value in iou_rows(report.values, report.classes)
            ],
            "images": report.images,
            "classes": list(report.classes.names),
            "confusion": report.confusion.tolist(),
            "model": report.model,
            "pushed": report.pushed,
        },
        indent=2,
    )


def to_markdown(report: Report) -> str:
    """Returns the report for people.

    Args:
        report: The report.

    Returns:
        Markdown.
    """
    verdict = "pushed" if report.pushed else "refused"
    lines = [
        f"# {report.name}: {verdict}",
        "",
        f"{report.reason[0].upper()}{report.reason[1:]}.",
        "",
        f"Model: `{report.model}`  ",
        f"Served from: `{report.pushed or 'nowhere'}`",
        "",
        f"## IoU over {report.images} images",
        "",
        "| | IoU |",
        "|---|---|",
        *(
            f"| {'' if kind == 'class' else '**'}{name}"
            f"{'' if kind == 'class' else '**'} | {_figure(value)} |"
            for name, kind, value in iou_rows(report.values, report.classes)
        ),
        "",
        f"Expected severity: {_figure(report.values['expected_severity'])}",
        "",
        f"![image, truth and prediction]({PICTURE})",
        "",
        "## Rules",
        "",
        "| rule | figure | holds |",
        "|---|---|---|",
        *(
            f"| {finding.rule.title} | {_figure(finding.decisive.value)} "
            f"| {'yes' if finding.holds else 'no'} |"
            for finding in report.findings
        ),
        "",
    ]
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "absent"


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
