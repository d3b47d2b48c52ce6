"""Every loss of the package, for laws that all of them keep."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from wseg_tf.adaptation.objectives import UniformityLoss
from wseg_tf.losses import (
    CrossEntropyLoss,
    FocalLoss,
    ImportanceAwareLoss,
    LovaszSoftmaxLoss,
    MixtureLoss,
    PixelLoss,
    WassersteinDiceLoss,
    WassersteinLoss,
)

N, VOID = 4, 255
# Asymmetric, by structure.
TREE = np.array([[0, 1, 3, 3], [2, 0, 4, 4], [5, 5, 0, 2], [6, 6, 3, 0.0]])
STAR = np.array([[0, 1, 1, 1], [2, 0, 2, 2], [5, 5, 0, 5], [3, 3, 3, 0.0]])
LINE = (np.arange(N)[:, None] - np.arange(N)) ** 2.0
NONE = np.array([[0, 1, 2, 3], [4, 0, 1, 2], [1, 5, 0, 1], [2, 2, 6, 0.0]])

Make = Callable[..., PixelLoss]
LOSSES: dict[str, Make] = {
    "cross_entropy": lambda **k: CrossEntropyLoss([1, 0.5, 3, 2], **k),
    "focal": lambda **k: FocalLoss(**k),
    "focal_half": lambda **k: FocalLoss(0.5, [1, 0.5, 3, 2], **k),
    "importance_aware": lambda **k: ImportanceAwareLoss([1, 3, 2, 3], **k),
    "wasserstein_tree": lambda **k: WassersteinLoss(TREE, **k),
    "wasserstein_star": lambda **k: WassersteinLoss(STAR, **k),
    "wasserstein_line": lambda **k: WassersteinLoss(LINE, **k),
    "wasserstein_none": lambda **k: WassersteinLoss(NONE, **k),
    "wasserstein_log": lambda **k: WassersteinLoss(NONE, link="log", **k),
    "dice": lambda **k: WassersteinDiceLoss(NONE, **k),
    "dice_background": lambda **k: WassersteinDiceLoss(NONE, 0, **k),
    "lovasz": lambda **k: LovaszSoftmaxLoss([1, 0.5, 3, 2], **k),
    "lovasz_by_image": lambda **k: LovaszSoftmaxLoss(by_image=True, **k),
    "mixture": lambda **k: MixtureLoss(
        [
            (1.0, CrossEntropyLoss(**k)),
            (0.2, WassersteinLoss(TREE, **k)),
            (0.1, WassersteinDiceLoss(TREE, **k)),
        ]
    ),
    "uniformity": lambda **k: UniformityLoss(**k),
}


def batch(seed: int = 0) -> tuple[Any, Any, Any]:
    """Logits, class ids with void, and soft targets void where they are."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(2, 3, 4, N)).astype(np.float32)
    labels = random.integers(0, N, (2, 3, 4))
    labels[0, 0, 0] = labels[1, :, 1] = VOID
    soft = random.dirichlet(np.ones(N), labels.shape).astype(np.float32)
    soft[labels == VOID] = 0.0
    return logits, labels, soft


def softmax(logits: Any) -> Any:
    return tf.nn.softmax(logits).numpy()


def step_of(loss: Any, mode: str = "eager") -> Callable[..., Any]:
    """Returns value and gradient, in eager mode, as a graph, or by XLA."""

    def step(y_true: Any, y_pred: Any, weight: Any = None) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss(y_true, y_pred, weight)
        return value, tape.gradient(value, y_pred)

    if mode != "eager":
        step = tf.function(step, jit_compile=mode == "xla")

    def run(y_true: Any, y_pred: Any, weight: Any = None) -> Any:
        found = step(tf.constant(y_true), tf.constant(y_pred), weight)
        return found[0].numpy(), found[1].numpy()

    return run
