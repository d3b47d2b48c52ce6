r"""How sure each network is, and what a temperature does to deciding by D.

    python -m benchmarks.calibration \
        configs/tables/camvid_strong_start_dusk.yaml --data PATH \
        --fit val --on held-out\ drives

Decisions by D trust the probabilities. *Calibration* (Guo et al. 2017) says
how far they can be: the mean negative log-likelihood, the expected calibration
error, and the temperature T of least log-likelihood on the set `--fit`, by
which logits are divided. *Decisions* scores the likeliest class, and the
least expected severity with T = 1 and with that T. Means over the seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from benchmarks.ground_study import Labels, Logits, outputs, reported, table
from pipeline.experiments.frames import find_frames
from pipeline.experiments.plan import Experiment, load
from pipeline.experiments.run import Outcome, alone, recipe_of, run
from wseg_tf.metrics import confusion_count
from wseg_tf.metrics.table import scores
from wseg_tf.training.loop import build_model
from wseg_tf.training.objectives import build_ground

Figures = dict[str, float]

# Temperatures that are looked for lie between; every STEP-th pixel is asked.
BOUNDS = (0.05, 20.0)
STEP = 7
BINS = 15


def log_likelihood(
    logits: Logits, labels: Labels, temperature: float = 1.0
) -> float:
    """Returns the mean negative log-likelihood of the truth, in nats.

    Args:
        logits: `[P, N]`.
        labels: `[P]`.
        temperature: T, by which logits are divided.

    Example:

    >>> logits, labels = np.zeros([3, 2], np.float32), np.zeros([3], int)
    >>> bool(np.isclose(log_likelihood(logits, labels), np.log(2)))
    True
    """
    log_p = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-log_p[np.arange(len(labels)), labels].mean())


def calibration_error(
    logits: Logits, labels: Labels, temperature: float = 1.0
) -> float:
    """Returns the expected calibration error over `BINS` of confidence.

    Args:
        logits: `[P, N]`.
        labels: `[P]`.
        temperature: T, by which logits are divided.

    Example: Sure to a half, and right each time.

    >>> calibration_error(np.zeros([3, 2], np.float32), np.zeros([3], np.int64))
    0.5
    """
    p = np.exp(log_softmax(logits.astype(np.float64) / temperature, axis=1))
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def temperature(logits: Logits, labels: Labels) -> float:
    """Returns the temperature of least negative log-likelihood.

    Args:
        logits: `[P, N]`.
        labels: `[P]`.

    Example: Right three times of four, with logits that say .95: ln 3 is due.

    >>> logits = np.array([[3.0, 0.0]] * 4, np.float32)
    >>> labels = np.array([0, 0, 0, 1])
    >>> round(temperature(logits, labels), 3) == round(3 / np.log(3), 3)
    True
    """
    found = minimize_scalar(
        lambda log_t: log_likelihood(logits, labels, np.exp(log_t)),
        bounds=np.log(BOUNDS),
        method="bounded",
    )
    return float(np.exp(found.x))


def decided(
    logits: Logits, ground: npt.NDArray[np.float64] | None
) -> npt.NDArray[np.int64]:
    """Returns the likeliest class, or that of the least expected severity.

    Args:
        logits: `[P, N]`.
        ground: D, rows truth, columns decision; None for the likeliest.
    """
    if ground is None:
        return np.argmax(logits, axis=1)
    p = np.exp(log_softmax(logits, axis=1))
    return np.argmin(p @ ground.astype(p.dtype), axis=1)


def study(
    plan: Experiment, fit: str, on: str
) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """Returns calibration and decisions, by method, in the mean over seeds.

    Args:
        plan: The experiment; what is not trained yet is trained.
        fit: The evaluation set that temperatures are fitted on.
        on: The one that is reported.

    Raises:
        ValueError: If a set is unknown.
    """
    with alone(plan):
        frames = find_frames(plan)
        for name in (fit, on):
            reported(frames, name)
        calibrations: dict[str, list[Figures]] = defaultdict(list)
        decisions: dict[str, list[Figures]] = defaultdict(list)
        for outcome in run(plan, frames):
            if recipe_of(plan, outcome).decision != "likeliest":
                continue
            model = _network(plan, outcome)
            logits, labels = outputs(plan, frames, model, fit)
            t = temperature(logits[::STEP], labels[::STEP])
            logits, labels = outputs(plan, frames, model, on)
            calibrations[outcome.method].append(_calibration(logits, labels, t))
            for how, values in _decisions(plan, logits, labels, t).items():
                decisions[f"{outcome.method}, {how}"].append(values)
            print(f"{outcome.method}, seed {outcome.seed}: T {t:.2f}")
    return _means(calibrations), _means(decisions)


def _network(plan: Experiment, outcome: Outcome) -> keras.Model:
    keras.backend.clear_session()
    recipe = recipe_of(plan, outcome)
    recipe = dataclasses.replace(recipe, initial=outcome.weights)
    return build_model(recipe, plan.data.class_set)


def _calibration(logits: Logits, labels: Labels, t: float) -> Figures:
    return {
        "NLL": log_likelihood(logits, labels),
        "ECE": calibration_error(logits, labels),
        "T": t,
        "NLL at T": log_likelihood(logits, labels, t),
        "ECE at T": calibration_error(logits, labels, t),
    }


def _decisions(
    plan: Experiment, logits: Logits, labels: Labels, t: float
) -> dict[str, Figures]:
    classes = plan.data.class_set
    severity = build_ground(plan.severity, classes).values
    found = {
        "likeliest": decided(logits, None),
        "by D": decided(logits, severity),
        "by D at T": decided(logits / t, severity),
    }
    return {
        how: scores(
            confusion_count(labels, ids, len(classes)), classes, severity
        )
        for how, ids in found.items()
    }


def _means(found: Mapping[str, Sequence[Figures]]) -> dict[str, Figures]:
    return {
        name: {key: float(np.mean([f[key] for f in each])) for key in each[0]}
        for name, each in found.items()
    }


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--data", help="folder of the data set")
    parser.add_argument("--fit", default="val", help="set that T is fitted on")
    parser.add_argument("--on", default="held-out drives", help="set reported")
    chosen = parser.parse_intermixed_args()
    plan = load(chosen.config, chosen.overrides, chosen.data)
    calibrations, decisions = study(plan, chosen.fit, chosen.on)
    group = plan.data.class_set.levels[-1]
    print("\nCalibration\n")
    names = ["NLL", "ECE", "T", "NLL at T", "ECE at T"]
    print(table(calibrations, names, percent=()))
    print("\nDecisions\n")
    names = [
        f"iou_group/{group}",
        f"merged_recall/{group}",
        "mean_iou",
        "expected_severity",
    ]
    print(table(decisions, names, percent=names[:-1]))


if __name__ == "__main__":
    main()
