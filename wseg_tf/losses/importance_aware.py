"""The importance-aware loss (IAL), the baseline of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.classes import ClassSet
from wseg_tf.losses.cross_entropy import (
    by_truth,
    check_length,
    checked_weights,
    log_probabilities,
    negative_log_likelihood,
)
from wseg_tf.losses.targets import PixelLoss, Pixels


def importance_weights(
    pixels: Pixels,
    true: tf.Tensor,
    groups: Sequence[int],
    offset: float = 2.0,
    margin: float = 0.5,
) -> tf.Tensor:
    """Computes the weight IAL gives each class in this batch.

    Formula, with M_k = 1 where the truth is in a group >= k, else 0:

    ```
    f_k = sum over pixels in a group >= k - 1 of
          (M_k + margin) (s_true - M_k)^2 / (2 * number of those pixels)
    weight of group g = 1 + sum_{k=2..g} prod_{m=2..k} (f_m + offset)
    ```

    For soft targets M_k is the target's mass in the groups >= k and s_true
    the target's mean of s.

    Args:
        pixels: What `flatten` returned.
        true: s_true, the probability of each pixel's truth, float32 `[P]`.
        groups: Importance group of each class, 1 (least) upwards.
        offset: a, added to each f_k.
        margin: l, the weight of the pixels that are not in the level.

    Returns:
        float32 `[N]`; gradients flow through it, as the formula says.
    """
    valid = tf.cast(pixels.valid, tf.float32)
    within = valid
    product, total = tf.constant(1.0), tf.constant(1.0)
    by_group = [total]
    for level in range(2, max(groups) + 1):
        member = by_truth(pixels, [float(own >= level) for own in groups])
        member = tf.where(pixels.valid, member, 0.0)
        errors = within * (member + margin) * tf.square(true - member)
        count = tf.maximum(tf.reduce_sum(within), 1e-6)
        product *= tf.reduce_sum(errors) / (2.0 * count) + offset
        total += product
        by_group.append(total)
        within = member
    return tf.stack([by_group[own - 1] for own in groups])


@keras.saving.register_keras_serializable(package="wseg_tf")
class ImportanceAwareLoss(PixelLoss):
    """Importance-aware loss (IAL): cross-entropy with nested group levels.

    Formula, with CE_k the cross-entropy of the pixels in a group >= k:

    ```
    loss = [CE_1 + (f_2 + a) CE_2 + (f_2 + a)(f_3 + a) CE_3 + ...] / valid
    ```

    f_k measures how badly the level's pixels are predicted in the batch; see
    `importance_weights`. It is a batch's figure, so the loss of a batch is
    not the mean of its images' losses.

    Source: Chen, Gong and Yang, Importance-Aware Semantic Segmentation for
    Autonomous Vehicles, IEEE T-ITS 2019, which comes without code; this is
    its nested levels, for any number of groups. (A published
    re-implementation keeps each term to its own group instead.)

    Args:
        groups: Importance group of each class, 1 (least) upwards, or a
            `ClassSet`, which has them.
        class_weights: One weight a class, >= 0. Defaults to `None`: all 1.
        offset: a, what a level weighs at least, >= 0. Defaults to 2.
        margin: l, the weight in f_k of pixels below level k, >= 0. Defaults
            to 0.5.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        ignore_class: The label of void pixels. Defaults to `None`.
        reduction: See `PixelLoss`. Defaults to `"sum_over_batch_size"`.
        name: Name of the loss.

    Raises:
        ValueError: If a group is below 1, or a number negative or not finite.

    Example:

    >>> loss = ImportanceAwareLoss(groups=[1, 2])
    >>> round(float(loss([0, 1], [[0.5, 0.5]] * 2)), 4)
    1.4296
    """

    def __init__(
        self,
        groups: Sequence[int] | ClassSet,
        class_weights: Sequence[float] | None = None,
        offset: float = 2.0,
        margin: float = 0.5,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "importance_aware",
    ) -> None:
        super().__init__(from_logits, ignore_class, reduction, name)
        own = groups.groups if isinstance(groups, ClassSet) else groups
        self.groups = tuple(int(group) for group in own)
        if min(self.groups) < 1:
            raise ValueError(
                "Invalid value for argument `groups`. Expected importance "
                f"groups from 1 upwards. Received: groups={self.groups}."
            )
        for argument, value in (("offset", offset), ("margin", margin)):
            if not 0 <= value < float("inf"):
                raise ValueError(
                    f"Invalid value for argument `{argument}`. Expected a "
                    f"finite number >= 0. Received: {argument}={value}."
                )
        self.class_weights = checked_weights(class_weights)
        self.offset, self.margin = float(offset), float(margin)

    def pixel_losses(self, pixels: Pixels) -> tf.Tensor:
        """Returns the importance-aware loss of each pixel."""
        classes = pixels.predictions.shape[-1]
        check_length(self.groups, classes, "groups")
        if pixels.labels is not None:
            surprise = negative_log_likelihood(pixels, self.from_logits)
            weights = self._weights(pixels, tf.exp(-surprise))
            return by_truth(pixels, weights) * surprise
        logarithms = log_probabilities(pixels, self.from_logits)
        true = pixels.distributions * tf.exp(logarithms)
        weights = self._weights(pixels, tf.reduce_sum(true, axis=-1))
        weighted = pixels.distributions * weights
        return -tf.reduce_sum(weighted * logarithms, axis=-1)

    def _weights(self, pixels: Pixels, true: tf.Tensor) -> tf.Tensor:
        weights = importance_weights(
            pixels, true, self.groups, self.offset, self.margin
        )
        if self.class_weights is not None:
            classes = pixels.predictions.shape[-1]
            check_length(self.class_weights, classes, "class_weights")
            weights *= tf.constant(self.class_weights)
        return weights

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "groups": self.groups,
            "class_weights": self.class_weights,
            "offset": self.offset,
            "margin": self.margin,
        }
