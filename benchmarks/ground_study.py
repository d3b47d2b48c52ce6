r"""What each loss asks of a trained start, before any of them is trained.

    python -m benchmarks.ground_study configs/tables/camvid_enet.yaml \
        --data PATH --fit val --on held-out\ drives

Two tables. *Decisions*: the start's own probabilities, decided by least
expected severity under each ground matrix, among them one whose misses cost
1 / IoU, as measured on the set `--fit`. *Pull*: how the gradient at the true
class' logit is shared out among the pixels that the start gets wrong, by loss.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.experiments.frames import Frames, find_frames, layout_of
from pipeline.experiments.plan import Experiment, load
from pipeline.experiments.run import alone, start
from wseg_tf.classes import ClassSet
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import decode, parse, serialise
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics import confusion_count, iou_per_class
from wseg_tf.metrics.table import scores
from wseg_tf.training.loop import build_model
from wseg_tf.training.objectives import build_ground, build_loss

Logits = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

# Below it a handful of pixels would decide 1 / IoU.
LEAST_IOU = 0.1
BLOCK = 1 << 20


def predict(
    plan: Experiment, sets: Sequence[str]
) -> list[tuple[Logits, Labels]]:
    """Returns the start's logits `[P, N]` and labels `[P]`, void left out.

    Args:
        plan: The experiment.
        sets: Evaluation sets.

    Returns:
        Both, of each set.
    """
    with alone(plan):
        frames = find_frames(plan)
        for name in sets:
            reported(frames, name)
        initial = start(plan, frames).weights
    recipe = dataclasses.replace(plan.start_of(plan.seeds[0]), initial=initial)
    model = build_model(recipe, plan.data.class_set)
    return [outputs(plan, frames, model, name) for name in sets]


def reported(frames: Frames, on: str) -> Sequence[Pair]:
    """Returns an evaluation set's pairs.

    Args:
        frames: Of the experiment.
        on: The set's name.

    Raises:
        ValueError: If there is no such set.
    """
    if on not in frames.reported:
        raise ValueError(
            "Invalid value for argument `on`. Expected one of "
            f"{sorted(frames.reported)}. Received: on={on!r}."
        )
    return frames.reported[on]


def outputs(
    plan: Experiment, frames: Frames, model: keras.Model, on: str
) -> tuple[Logits, Labels]:
    """Returns logits `[P, N]` and labels `[P]` at the size of training.

    Args:
        plan: The experiment.
        frames: Its frames.
        model: One of its networks.
        on: An evaluation set.
    """
    size = (plan.start.height, plan.start.width)
    logits, labels = [], []
    for pair in reported(frames, on):
        record = serialise(pair, read_checked(pair, layout_of(plan, on)))
        image, label = decode(parse(tf.constant(record)))
        seen = tf.image.resize(image[None], size, antialias=True)
        truth = tf.image.resize(label[..., None], size, "nearest").numpy()
        valid = truth[..., 0] < len(plan.data.class_set)
        logits.append(model(seen, training=False).numpy()[0][valid])
        labels.append(truth[..., 0][valid].astype(np.int64))
    return np.concatenate(logits), np.concatenate(labels)


def grounds(plan: Experiment, iou: Sequence[float]) -> dict[str, GroundMatrix]:
    """Returns the matrices of the plan, and those that the start's IoU gives.

    Args:
        plan: The experiment.
        iou: Of the start, by class.
    """
    classes = plan.data.class_set
    found = {"equal costs": build_ground(plan.severity, classes).step()}
    for method in plan.methods:
        recipe = plan.recipe(method, 0, "")
        ground = build_ground(recipe.ground, classes)
        if ground not in found.values():
            found[f"D of {method.name}"] = ground
    misses = 1 / np.maximum(np.nan_to_num(iou), LEAST_IOU)
    found["misses cost 1 / IoU"] = GroundMatrix.from_importance(
        dict(zip(classes.names, misses.tolist(), strict=True))
    )
    return found


def decisions(
    plan: Experiment, logits: Logits, labels: Labels, iou: Sequence[float]
) -> dict[str, dict[str, float]]:
    """Scores the start's probabilities, decided by each ground matrix.

    Args:
        plan: The experiment.
        logits: `[P, N]`.
        labels: `[P]`.
        iou: Of the start, by class.

    Returns:
        Scores by matrix.
    """
    classes = plan.data.class_set
    severity = build_ground(plan.severity, classes).values
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    found = {}
    for name, ground in grounds(plan, iou).items():
        decided = (p @ ground.values.astype(np.float32)).argmin(axis=1)
        counts = confusion_count(labels, decided, len(classes))
        found[name] = scores(counts, classes, severity)
    return found


def pulls(
    plan: Experiment, logits: Logits, labels: Labels
) -> dict[str, dict[str, float]]:
    """Shares the pull towards the truth out among missed pixels, by class.

    The pull of a pixel is minus the gradient at its true class' logit.

    Args:
        plan: The experiment.
        logits: `[P, N]`.
        labels: `[P]`.

    Returns:
        By method and critical class: the share of all pull that the pixels
        have which the start takes for another class.
    """
    classes = plan.data.class_set
    found = {}
    for method in plan.methods:
        if method.decides is not None or method.adaptation:
            continue
        recipe = plan.recipe(method, 0, "")
        ground = build_ground(recipe.ground, classes)
        loss = build_loss(recipe.stages[0], ground, classes)
        found[method.name] = pull_shares(loss, logits, labels, classes)
    return found


def pull_shares(
    loss: keras.losses.Loss, logits: Logits, labels: Labels, classes: ClassSet
) -> dict[str, float]:
    """Returns the share of all pull that missed pixels of each class have.

    Args:
        loss: Over logits.
        logits: `[P, N]`.
        labels: `[P]`.
        classes: The class set.

    Returns:
        By critical class.
    """
    missed = logits.argmax(axis=1) != labels
    pull = np.concatenate(
        [
            _pull(loss, logits[i : i + BLOCK], labels[i : i + BLOCK])
            for i in range(0, len(labels), BLOCK)
        ]
    )
    total = np.abs(pull).sum()
    return {
        name: float(
            pull[missed & (labels == classes.index(name))].sum() / total
        )
        for name in classes.critical
    }


def _pull(loss: Any, logits: Logits, labels: Labels) -> Any:
    with tf.GradientTape() as tape:
        variable = tf.constant(logits)
        tape.watch(variable)
        # A sum over blocks, whatever their sizes.
        value = loss(labels[None], variable[None]) * len(labels)
    gradient = tape.gradient(value, variable)
    return -tf.gather(gradient, labels, batch_dims=1).numpy()


def table(
    rows: dict[str, dict[str, float]],
    names: Sequence[str],
    percent: Sequence[str],
) -> str:
    """Returns a Markdown table.

    Args:
        rows: Figures by row and name.
        names: The columns.
        percent: Those of them that are shares.
    """
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for row, values in rows.items():
        cells = [
            f"{100 * values[name]:.1f}"
            if name in percent
            else f"{values[name]:.3f}"
            for name in names
        ]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--data", help="folder of the data set")
    parser.add_argument("--fit", default="val", help="set that has the IoU")
    parser.add_argument("--on", default="val", help="set reported")
    chosen = parser.parse_intermixed_args()
    plan = load(chosen.config, chosen.overrides, chosen.data)
    fit, (logits, labels) = predict(plan, [chosen.fit, chosen.on])
    classes = plan.data.class_set
    iou = iou_per_class(
        confusion_count(fit[1], fit[0].argmax(axis=1), len(classes))
    ).tolist()
    critical = classes.critical
    columns = [
        *(f"iou/{name}" for name in critical),
        f"iou_group/{classes.levels[-1]}",
        "mean_iou",
        "expected_severity",
    ]
    print("Decisions of the start, by least expected severity\n")
    print(table(decisions(plan, logits, labels, iou), columns, columns[:-1]))
    print("\nShare of the pull that missed pixels have\n")
    print(table(pulls(plan, logits, labels), critical, critical))


if __name__ == "__main__":
    main()
