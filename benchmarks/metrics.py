"""Counting confusions: ours, Keras' MeanIoU, NumPy's bincount, torchmetrics.

python -m benchmarks.metrics [--json FILE]
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks import harness, peers
from wseg_tf.metrics import Confusion, confusion_count

CLASSES, VOID = 19, 255


def bincount(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """The count as it is commonly written in NumPy."""
    labels, predictions = labels.ravel(), predictions.ravel()
    counted = labels < CLASSES
    key = CLASSES * labels[counted].astype(int) + predictions[counted]
    return np.bincount(key, minlength=CLASSES**2).reshape(CLASSES, CLASSES)


def updates(metric: Any, y_true: Any, y_pred: Any, xla: bool = False) -> Any:
    """Returns a compiled update of a metric with one batch."""

    @tf.function(jit_compile=xla)
    def update(y_true: Any, y_pred: Any) -> Any:
        metric.update_state(y_true, y_pred)
        return tf.constant(0)

    return lambda: update(y_true, y_pred).numpy()


def main() -> None:
    """Measures, prints and writes."""
    options = harness.arguments(__doc__, rounds=31)
    batch = harness.street_batch(CLASSES, VOID)
    labels, predictions = batch["labels"], batch["predictions"]
    pixels = labels.size
    ids = predictions.astype(np.int64)
    key = np.where(labels < CLASSES, CLASSES * ids + labels, CLASSES**2)
    report = harness.Report(
        f"Confusion counts of {pixels} pixels, {CLASSES} classes, 5 % void"
    )
    y_true = tf.constant(labels.astype(np.int32))
    y_pred = tf.constant(predictions.astype(np.int32))
    logits = tf.constant(batch["logits"])
    ours = Confusion(CLASSES, VOID)
    theirs = keras.metrics.MeanIoU(CLASSES, ignore_class=VOID)
    theirs_logits = keras.metrics.MeanIoU(
        CLASSES, ignore_class=VOID, sparse_y_pred=False
    )
    report.add("ours, Keras metric, ids, graph", updates(ours, y_true, y_pred))
    report.add(
        "ours, Keras metric, ids, XLA", updates(ours, y_true, y_pred, True)
    )
    report.add("Keras MeanIoU, ids, graph", updates(theirs, y_true, y_pred))
    report.add("Keras MeanIoU, ids, XLA", updates(theirs, y_true, y_pred, True))
    report.add(
        "ours, Keras metric, logits, graph", updates(ours, y_true, logits)
    )
    report.add(
        "Keras MeanIoU, logits, graph", updates(theirs_logits, y_true, logits)
    )
    for dtype in ("uint8", "int64"):
        t, p = labels.astype(dtype), predictions.astype(dtype)
        report.add(
            f"ours, NumPy, {dtype}",
            lambda t=t, p=p: confusion_count(t, p, CLASSES, VOID),
        )
        report.add(f"np.bincount, {dtype}", lambda t=t, p=p: bincount(t, p))
    report.add("np.bincount alone, key ready", lambda: np.bincount(key.ravel()))
    client = peers.add_peers(report, "benchmarks.peer_metrics", dict(batch))
    report.goals += [
        harness.Goal(
            "at least 3x as fast as Keras' MeanIoU, ids, graph",
            "Keras MeanIoU, ids, graph",
            "ours, Keras metric, ids, graph",
            3.0,
            at_least=True,
        ),
        harness.Goal(
            "Keras metric not slower than NumPy's bincount",
            "ours, Keras metric, ids, graph",
            "np.bincount, uint8",
            1.0,
        ),
        harness.Goal(
            "NumPy count not slower than NumPy's bincount, uint8",
            "ours, NumPy, uint8",
            "np.bincount, uint8",
            1.0,
        ),
        harness.Goal(
            "NumPy count not slower than NumPy's bincount, int64",
            "ours, NumPy, int64",
            "np.bincount, int64",
            1.0,
        ),
    ]
    np.testing.assert_array_equal(
        confusion_count(labels, predictions, CLASSES, VOID),
        bincount(labels, predictions),
    )
    report.run(options.rounds, warm=True)
    bandwidth = harness.copy_bandwidth()
    report.facts |= {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "copy bandwidth, GB/s": bandwidth / 1e9,
        "bound by memory (two int32 maps read), ms": 8e3 * pixels / bandwidth,
        "ours, Keras metric, ids, ns a pixel": 1e9
        * report.median("ours, Keras metric, ids, graph")
        / pixels,
        "bound by": "the increments of the bins: a pixel's bin is most often "
        "that of the pixel before, so each waits for the last to be stored",
    }
    harness.show(report)
    harness.write([report], options.json)
    if client:
        client.close()


if __name__ == "__main__":
    main()
