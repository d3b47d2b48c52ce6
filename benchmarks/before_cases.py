"""Losses and the confusion metric, of whichever tree is imported."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.losses import CLASSES, VOID, softened, steps
from benchmarks.metrics import updates
from wseg_tf import losses
from wseg_tf.classes import CITYSCAPES
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics import Confusion

if os.environ.get("CPU_TIME"):
    # For whichever stopwatch is imported.
    time.perf_counter = time.process_time


def cases(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the work by name, by arguments that earlier trees have too."""
    labels = tf.constant(arrays["labels"], tf.int32)
    predictions = tf.constant(arrays["predictions"], tf.int32)
    logits = tf.constant(arrays["logits"])
    soft = tf.constant(softened(arrays["labels"]))
    severity = GroundMatrix.severity_aware(CITYSCAPES)
    importance = GroundMatrix.importance_aware(CITYSCAPES)
    line = GroundMatrix.from_line(np.arange(float(CLASSES))).power(2)
    how: dict[str, Any] = {"from_logits": True, "ignore_class": VOID}
    wasserstein = losses.WassersteinLoss(severity, **how)
    ce = losses.CrossEntropyLoss(**how)
    made = {
        "cross-entropy": ce,
        "focal": losses.FocalLoss(**how),
        "IAL": losses.ImportanceAwareLoss(CITYSCAPES.groups, **how),
        "Wasserstein": wasserstein,
        "log link": losses.WassersteinLoss(severity, link="log", **how),
        "Wasserstein Dice": losses.WassersteinDiceLoss(severity, **how),
        "Lovasz": losses.LovaszSoftmaxLoss(**how),
        "CE + 0.2 W": losses.MixtureLoss([(1.0, ce), (0.2, wasserstein)]),
    }
    work = {
        f"{name}, ids": steps(x, labels, logits) for name, x in made.items()
    }
    work |= {
        f"{name}, soft": steps(x, soft, logits) for name, x in made.items()
    }
    for name, ground in (("star", importance), ("line", line)):
        loss = losses.WassersteinLoss(ground, **how)
        work[f"Wasserstein, {name}, soft"] = steps(loss, soft, logits)
    for name, given in (("ids", predictions), ("logits", logits)):
        metric = Confusion(CLASSES, VOID)
        work[f"Confusion, {name}"] = updates(metric, labels, given)
    return {"cases": work}
