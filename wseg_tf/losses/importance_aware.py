"""The importance-aware loss (IAL), the baseline of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.class_values import (
    ByClass,
    checked_groups,
    checked_number,
    checked_weights,
    in_order,
)
from wseg_tf.classes import ClassSet
from wseg_tf.ground import ClassNames, names_of
from wseg_tf.losses.cross_entropy import (
    by_truth,
    log_probabilities,
    negative_log_likelihood,
    weights_of,
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
    the target's mean of s. Groups count by their order: 1, 3, 7 are three
    levels.

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
    levels = sorted({*groups})
    belongs = [[float(own >= level) for level in levels[1:]] for own in groups]
    members = by_truth(pixels, belongs)
    members = tf.where(pixels.valid[:, None], members, 0.0)
    for member in tf.unstack(members, axis=1):
        errors = within * (member + margin) * tf.square(true - member)
        count = tf.maximum(tf.reduce_sum(within), 1e-6)
        product *= tf.reduce_sum(errors) / (2.0 * count) + offset
        total += product
        by_group.append(total)
        within = member
    return tf.stack([by_group[levels.index(own)] for own in groups])


def _exponential(values: tf.Tensor) -> tf.Tensor:
    """Returns e^x; no gradient leaves where none arrives, whatever x is."""

    def value_and_gradient(values: tf.Tensor) -> Any:
        found = tf.exp(values)
        return found, lambda upstream: tf.math.multiply_no_nan(found, upstream)

    return tf.custom_gradient(value_and_gradient)(values)


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
            dictionary of them by class id or name, or a `ClassSet`, which has
            them.
        class_weights: w >= 0, see `CrossEntropyLoss`. Defaults to `None`: all
            1.
        offset: a, what a level weighs at least, >= 0. Defaults to 2.
        margin: l, the weight in f_k of pixels below level k, >= 0. Defaults
            to 0.5.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        ignore_class: The label of void pixels. Defaults to `None`.
        reduction: See `PixelLoss`. Defaults to `"sum_over_batch_size"`.
        name: Name of the loss.
        classes: A `ClassSet` or the classes' names, see `CrossEntropyLoss`.
            Defaults to those of `groups`, if it is a `ClassSet`.

    Raises:
        ValueError: If a group is below 1, a number negative or not finite, or
            a group or weight of no class.

    Example:

    >>> loss = ImportanceAwareLoss(groups=[1, 2])
    >>> round(float(loss([0, 1], [[0.5, 0.5]] * 2)), 4)
    1.4296
    """

    def __init__(
        self,
        groups: Sequence[int] | Mapping[Any, int] | ClassSet,
        class_weights: ByClass | None = None,
        offset: float = 2.0,
        margin: float = 0.5,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "importance_aware",
        classes: ClassNames = None,
    ) -> None:
        if isinstance(groups, ClassSet):
            classes = groups if classes is None else classes
            groups = dict(zip(groups.names, groups.groups, strict=True))
        names = names_of(classes)
        super().__init__(from_logits, ignore_class, reduction, name, names)
        self.groups = checked_groups(groups, names)
        self.class_weights = checked_weights(class_weights, names)
        self.offset = checked_number("offset", offset)
        self.margin = checked_number("margin", margin)

    def pixel_losses(self, pixels: Pixels) -> tf.Tensor:
        """Returns the importance-aware loss of each pixel."""
        in_order("groups", self.groups, pixels.predictions.shape[-1])
        if pixels.labels is not None:
            surprise = negative_log_likelihood(pixels)
            weights = self._weights(pixels, tf.exp(-surprise))
            weights = by_truth(pixels, weights)
            return tf.math.multiply_no_nan(surprise, weights)
        logarithms = log_probabilities(pixels)
        # Void pixels may hold anything, and all pixels weigh each other.
        masses = pixels.distributions * tf.cast(
            pixels.valid[:, None], tf.float32
        )
        true = tf.math.multiply_no_nan(_exponential(logarithms), masses)
        weights = self._weights(pixels, tf.reduce_sum(true, axis=-1))
        surprise = tf.math.multiply_no_nan(-logarithms, masses)
        return tf.reduce_sum(surprise * weights, axis=-1)

    def _weights(self, pixels: Pixels, true: tf.Tensor) -> tf.Tensor:
        weights = importance_weights(
            pixels, true, self.groups, self.offset, self.margin
        )
        own = weights_of(self.class_weights, pixels)
        return weights if own is None else weights * tf.constant(own)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "groups": self.groups,
            "class_weights": self.class_weights,
            "classes": self.class_names,
            "offset": self.offset,
            "margin": self.margin,
        }
