"""The figures of a comparison: means, spreads and paired tests."""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import wseg_tf
from pipeline.experiments.plan import START, Experiment
from pipeline.experiments.run import Outcome
from pipeline.gate.bootstrap import replicate
from wseg_tf.classes import ClassSet
from wseg_tf.metrics.confusion import Counts
from wseg_tf.metrics.table import check_score, kind_of, score
from wseg_tf.training.objectives import build_ground

REPLICATES = 2000
# Metrics that the table shows with their difference to the reference.
SUMMARISED = (
    "iou_group/4",
    "merged_recall/4",
    "mean_iou",
    "expected_severity",
)


@dataclass(frozen=True)
class Figure:
    """A metric of a method over seeds, and its distance to the reference.

    Args:
        values: One a seed.
        difference: Of the counts of all seeds together, less the reference's.
        low: Lower end of its 95 % interval over images drawn anew.
        high: Upper end.
        worse: Share of the drawn sets on which the method is not better.
    """

    values: tuple[float, ...]
    difference: float
    low: float
    high: float
    worse: float

    @property
    def mean(self) -> float:
        """Over seeds."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds; NaN for one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else np.nan


def metric_names(plan: Experiment) -> list[str]:
    """Returns the rows of the tables.

    Args:
        plan: The experiment; without `metrics` it gets the critical classes',
            the groups', the mean and the expected severity.
    """
    if plan.metrics:
        return list(plan.metrics)
    classes = plan.data.class_set
    return [
        *(f"iou/{name}" for name in classes.critical),
        "iou_group/4",
        "merged_recall/4",
        "iou_group/3",
        "mean_iou",
        "expected_severity",
    ]


def figures(
    plan: Experiment, outcomes: Sequence[Outcome], evaluation: str
) -> dict[str, dict[str, Figure]]:
    """Computes every figure on one evaluation set.

    Args:
        plan: The experiment.
        outcomes: What `run` returned.
        evaluation: Name of the set.

    Returns:
        Figures by method and metric; the start is a method too.
    """
    classes = plan.data.class_set
    ground = build_ground(plan.severity, classes).values
    stacked = {
        method: np.stack(
            [o.counts[evaluation] for o in outcomes if o.method == method]
        )
        for method in dict.fromkeys(o.method for o in outcomes)
    }
    drawn = {
        method: replicate(counts.sum(axis=0), REPLICATES, seed=0)
        for method, counts in stacked.items()
    }

    def figure(method: str, metric: str) -> Figure:
        def scored(counts: Counts) -> Any:
            return score(metric, counts, classes, ground)

        values = scored(stacked[method].sum(axis=1))
        own, other = (
            scored(stacked[each].sum(axis=(0, 1)))
            for each in (method, plan.reference)
        )
        apart = scored(drawn[method]) - scored(drawn[plan.reference])
        lower = kind_of(metric).lower_is_better
        better = apart < 0 if lower else apart > 0
        low, high = np.nanquantile(apart, [0.025, 0.975])
        return Figure(
            tuple(float(value) for value in values),
            float(own - other),
            float(low),
            float(high),
            float(1 - better.mean()),
        )

    names = metric_names(plan)
    return {
        method: {metric: figure(method, metric) for metric in names}
        for method in stacked
    }


def as_markdown(
    plan: Experiment, found: dict[str, dict[str, Figure]], evaluation: str
) -> str:
    """Returns a table: methods down, metrics across, published beside ours.

    Args:
        plan: The experiment.
        found: What `figures` returned.
        evaluation: Name of the set.
    """
    names = metric_names(plan)
    head = " | ".join(_short(name) for name in names)
    lines = [
        f"### {evaluation}",
        "",
        f"| method | {head} |",
        f"|---|{'---|' * len(names)}",
    ]
    for method, row in found.items():
        cells = [_cell(name, row[name], method, plan) for name in names]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    for method, values in plan.published.items():
        cells = [f"{values[n]:.1f}" if n in values else "" for n in names]
        lines.append(f"| *published: {method}* | {' | '.join(cells)} |")
    lines += [
        "",
        "IoU in percent, and the share of group 4's pixels given any class of "
        "it; mean ± standard deviation over seeds; in brackets the difference "
        f"to {plan.reference} with its 95 % interval over images drawn anew "
        f"({REPLICATES} times, the same for both).",
    ]
    return "\n".join(lines) + "\n"


def _short(metric: str) -> str:
    kind, _, name = metric.partition("/")
    short = {
        "iou": name,
        "iou_group": f"group {name}",
        "merged_recall": f"found of group {name}",
    }
    return short.get(kind, metric.replace("_", " "))


def _cell(metric: str, figure: Figure, method: str, plan: Experiment) -> str:
    scale = 1.0 if kind_of(metric).lower_is_better else 100.0
    digits = 3 if scale == 1.0 else 1
    text = f"{scale * figure.mean:.{digits}f}"
    if len(figure.values) > 1:
        text += f" ± {scale * figure.spread:.{digits}f}"
    summarised = metric in SUMMARISED
    if summarised and method not in (plan.reference, START):
        text += (
            f" ({scale * figure.difference:+.{digits}f}: "
            f"{scale * figure.low:+.{digits}f} to "
            f"{scale * figure.high:+.{digits}f})"
        )
    return text


def as_json(
    plan: Experiment,
    outcomes: Sequence[Outcome],
    found: dict[str, dict[str, dict[str, Figure]]],
    hardware: str,
) -> dict[str, Any]:
    """Returns everything behind the tables as plain values.

    Args:
        plan: The experiment.
        outcomes: What `run` returned.
        found: What `figures` returned, by evaluation set.
        hardware: What it ran on.
    """
    return {
        "experiment": plan.name,
        "commit": commit(),
        "version": wseg_tf.__version__,
        "hardware": hardware,
        "reference": plan.reference,
        "runs": [
            {
                "method": outcome.method,
                "seed": outcome.seed,
                "seconds": round(outcome.seconds, 1),
                # Where the folder of all experiments lies is nobody's matter.
                "recipe": outcome.recipe.replace(plan.root + os.sep, ""),
                **({"rounds": outcome.rounds} if outcome.rounds else {}),
                "counts": {
                    name: counts.sum(axis=0).tolist()
                    for name, counts in outcome.counts.items()
                },
            }
            for outcome in outcomes
        ],
        "figures": {
            evaluation: {
                method: {
                    metric: {
                        "values": list(figure.values),
                        "mean": figure.mean,
                        "difference": figure.difference,
                        "interval": [figure.low, figure.high],
                        "not_better": figure.worse,
                    }
                    for metric, figure in row.items()
                }
                for method, row in methods.items()
            }
            for evaluation, methods in found.items()
        },
    }


def commit() -> str | None:
    """Returns the commit of the code, where it lies in a git repository."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def check_metrics(plan: Experiment, classes: ClassSet) -> None:
    """Refuses a metric that does not exist, before anything is trained.

    Args:
        plan: The experiment.
        classes: The class set.

    Raises:
        ValueError: If a metric is unknown.
    """
    for name in metric_names(plan):
        check_score(name, classes, "metrics")
