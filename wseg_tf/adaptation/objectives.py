"""The losses of self-training, beside those of `wseg_tf.losses`."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.losses.cross_entropy import log_probabilities
from wseg_tf.losses.targets import PixelLoss, Pixels


@keras.saving.register_keras_serializable(package="wseg_tf")
class UniformityLoss(PixelLoss):
    """How far predictions are from saying nothing.

    Formula:

    ```
    loss = KL(uniform || s) = -log N - sum_k log(s_k) / N
    ```

    Args:
        from_logits: Whether `y_pred` holds logits. Defaults to False.
        ignore_class: The label of void pixels. Defaults to None.
        reduction: See `PixelLoss`. Defaults to `"sum_over_batch_size"`.
        name: Name of the loss.

    Source: Zou et al. (ICCV 2019), MRKLD.

    Example:

    >>> loss = UniformityLoss()
    >>> round(float(loss([0, 0], [[0.5, 0.5], [0.75, 0.25]])), 4)
    0.0719
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "uniformity",
    ) -> None:
        super().__init__(from_logits, ignore_class, reduction, name)

    def pixel_losses(self, pixels: Pixels) -> tf.Tensor:
        """Returns the divergence of each pixel."""
        logarithms = log_probabilities(pixels)
        return -tf.reduce_mean(logarithms, axis=-1) - math.log(
            logarithms.shape[-1]
        )


class RegularisedLoss(keras.losses.Loss):
    """A loss, and on the target's images a penalty on certainty (MRKLD).

    Formula:

    ```
    loss = base + weight * sum_target KL(uniform || s) / number of valid pixels
    ```

    Args:
        base: A loss of this package.
        weight: Weight of the penalty.
    """

    def __init__(self, base: PixelLoss, weight: float) -> None:
        super().__init__(name=f"{base.name}_and_uniformity")
        self.base = base
        self.weight = weight
        self.penalty = UniformityLoss(base.from_logits, base.ignore_class)

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> tf.Tensor:
        """Returns the loss of a mixed batch.

        Args:
            y_true: Class ids `[B, H, W]`, and 1 for each image of the target,
                0 for each of the source, `[B]`.
            y_pred: Logits or probabilities `[B, H, W, N]`.
            sample_weight: Not used.

        Returns:
            A float32 scalar.
        """
        labels, is_target = y_true
        penalty = self.penalty(labels, y_pred, is_target)
        return self.base(labels, y_pred) + self.weight * penalty
