"""Class-weighted cross-entropy, the loss every other one is held against."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.class_ids import signed
from wseg_tf.losses.targets import PixelLoss, Pixels
from wseg_tf.transport.products import row_sum

SMALLEST_PROBABILITY = 1e-7


def log_probabilities(pixels: Pixels, from_logits: bool) -> tf.Tensor:
    """Returns the logarithms of the predicted probabilities, finite.

    Args:
        pixels: What `flatten` returned.
        from_logits: Whether the predictions are logits. Probabilities are
            taken as at least 1e-7, as Keras does.

    Returns:
        float32 `[P, N]`.
    """
    if from_logits:
        return tf.nn.log_softmax(pixels.predictions)
    return tf.math.log(tf.maximum(pixels.predictions, SMALLEST_PROBABILITY))


def by_truth(pixels: Pixels, values: Any) -> tf.Tensor:
    """Returns each pixel's value of its true class, the mean if it is soft.

    Args:
        pixels: What `flatten` returned.
        values: One value a class, `[N]`.

    Returns:
        float32 `[P]`; 0 at void pixels, NaN where the label is unknown.
    """
    values = tf.cast(values, tf.float32)
    if pixels.distributions is not None:
        return row_sum(pixels.distributions * values)[:, 0]
    # The rows after the classes': labels that nobody knows, and void.
    table = tf.concat([values, tf.constant([float("nan"), 0.0])], axis=0)
    return pixels.look_up(table)


def negative_log_likelihood(pixels: Pixels, from_logits: bool) -> tf.Tensor:
    """Returns -log of the probability of each pixel's label.

    Args:
        pixels: What `flatten` returned, with labels.
        from_logits: Whether the predictions are logits.

    Returns:
        float32 `[P]`; of no meaning where the label is no class.
    """
    if from_logits:
        return _from_logits(pixels.predictions, pixels.labels)
    chosen = _chosen(pixels.predictions, pixels.labels)
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


def _from_logits(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The value by `log_softmax`; its gradient is `softmax - one_hot`.

    TensorFlow's own fused operation gives the same and takes twice as long on
    a CPU.
    """

    def value_and_gradient(logits: tf.Tensor) -> Any:
        logarithms = tf.nn.log_softmax(logits)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            each = upstream[:, None]
            one_hot = tf.one_hot(signed(labels), logits.shape[-1])
            return (tf.exp(logarithms) - one_hot) * each

        return -_chosen(logarithms, labels), gradient

    return tf.custom_gradient(value_and_gradient)(logits)


def cross_entropy(
    pixels: Pixels, class_weights: Any = None, from_logits: bool = False
) -> tf.Tensor:
    """Computes the class-weighted cross-entropy of each pixel.

    Formula:

    ```
    loss = sum_j t_j w_j (-log s_j)
    ```

    Args:
        pixels: What `flatten` returned.
        class_weights: w, one weight a class `[N]`, or a tensor of them.
            Defaults to `None`: all 1.
        from_logits: Whether the predictions are logits.

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
        losses = negative_log_likelihood(pixels, from_logits)
        return by_truth(pixels, class_weights) * losses
    weighted = pixels.distributions * tf.cast(class_weights, tf.float32)
    return -tf.reduce_sum(
        weighted * log_probabilities(pixels, from_logits), axis=-1
    )


def checked_weights(
    class_weights: Sequence[float] | None,
) -> tuple[float, ...] | None:
    """Returns the weights as floats.

    Args:
        class_weights: What the user gave.

    Returns:
        A tuple, or None for None.

    Raises:
        ValueError: If one is negative or not finite; it is named.
    """
    if class_weights is None:
        return None
    weights = tuple(float(weight) for weight in class_weights)
    for position, weight in enumerate(weights):
        if not 0 <= weight < float("inf"):
            raise ValueError(
                "Invalid value for argument `class_weights`. Expected finite "
                f"weights >= 0. Received: class_weights[{position}]={weight}."
            )
    return weights


def check_length(values: Sized, classes: int, argument: str) -> None:
    """Refuses an argument that has not one entry a class.

    Args:
        values: The argument's value.
        classes: The number of classes.
        argument: The argument's name.

    Raises:
        ValueError: If the lengths differ.
    """
    if len(values) != classes:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected one entry for "
            f"each of the {classes} classes of `y_pred`. Received: "
            f"{len(values)} entries."
        )


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
        class_weights: w, one weight a class, >= 0. Defaults to `None`: all 1.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        ignore_class: The label of void pixels. Defaults to `None`.
        reduction: See `PixelLoss`. Defaults to `"sum_over_batch_size"`.
        name: Name of the loss.

    Raises:
        ValueError: If a weight is negative or not finite.

    Example:

    >>> loss = CrossEntropyLoss([1.0, 3.0], ignore_class=255)
    >>> round(float(loss([0, 1, 255], [[0.5, 0.5]] * 3)), 4)
    1.3863
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cross_entropy",
    ) -> None:
        super().__init__(from_logits, ignore_class, reduction, name)
        self.class_weights = checked_weights(class_weights)

    def pixel_losses(self, pixels: Pixels) -> tf.Tensor:
        """Returns the cross-entropy of each pixel."""
        if self.class_weights is not None:
            classes = pixels.predictions.shape[-1]
            check_length(self.class_weights, classes, "class_weights")
        return cross_entropy(pixels, self.class_weights, self.from_logits)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, for saving."""
        return {**super().get_config(), "class_weights": self.class_weights}
