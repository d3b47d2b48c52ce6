"""The loss that the documents recommend, in one line."""

from __future__ import annotations

from typing import Any

import numpy as np

from wseg_tf.class_values import ByClass, in_order
from wseg_tf.ground import ClassNames, GroundMatrix
from wseg_tf.losses.cross_entropy import CrossEntropyLoss
from wseg_tf.losses.mixture import MixtureLoss
from wseg_tf.losses.wasserstein import WassersteinLoss

LARGEST_COST = 4.0


def severity_loss(
    ground: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    weight: float = 0.2,
    exponent: float = 2.0,
    class_weights: ByClass | None = None,
    classes: ClassNames = None,
    reduction: str | None = "sum_over_batch_size",
    name: str | None = "severity",
) -> MixtureLoss:
    """Returns cross-entropy plus a share of the Wasserstein loss.

    Cross-entropy finds the classes, from any start; the Wasserstein loss then
    turns mistakes from grave to slight ones.

    Formula:

    ```
    loss = cross_entropy + weight * wasserstein((4 D / max D) ** exponent)
    ```

    So the unit of D does not matter; 4 is the largest cost of
    `GroundMatrix.severity_aware`.

    Args:
        ground: D `[N, N]`, rows truth: a `GroundMatrix`, or an array or nested
            list that makes one.
        from_logits: Whether `y_pred` holds logits. Defaults to False:
            probabilities.
        ignore_class: The label of void pixels. Defaults to None: no label is.
        weight: Of the Wasserstein loss, >= 0. Defaults to 0.2.
        exponent: >= 1. Defaults to 2: grave confusions count far more.
        class_weights: Of both: w >= 0, one a class, or a dictionary by class id
            or name. Defaults to None: all 1.
        classes: A `ClassSet` or the classes' names in order; D is reordered to
            them. Defaults to None: those of D.
        reduction: See `PixelLoss`. Defaults to the mean over valid pixels.
        name: Name of the loss.

    Returns:
        A `MixtureLoss`.

    Raises:
        ValueError: If D is no ground matrix, or a number is out of range.

    Example:

    >>> D = GroundMatrix([[0, 1], [4, 0]], ["sky", "car"])
    >>> loss = severity_loss(D)
    >>> round(float(loss([1], [[0.5, 0.5]])), 4)  # log 2 + 0.2 * 0.5 * 16
    2.2931
    """
    ground = GroundMatrix.of(ground, classes)
    names = ground.classes
    options: dict[str, Any] = {
        "from_logits": from_logits,
        "ignore_class": ignore_class,
        "reduction": reduction,
    }
    entropy = CrossEntropyLoss(class_weights, classes=names, **options)
    shares = ground.values / (float(ground.values.max()) or 1.0)
    costs = GroundMatrix(LARGEST_COST * shares, names).power(exponent)
    if entropy.class_weights is not None:
        rows = in_order("class_weights", entropy.class_weights, len(costs), 1.0)
        costs = GroundMatrix(costs.values * np.array(rows)[:, None], names)
    terms = [(1.0, entropy), (weight, WassersteinLoss(costs, **options))]
    return MixtureLoss(terms, name)
