"""Class-weighted cross-entropy, the loss every other one is held against."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wseg_tf.class_ids import signed
from wseg_tf.class_values import (
    ByClass,
    Values,
    checked_weights,
    in_order,
)
from wseg_tf.ground import ClassNames, names_of
from wseg_tf.losses.targets import PixelLoss, Pixels
from wseg_tf.transport.products import multiply, row_sum
from wseg_tf.transport.softmax import log_softmax, surprise

SMALLEST_PROBABILITY = 1e-7


def log_probabilities(pixels: Pixels) -> tf.Tensor:
    """Returns the logarithms of the predicted probabilities.

    Args:
        pixels: What `flatten` returned. Probabilities are taken as at least
            1e-7, as Keras does.

    Returns:
        float32 `[P, N]`. Where no gradient arrives, none leaves.
    """
    if not pixels.from_logits:
        predictions = tf.maximum(pixels.predictions, SMALLEST_PROBABILITY)
        return tf.math.log(predictions)

    def value_and_gradient(logits: tf.Tensor) -> Any:
        logarithms = log_softmax(logits, pixels.valid)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return upstream - tf.exp(logarithms) * row_sum(upstream)

        return logarithms, gradient

    return tf.custom_gradient(value_and_gradient)(pixels.predictions)


def by_truth(pixels: Pixels, values: Any) -> tf.Tensor:
    """Returns each pixel's value of its true class, the mean if it is soft.

    Args:
        pixels: What `flatten` returned.
        values: One value a class, `[N]`, or numbers of several, `[N, K]`.

    Returns:
        float32 `[P]` or `[P, K]`; 0 at void pixels, NaN where the label is
        unknown.
    """
    several = not tf.is_tensor(values) and np.ndim(values) == 2
    if several and pixels.distributions is not None:
        return multiply(pixels.distributions, np.asarray(values))
    values = tf.cast(values, tf.float32)
    if pixels.distributions is not None:
        return row_sum(pixels.distributions * values)[:, 0]
    # The rows after the classes': labels that nobody knows, and void.
    unknown = tf.fill([1, *values.shape[1:]], float("nan"))
    table = tf.concat([values, unknown, tf.zeros_like(unknown)], axis=0)
    return pixels.look_up(table)


def negative_log_likelihood(pixels: Pixels) -> tf.Tensor:
    """Returns -log of the probability of each pixel's label.

    Args:
        pixels: What `flatten` returned, with labels.

    Returns:
        float32 `[P]`; finite where void if `pixels` has logits, else 0; of no
        meaning where the label is unknown.
    """
    if pixels.from_logits:
        return _from_logits(pixels)
    chosen = _chosen(pixels.predictions, pixels.labels)
    chosen = tf.where(pixels.valid, chosen, 1.0)
    return -tf.math.log(tf.maximum(chosen, SMALLEST_PROBABILITY))


def _chosen(values: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns each row's entry at its label, at the last if it is no class.

    The gradient is written out: TensorFlow's adds up pixel by pixel.
    """
    classes = values.shape[-1]

    def value_and_gradient(values: tf.Tensor) -> Any:
        known = signed(tf.minimum(labels, classes - 1))

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return tf.one_hot(signed(labels), classes) * upstream[:, None]

        return tf.gather(values, known, batch_dims=1), gradient

    return tf.custom_gradient(value_and_gradient)(values)


def _from_logits(pixels: Pixels) -> tf.Tensor:
    """The gradient is `softmax - one_hot`.

    TensorFlow's own fused operation gives the same and takes more than twice
    as long on a CPU.
    """
    classes = pixels.predictions.shape[-1]

    def value_and_gradient(logits: tf.Tensor) -> Any:
        known = signed(tf.minimum(pixels.labels, classes - 1))
        losses, powers, scale = surprise(logits, known, pixels.valid)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            one_hot = tf.one_hot(signed(pixels.labels), classes)
            return (powers * scale - one_hot) * upstream[:, None]

        return losses, gradient

    return tf.custom_gradient(value_and_gradient)(pixels.predictions)


