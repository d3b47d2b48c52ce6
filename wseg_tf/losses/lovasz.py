"""Lovasz-softmax: the Jaccard index of each class, made continuous."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from wseg_tf.class_values import (
    ByClass,
    checked_weights,
)
from wseg_tf.ground import ClassNames, names_of
from wseg_tf.losses.cross_entropy import weights_of
from wseg_tf.losses.dice import by_image
from wseg_tf.losses.reduction import image_weights, reduce
from wseg_tf.losses.targets import PixelLoss, Pixels
from wseg_tf.pixel_weights import pixel_weights

# Of errors: the fewest and the most, and how many those of all classes and
# sets may be in all before there are fewer.
LEVELS, MOST_PLACES = (2**10, 2**14), 2**20


def lovasz_softmax(
    pixels: Pixels,
    class_weights: Any = None,
    weights: tf.Tensor | None = None,
    sets: Any = 1,
) -> tf.Tensor:
    """Computes the Lovasz-softmax loss of each set of pixels.

    Formula, for class j with errors e_i = |t_ij - s_ij| in falling order and
    the Jaccard loss J of the pixels that are wrong:

    ```
    L_j = sum_i e_i (J({1..i}) - J({1..i-1}))
    J(M) = 1 - sum_{i not in M} t_ij / (sum_i t_ij + sum_{i in M} (1 - t_ij))
    loss = sum_j w_j L_j / number of classes in the set
    ```

    A soft target counts as that share of a pixel; with one-hot ones it is the
    source's. Errors within 2^-14 of each other count as equal, so the loss may
    be as much too low; with over 64 classes and sets, as many times as much,
    up to 2^-10.

    Args:
        pixels: What `flatten` returned.
        class_weights: w, one weight a class `[N]`. Defaults to `None`: all 1.
        weights: What each pixel counts `[P]`. Defaults to `None`: 1.
        sets: How many equal sets the pixels are, in order. Defaults to 1.

    Returns:
        float32 `[sets]`; 0 for a set that is all void.

    Example:

    >>> from wseg_tf.losses.targets import flatten
    >>> pixels = flatten([0, 1], [[0.6, 0.4], [0.5, 0.5]])
    >>> [round(float(loss), 3) for loss in lovasz_softmax(pixels)]
    [0.475]
    """
    classes = pixels.predictions.shape[-1]
    # What void pixels hold, infinities perhaps, reaches no gradient.
    predicted = tf.where(pixels.valid[:, None], pixels.predictions, 0.0)
    if pixels.from_logits:
        predicted = tf.nn.softmax(predicted)
    truth = pixels.distributions
    if truth is None:
        # The rows after the classes': labels that nobody knows, and void.
        others = [[float("nan")] * classes, [0.0] * classes]
        truth = pixels.look_up(tf.concat([tf.eye(classes), others], axis=0))
    mass = tf.cast(pixels.valid, tf.float32)
    if weights is not None:
        mass = tf.where(pixels.valid, weights, 0.0)
    errors = tf.where(pixels.valid[:, None], tf.abs(truth - predicted), 0.0)

    def by_class(values: tf.Tensor) -> tf.Tensor:
        """Lays `[P, C]` out as `[C, sets, pixels of a set]`."""
        columns = tf.transpose(values)
        return tf.reshape(columns, tf.stack([values.shape[-1], sets, -1]))

    inside = by_class(truth * mass[:, None])
    outside = by_class(mass[:, None]) - inside
    errors = by_class(errors)
    losses = tf.reduce_sum(errors * _steps(errors, inside, outside), axis=-1)
    present = tf.sign(tf.reduce_sum(inside, axis=-1))  # NaN if weights are.
    if class_weights is not None:
        losses *= tf.cast(class_weights, tf.float32)[:, None]
    return tf.math.divide_no_nan(
        tf.reduce_sum(losses * present, axis=0), tf.reduce_sum(present, axis=0)
    )


def _steps(
    errors: tf.Tensor, inside: tf.Tensor, outside: tf.Tensor
) -> tf.Tensor:
    """Returns by how much each pixel, given up in turn, lowers the IoU.

    Pixels are given up by falling error, those of one level together: at each
    level first those outside the class, each its share, then those inside. So
    nothing is sorted, and pixels of one error have one gradient. The steps are
    the loss' gradient, so none goes through them.
    """
    rows = tf.reduce_prod(tf.shape(errors, tf.int64)[:2])
    levels = tf.clip_by_value(MOST_PLACES // tf.maximum(rows, 1), *LEVELS)
    height = tf.cast(levels, tf.float32)
    # NaN has to be somewhere; its loss is NaN.
    level = tf.where(errors >= 0, tf.floor(errors * height), 0.0)
    level = tf.cast(tf.minimum(level, height - 1), tf.int64)
    first = tf.reshape(tf.range(rows) * levels, tf.shape(errors)[:2])
    place = level + first[..., None]

    def by_level(values: tf.Tensor) -> tf.Tensor:
        """Sums up the pixels of each level `[rows, levels]`."""
        sums = tf.math.unsorted_segment_sum(values, place, rows * levels)
        return tf.reshape(sums, tf.stack([rows, levels]))

    hit, miss = by_level(inside), by_level(outside)
    total = tf.reduce_sum(hit, axis=-1, keepdims=True)
    # Before a level is given up, and after. As products, since differences of
    # ratios near 1 would leave no digits.
    kept = total - tf.cumsum(hit, axis=-1, exclusive=True, reverse=True)
    union_after = total + tf.cumsum(miss, axis=-1, reverse=True)
    union = union_after - miss
    of_outside = tf.math.divide_no_nan(
        tf.maximum(kept, 0.0), union * union_after
    )
    of_inside = tf.math.divide_no_nan(1.0, union_after)
    steps = inside * _looked_up(of_inside, place)
    steps += outside * _looked_up(of_outside, place)
    return tf.stop_gradient(steps)


def _looked_up(values: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    return tf.gather(tf.reshape(values, [-1]), place)


@keras.saving.register_keras_serializable(package="wseg_tf")
class LovaszSoftmaxLoss(PixelLoss):
    """Lovasz-softmax: it falls as the mean IoU of the classes present rises.

    Formula, with L_j the convex extension of class j's Jaccard loss:

    ```
    loss = sum_j w_j L_j / number of classes present
    ```

    Source: Berman, Triki and Blaschko, The Lovasz-Softmax loss, CVPR 2018,
    Eq. 8 to 11, over the classes that are present. It is not calibrated:
    what should be decided by D afterwards is better mixed with cross-entropy.

    Args:
        class_weights: w >= 0, by importance for one, see `CrossEntropyLoss`.
            Defaults to `None`: all 1.
        by_image: Whether each image is a set of its own, as IoU averaged over
            images wants it; otherwise a batch is one. The first axis counts
            images, so that in a flat list `[P, N]` each pixel is one; as one
            image it is `[1, P, N]`. Defaults to `False`.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        ignore_class: The label of void pixels. Defaults to `None`.
        reduction: `"sum_over_batch_size"` is the mean over the sets that have
            a valid pixel; `"none"` gives one loss a set: `[B]`, or `[1]`.
        name: Name of the loss.
        classes: A `ClassSet` or the classes' names, see `CrossEntropyLoss`.

    A `sample_weight` weighs pixels, and images by theirs, in the sums of the
    IoU; one of a number an image, where images are sets, weighs their losses.

    Raises:
        ValueError: If a weight is negative or not finite, or of no class.

    Example:

    >>> loss = LovaszSoftmaxLoss(ignore_class=255)
    >>> round(float(loss([0, 1, 255], [[0.6, 0.4], [0.5, 0.5], [1, 0]])), 3)
    0.475
    """

    is_by_image = True

    def __init__(
        self,
        class_weights: ByClass | None = None,
        by_image: bool = False,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "lovasz_softmax",
        classes: ClassNames = None,
    ) -> None:
        names = names_of(classes)
        super().__init__(from_logits, ignore_class, reduction, name, names)
        self.class_weights = checked_weights(class_weights, names)
        self.by_image = by_image

    def reduced(
        self, pixels: Pixels, sample_weight: Any, reduction: str
    ) -> tf.Tensor:
        """Returns the loss, weighted and reduced over sets of pixels."""
        whole = tf.stack([1, tf.reduce_prod(pixels.shape)])
        shape = by_image(pixels.shape) if self.by_image else whole
        sets = shape[0]
        valid = tf.reduce_any(tf.reshape(pixels.valid, shape), axis=-1)
        of_sets, each = tf.ones([1]), None
        if sample_weight is not None:
            each = pixel_weights(sample_weight, pixels.shape)
            if self.by_image:
                of_sets, each = image_weights(each, sample_weight, shape)
        weights = weights_of(self.class_weights, pixels)
        losses = lovasz_softmax(pixels, weights, each, sets)
        rows = pixels._replace(valid=valid, shape=tf.reshape(sets, [1]))
        return reduce(losses, rows, of_sets, reduction)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "class_weights": self.class_weights,
            "by_image": self.by_image,
            "classes": self.class_names,
        }
