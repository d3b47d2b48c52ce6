"""Fig. 4 of the paper from one's own results: equal mIoU, other severity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from matplotlib.figure import Figure

from pipeline.experiments.frames import TARGET, layout_of
from pipeline.experiments.plan import START, Experiment
from pipeline.experiments.run import Outcome, restore
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import decode, parse, serialise
from wseg_tf.metrics.confusion import Counts
from wseg_tf.metrics.misses import critical_regions
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
        gentle: The outcome that is better there: of the lower severity, or
            with fewer critical misses.
        severe: The reference's.
    """

    place: int
    gentle: Outcome
    severe: Outcome


def find_contrasts(
    plan: Experiment, outcomes: Sequence[Outcome], evaluation: str
) -> dict[str, Contrast]:
    """Finds the images that tell most of a method and the reference.

    Args:
        plan: The experiment.
        outcomes: What `run` returned, with what they missed, if counted;
            methods are compared to the reference of the same seed.
        evaluation: The set to look in.

    Returns:
        Under `"contrast"` the image whose severity differs most at equal mIoU,
        under `"found"` that on which most regions are found that the
        reference misses, the severest first; without what there is not.
    """
    best: dict[str, Contrast] = {}
    largest: dict[str, float] = {}
    for severe in outcomes:
        for gentle in outcomes:
            same = severe.seed == gentle.seed and START not in (
                severe.method,
                gentle.method,
            )
            if not same or severe.method != plan.reference:
                continue
            for kind, gain in _gains(plan, gentle, severe, evaluation).items():
                place = int(np.argmax(gain))
                if gain[place] > largest.get(kind, 0.0):
                    largest[kind] = float(gain[place])
                    best[kind] = Contrast(place, gentle, severe)
    return best


def _gains(
    plan: Experiment, gentle: Outcome, severe: Outcome, evaluation: str
) -> dict[str, npt.NDArray[np.float64]]:
    """Returns what each image gains, by the kind of contrast `[images]`."""
    iou, cost = np.subtract(
        *(_scores(plan, each.counts[evaluation]) for each in (severe, gentle))
    )
    gains = {"contrast": np.where(np.abs(iou) < EQUAL, cost, 0)}
    if evaluation in severe.missed and evaluation in gentle.missed:
        fewer = np.subtract(
            *(
                each.missed[evaluation].missed.sum(axis=(1, 2))
                for each in (severe, gentle)
            )
        )
        # A severity is at most D's largest: less than an object.
        largest = build_ground(plan.severity, plan.data.class_set).values.max()
        gains["found"] = np.where(fewer > 0, fewer + cost / (1 + largest), 0)
    return gains


def _scores(plan: Experiment, counts: Counts) -> npt.NDArray[np.float64]:
    """Returns mean IoU and severity of one image or many `[2, ...]`."""
    classes = plan.data.class_set
    ground = build_ground(plan.severity, classes).values
    return np.stack(
        [
            score(metric, counts, classes, ground)
            for metric in ("mean_iou", "expected_severity")
        ]
    )


def caption(
    plan: Experiment, outcome: Outcome, evaluation: str, place: int
) -> str:
    """Returns what is told of one output: its method, and how good it is.

    Args:
        plan: The experiment.
        outcome: Whose output.
        evaluation: The set.
        place: Of the image in it.
    """
    iou, cost = _scores(plan, outcome.counts[evaluation][place])
    text = f"{outcome.method}\nmIoU {iou:.2f}, severity {cost:.2f}"
    if evaluation in outcome.missed:
        regions, missed = (
            int(each[place].sum()) for each in outcome.missed[evaluation]
        )
        text += f"\nmisses {missed} of {regions} critical objects"
    return text


def plot_contrast(
    plan: Experiment, contrast: Contrast, evaluation: str, pair: Pair
) -> Figure:
    """Draws an image, its truth and both outputs, a box around what is missed.

    Args:
        plan: The experiment.
        contrast: One of what `find_contrasts` returned.
        evaluation: The set it was found in.
        pair: The frame at its place there.

    Returns:
        The figure.
    """
    described = layout_of(plan, evaluation)
    record = serialise(pair, read_checked(pair, described))
    image, label = decode(parse(tf.constant(record)))
    classes = plan.data.class_set
    maps, missed = {"truth": label.numpy()}, {}
    for outcome in (contrast.severe, contrast.gentle):
        told = caption(plan, outcome, evaluation, contrast.place)
        maps[told] = restore(plan, outcome).predict(image).numpy()
        missed[told] = [
            region.box
            for region in critical_regions(maps["truth"], maps[told], classes)
            if region.given is not None
        ]
    return plot_comparison(
        {pair.name: (image.numpy(), maps)}, classes, boxes={pair.name: missed}
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
