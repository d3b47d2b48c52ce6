"""Focal cross-entropy: the loss looks away from what is already right."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from wseg_tf.class_values import (
    ByClass,
    checked_number,
    checked_weights,
)
from wseg_tf.ground import ClassNames, names_of
from wseg_tf.losses.cross_entropy import (
    by_truth,
    log_probabilities,
    negative_log_likelihood,
    weights_of,
)
from wseg_tf.losses.targets import PixelLoss, Pixels


def focal(
    pixels: Pixels,
    gamma: float = 2.0,
    class_weights: Any = None,
) -> tf.Tensor:
    """Computes the focal cross-entropy of each pixel.

    Formula:

    ```
    loss = sum_j t_j w_j (1 - s_j)^gamma (-log s_j)
    ```

    Args:
        pixels: What `flatten` returned.
        gamma: The focusing exponent, >= 0; 0 is cross-entropy.
        class_weights: w, one weight a class `[N]`. Defaults to `None`: all 1.

    Returns:
        float32 `[P]`.

    Example:

    >>> from wseg_tf.losses.targets import flatten
    >>> [round(float(x), 4) for x in focal(flatten([0], [[0.5, 0.5]]))]
    [0.1733]
    """
    if class_weights is None:
        class_weights = tf.ones([pixels.predictions.shape[-1]])
    if pixels.labels is not None:
        surprise = negative_log_likelihood(pixels)
        weights = by_truth(pixels, class_weights)
        losses = _focused(surprise, gamma)
        return tf.math.multiply_no_nan(losses, weights)
    losses = _focused(-log_probabilities(pixels), gamma)
    weights = pixels.distributions * tf.cast(class_weights, tf.float32)
    return tf.reduce_sum(tf.math.multiply_no_nan(losses, weights), axis=-1)


def _focused(surprise: tf.Tensor, gamma: float) -> tf.Tensor:
    """Returns (1 - s)^gamma * surprise for s = exp(-surprise).

    The derivative, (1 - s)^gamma + gamma (1 - s)^(gamma - 1) s * surprise, is
    written out: TensorFlow's own passes over the pixels twice as often.
    """
    if gamma == 0:
        return surprise

    def value_and_gradient(surprise: tf.Tensor) -> Any:
        # Away from 0, where the power's derivative is infinite if gamma < 1.
        miss = tf.maximum(-tf.math.expm1(-surprise), 1e-12)
        # The usual exponent: a product is faster than a power.
        power = miss * miss if gamma == 2 else miss**gamma

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            # Nothing is left of it where the surprise has no bound.
            rest = tf.math.multiply_no_nan(surprise, 1.0 - miss)
            slower = miss if gamma == 2 else miss ** (gamma - 1.0)
            slope = power + gamma * slower * rest
            return tf.math.multiply_no_nan(slope, upstream)

        return power * surprise, gradient

    return tf.custom_gradient(value_and_gradient)(surprise)


@keras.saving.register_keras_serializable(package="wseg_tf")
class FocalLoss(PixelLoss):
    """Focal cross-entropy with class weights and void pixels.

    Formula:

    ```
    loss = sum_pixels sum_j t_j w_j (1 - s_j)^gamma (-log s_j) / valid pixels
    ```

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017,
    Eq. 5, over a softmax.

    Args:
        gamma: The focusing exponent, >= 0; 0 is cross-entropy. Defaults to 2.
        class_weights: w >= 0, see `CrossEntropyLoss`. Defaults to `None`: all
            1.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        ignore_class: The label of void pixels. Defaults to `None`.
        reduction: See `PixelLoss`. Defaults to `"sum_over_batch_size"`.
        name: Name of the loss.
        classes: A `ClassSet` or the classes' names, see `CrossEntropyLoss`.

    Raises:
        ValueError: If `gamma` or a weight is negative or not finite, or a
            weight is of no class.

    Example:

    >>> loss = FocalLoss(gamma=2.0, ignore_class=255)
    >>> round(float(loss([0, 255], [[0.5, 0.5]] * 2)), 4)
    0.1733
    """

    def __init__(
        self,
        gamma: float = 2.0,
        class_weights: ByClass | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "focal",
        classes: ClassNames = None,
    ) -> None:
        names = names_of(classes)
        super().__init__(from_logits, ignore_class, reduction, name, names)
        self.gamma = checked_number("gamma", gamma)
        self.class_weights = checked_weights(class_weights, names)

    def pixel_losses(self, pixels: Pixels) -> tf.Tensor:
        """Returns the focal cross-entropy of each pixel."""
        weights = weights_of(self.class_weights, pixels)
        return focal(pixels, self.gamma, weights)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "gamma": self.gamma,
            "class_weights": self.class_weights,
            "classes": self.class_names,
        }