def cross_entropy(pixels: Pixels, class_weights: Any = None) -> tf.Tensor:
    """Computes the class-weighted cross-entropy of each pixel.

    Formula:

    ```
    loss = sum_j t_j w_j (-log s_j)
    ```

    Args:
        pixels: What `flatten` returned.
        class_weights: w, one weight a class `[N]`, or a tensor of them.
            Defaults to `None`: all 1.

    Returns:
        float32 `[P]`.

    Example:

    >>> from wseg_tf.losses.targets import flatten
    >>> pixels = flatten([0, 1], [[0.5, 0.5], [0.5, 0.5]])
    >>> [round(float(x), 3) for x in cross_entropy(pixels, [1.0, 3.0])]
    [0.693, 2.079]
    """
    if class_weights is None:
        class_weights = tf.ones([pixels.predictions.shape[-1]])
    if pixels.labels is not None:
        losses = negative_log_likelihood(pixels)
        weights = by_truth(pixels, class_weights)
        return tf.math.multiply_no_nan(losses, weights)
    weights = pixels.distributions * tf.cast(class_weights, tf.float32)
    if pixels.from_logits:
        return _soft_from_logits(pixels.predictions, weights, pixels.valid)
    losses = tf.math.multiply_no_nan(-log_probabilities(pixels), weights)
    return tf.reduce_sum(losses, axis=-1)


def _soft_from_logits(
    logits: tf.Tensor, weights: tf.Tensor, valid: tf.Tensor
) -> tf.Tensor:
    """Returns `-sum(w log softmax(z))`; the gradient is `s sum(w) - w`.

    TensorFlow's own passes over `[P, N]` three times more.
    """

    def value_and_gradient(logits: tf.Tensor, weights: tf.Tensor) -> Any:
        logarithms = log_softmax(logits, valid)
        losses = -row_sum(tf.math.multiply_no_nan(logarithms, weights))

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            slope = tf.exp(logarithms) * row_sum(weights) - weights
            each = upstream[:, None]
            return slope * each, -tf.math.multiply_no_nan(logarithms, each)

        return losses[:, 0], gradient

    return tf.custom_gradient(value_and_gradient)(logits, weights)


def weights_of(
    class_weights: Values | None, pixels: Pixels
) -> tuple[float, ...] | None:
    """Returns one weight for each class of the predictions, or None."""
    if class_weights is None:
        return None
    classes = pixels.predictions.shape[-1]
    return in_order("class_weights", class_weights, classes, default=1.0)


@keras.saving.register_keras_serializable(package="wseg_tf")
class CrossEntropyLoss(PixelLoss):
    """Class-weighted cross-entropy with void pixels.

    Formula:

    ```
    loss = sum_pixels sum_j t_j w_j (-log s_j) / number of valid pixels
    ```

    The mean is over valid pixels, not over the sum of their weights: doubling
    every weight doubles the loss.

    Args:
        class_weights: w >= 0, one weight a class, or a dictionary by class id
            or name, in which classes left out weigh 1. Defaults to `None`:
            all 1.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        ignore_class: The label of void pixels. Defaults to `None`.
        reduction: See `PixelLoss`. Defaults to `"sum_over_batch_size"`.
        name: Name of the loss.
        classes: A `ClassSet` or the classes' names in order, for weights by
            name. Defaults to `None`: nameless.

    Raises:
        ValueError: If a weight is negative or not finite, or of no class.

    Example:

    >>> loss = CrossEntropyLoss([1.0, 3.0], ignore_class=255)
    >>> round(float(loss([0, 1, 255], [[0.5, 0.5]] * 3)), 4)
    1.3863
    """

    def __init__(
        self,
        class_weights: ByClass | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cross_entropy",
        classes: ClassNames = None,
    ) -> None:
        names = names_of(classes)
        super().__init__(from_logits, ignore_class, reduction, name, names)
        self.class_weights = checked_weights(class_weights, names)

    def pixel_losses(self, pixels: Pixels) -> tf.Tensor:
        """Returns the cross-entropy of each pixel."""
        return cross_entropy(pixels, weights_of(self.class_weights, pixels))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "class_weights": self.class_weights,
            "classes": self.class_names,
        }
