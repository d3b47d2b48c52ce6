"""Fig. 4 of the paper from one's own results: equal mIoU, other severity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from pipeline.experiments.frames import TARGET, layout_of
from pipeline.experiments.plan import START, Experiment
from pipeline.experiments.run import Outcome, restore
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import decode, parse, serialise
from wseg_tf.metrics.table import score
from wseg_tf.plots import plot_comparison
from wseg_tf.training.objectives import build_ground

# Mean IoUs of an image that differ by less are called equal.
EQUAL = 0.005


@dataclass(frozen=True)
class Contrast:
    """Two outputs for one image.

    Args:
        place: Of the image in its evaluation set.
        gentle: The outcome with the lower severity.
        severe: The other.
        mean_iou: Of the image, of both, gentle first.
        severity: The same of the expected severity.
    """

    place: int
    gentle: Outcome
    severe: Outcome
    mean_iou: tuple[float, float]
    severity: tuple[float, float]


def find_contrast(
    plan: Experiment, outcomes: Sequence[Outcome], evaluation: str
) -> Contrast | None:
    """Finds the image whose severity differs most at equal mIoU.

    Args:
        plan: The experiment.
        outcomes: What `run` returned; methods are compared to the reference
            of the same seed.
        evaluation: The set to look in.

    Returns:
        The contrast; None if no image has the same mIoU in both.
    """
    classes = plan.data.class_set
    ground = build_ground(plan.severity, classes).values
    best, largest = None, 0.0
    for severe in outcomes:
        for gentle in outcomes:
            same = severe.seed == gentle.seed and START not in (
                severe.method,
                gentle.method,
            )
            if not same or severe.method != plan.reference:
                continue
            pair = (gentle.counts[evaluation], severe.counts[evaluation])
            iou = [score("mean_iou", c, classes, ground) for c in pair]
            cost = [
                score("expected_severity", c, classes, ground) for c in pair
            ]
            gain = np.where(
                np.abs(iou[0] - iou[1]) < EQUAL, cost[1] - cost[0], 0
            )
            place = int(np.argmax(gain))
            if gain[place] > largest:
                largest = float(gain[place])
                best = Contrast(
                    place,
                    gentle,
                    severe,
                    (float(iou[0][place]), float(iou[1][place])),
                    (float(cost[0][place]), float(cost[1][place])),
                )
    return best


def plot_contrast(
    plan: Experiment, contrast: Contrast, evaluation: str, pair: Pair
) -> Figure:
    """Draws an image, its truth and both outputs.

    Args:
        plan: The experiment.
        contrast: What `find_contrast` returned.
        evaluation: The set it was found in.
        pair: The frame at its place there.

    Returns:
        The figure.
    """
    described = layout_of(plan, evaluation)
    record = serialise(pair, read_checked(pair, described))
    image, label = decode(parse(tf.constant(record)))
    maps = {"truth": label.numpy()}
    for outcome, iou, cost in zip(
        (contrast.severe, contrast.gentle),
        contrast.mean_iou[::-1],
        contrast.severity[::-1],
        strict=True,
    ):
        caption = f"{outcome.method}\nmIoU {iou:.2f}, severity {cost:.2f}"
        maps[caption] = restore(plan, outcome).predict(image).numpy()
    return plot_comparison(
        {pair.name: (image.numpy(), maps)}, plan.data.class_set
    )


def rounds_of(
    plan: Experiment, outcomes: Sequence[Outcome]
) -> dict[str, list[dict[str, Any]]]:
    """Returns how adaptations fared, for `wseg_tf.plots.plot_rounds`.

    Args:
        plan: The experiment.
        outcomes: What `run` returned.

    Returns:
        By method, means over seeds of the labels kept and right in each
        round, and the target's IoU before the first and after the last.
    """
    classes = plan.data.class_set
    ground = build_ground(plan.severity, classes).values

    def scored(method: str) -> dict[str, float]:
        own = [o.counts[TARGET] for o in outcomes if o.method == method]
        counts = np.stack([each.sum(axis=0) for each in own])
        names = {"mean_iou": "mean_iou", "critical_iou": "critical_iou"}
        return {
            name: float(score(metric, counts, classes, ground).mean())
            for name, metric in names.items()
        }

    found: dict[str, list[dict[str, Any]]] = {}
    for method in plan.methods:
        seeds = [o.rounds for o in outcomes if o.method == method.name]
        if not method.adaptation:
            continue
        rows: list[dict[str, Any]] = [{"round": 0, **scored(START)}]
        for rounds in zip(*seeds, strict=True):
            names = ("round", "kept_share", "label_accuracy")
            rows.append(
                {
                    name: np.mean([r[name] or 0 for r in rounds])
                    for name in names
                }
            )
        rows[-1] |= scored(method.name)
        found[method.name] = rows
    return found
