"""Losses forward and backward: ours, Keras' and MONAI's, on one batch.

python -m benchmarks.losses [--json FILE] [--batch 32]

On a GPU, if TensorFlow finds one; it takes a larger batch to fill it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks import devices, harness, peers
from wseg_tf import losses
from wseg_tf.classes import CITYSCAPES
from wseg_tf.ground import GroundMatrix

CLASSES, VOID = len(CITYSCAPES), CITYSCAPES.void


def steps(
    loss: Any, y_true: Any, y_pred: Any, xla: bool = False
) -> Callable[[], Any]:
    """Returns the compiled value and gradient of a loss."""

    @tf.function(jit_compile=xla)
    def step(y_true: Any, y_pred: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = tf.reduce_mean(loss(y_true, y_pred))
        return value, tape.gradient(value, y_pred)

    def run() -> float:
        value, _ = step(y_true, y_pred)
        return float(value)

    return run


def softened(labels: np.ndarray) -> np.ndarray:
    """Makes soft targets: four fifths on the label, zeros among the rest."""
    random = np.random.default_rng(1)
    soft = np.zeros((*labels.shape, CLASSES), np.float32)
    shares = random.dirichlet(np.ones(4), labels.shape).astype(np.float32)
    for column in range(4):
        other = random.integers(0, CLASSES, labels.shape)
        place = np.where(labels < CLASSES, other, 0)[..., None]
        share = 0.2 * shares[..., column, None]
        held = np.take_along_axis(soft, place, -1) + share
        np.put_along_axis(soft, place, held, -1)
    place = np.where(labels < CLASSES, labels, 0)[..., None].astype(int)
    held = np.take_along_axis(soft, place, -1) + 0.8
    np.put_along_axis(soft, place, held, -1)
    soft[labels >= CLASSES] = 0.0
    return soft


def add_ours(report: harness.Report, batch: Any) -> None:
    """Adds the losses of this library."""
    severity = GroundMatrix.severity_aware(CITYSCAPES)
    importance = GroundMatrix.importance_aware(CITYSCAPES)
    line = GroundMatrix.from_line(np.arange(float(CLASSES))).power(2)
    arguments = {"from_logits": True, "ignore_class": VOID}
    labels = devices.labels(batch["labels"])
    logits = tf.constant(batch["logits"])
    soft = tf.constant(softened(batch["labels"]))
    wasserstein = losses.WassersteinLoss(severity, **arguments)
    ce = losses.CrossEntropyLoss(**arguments)
    one_hot: dict[str, Any] = {
        "Wasserstein, one-hot": wasserstein,
        "Wasserstein, one-hot, log link": lambda: losses.WassersteinLoss(
            severity, link="log", **arguments
        ),
        "CE + 0.2 Wasserstein, one-hot": losses.MixtureLoss(
            [(1.0, ce), (0.2, wasserstein)]
        ),
        "cross-entropy": ce,
        "focal": losses.FocalLoss(**arguments),
        "importance-aware (IAL)": losses.ImportanceAwareLoss(
            CITYSCAPES, **arguments
        ),
        "Wasserstein Dice": losses.WassersteinDiceLoss(severity, **arguments),
        "Lovasz": losses.LovaszSoftmaxLoss(**arguments),
    }
    for name, loss in one_hot.items():
        if not isinstance(loss, losses.PixelLoss):
            loss = loss()
        report.add(f"ours, {name}, graph", steps(loss, labels, logits))
    report.add(
        "ours, Wasserstein, one-hot, XLA",
        steps(wasserstein, labels, logits, xla=True),
    )
    for name, ground in (
        ("tree", severity),
        ("star", importance),
        ("line", line),
    ):
        loss = losses.WassersteinLoss(ground, **arguments)
        case = f"ours, Wasserstein, soft, {name}"
        report.add(f"{case}, graph", steps(loss, soft, logits))
        report.add(f"{case}, XLA", steps(loss, soft, logits, xla=True))


def add_keras(report: harness.Report, batch: Any) -> None:
    """Adds the losses of Keras."""
    labels = devices.labels(batch["labels"])
    logits = tf.constant(batch["logits"])
    one_hot = tf.one_hot(labels, CLASSES)
    ignoring = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=VOID
    )
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    focal = keras.losses.CategoricalFocalCrossentropy(from_logits=True)
    clean = tf.where(labels < CLASSES, labels, 0)
    report.add(
        "Keras, SCCE ignoring void, graph", steps(ignoring, labels, logits)
    )
    report.add(
        "Keras, SCCE ignoring void, XLA", steps(ignoring, labels, logits, True)
    )
    report.add("Keras, SCCE without void, graph", steps(plain, clean, logits))
    report.add(
        "Keras, SCCE without void, XLA", steps(plain, clean, logits, True)
    )
    report.add(
        "Keras, focal, one-hot given, graph", steps(focal, one_hot, logits)
    )


def add_floor(report: harness.Report, batch: Any) -> None:
    """Adds what no loss over a softmax can do without."""
    logits = tf.constant(batch["logits"])
    softmax = tf.function(tf.nn.softmax)
    double = tf.function(lambda z: z * 2.0)
    report.add(SOFTMAX, lambda: devices.settled(softmax(logits)))
    report.add(COPY, lambda: devices.settled(double(logits)))


OURS = "ours, Wasserstein, one-hot, graph"
XLA = "ours, Wasserstein, one-hot, XLA"
SOFTMAX = "floor: softmax alone, graph"
COPY = "floor: z * 2 (one read, one write), graph"


def goals() -> list[harness.Goal]:
    """What is asked, as ratios of times."""
    asked = [
        (
            "0.4x Keras' SCCE ignoring void, graph",
            OURS,
            "Keras, SCCE ignoring void, graph",
            0.4,
        ),
        (
            "1.0x Keras' SCCE ignoring void, XLA",
            XLA,
            "Keras, SCCE ignoring void, XLA",
            1.0,
        ),
        (
            "1.0x Keras' SCCE without void, XLA",
            XLA,
            "Keras, SCCE without void, XLA",
            1.0,
        ),
        (
            "0.25x Keras' focal loss",
            OURS,
            "Keras, focal, one-hot given, graph",
            0.25,
        ),
        (
            "0.25x MONAI's Wasserstein Dice",
            OURS,
            "MONAI, generalised Wasserstein Dice",
            0.25,
        ),
    ]
    for name in ("tree", "star", "line"):
        for mode, base in (("graph", OURS), ("XLA", XLA)):
            asked.append(
                (f"soft, {name}: 1.5x our one-hot, {mode}",
                 f"ours, Wasserstein, soft, {name}, {mode}", base, 1.5)
            )  # fmt: skip
    return [harness.Goal("at most " + text, *rest) for text, *rest in asked]


def main() -> None:
    """Measures, prints and writes."""
    parser = harness.parser(__doc__, rounds=15)
    parser.add_argument("--batch", type=int, default=2, help="images")
    options = parser.parse_args()
    gpu = devices.prepare()
    batch = harness.street_batch(CLASSES, VOID, batch=options.batch)
    shape = list(batch["logits"].shape)
    report = harness.Report(
        f"Losses, value and gradient, logits {shape}, 5 % void"
    )
    add_ours(report, batch)
    add_keras(report, batch)
    add_floor(report, batch)
    arrays = {
        **batch, "ground": GroundMatrix.severity_aware(CITYSCAPES).values
    }  # fmt: skip
    client = peers.add_peers(report, "benchmarks.peer_losses", arrays)
    report.goals += goals()
    report.run(options.rounds, warm=True)
    report.facts |= {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        **gpu,
        "one-hot, graph, over a softmax alone": report.ratio(OURS, SOFTMAX),
        "one-hot, graph, over z * 2": report.ratio(OURS, COPY),
        "one-hot, XLA, over z * 2": report.ratio(XLA, COPY),
    }
    if not gpu:
        bandwidth = harness.copy_bandwidth()
        least = 2 * batch["logits"].nbytes / bandwidth
        report.facts |= {
            "copy bandwidth, GB/s": bandwidth / 1e9,
            "bound by memory (logits read, gradient written), ms": 1e3 * least,
            "one-hot, graph, over that bound": report.median(OURS) / least,
            "one-hot, XLA, over that bound": report.median(XLA) / least,
        }
    harness.show(report)
    harness.write([report], options.json)
    if client:
        client.close()


if __name__ == "__main__":
    main()
