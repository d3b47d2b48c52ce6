"""Generalised Wasserstein Dice: an overlap that knows how near a miss is."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.class_values import check_length, is_integer
from wseg_tf.ground import ClassNames, GroundMatrix
from wseg_tf.losses.cross_entropy import by_truth
from wseg_tf.losses.reduction import image_weights, reduce
from wseg_tf.losses.targets import PixelLoss, Pixels
from wseg_tf.pixel_weights import pixel_weights
from wseg_tf.transport import one_hot
from wseg_tf.transport.products import multiply


def wasserstein_dice(
    pixels: Pixels,
    ground: npt.ArrayLike,
    background: int | None = None,
    weights: tf.Tensor | None = None,
) -> tf.Tensor:
    """Computes the generalised Wasserstein Dice loss of each image.

    Formula, over the pixels i of one image, with d_i = sum_jl t_j D[j, l] s_l:

    ```
    TP = sum_i a_i (m_i - d_i)
    loss = 1 - 2 TP / (2 TP + sum_i d_i)
    ```

    Without a background a = 1 and m = max D. With one m = D[truth, background]
    and a = m / max D, so pixels of the background are no positives.

    Args:
        pixels: What `flatten` returned; its first axis counts images.
        ground: D `[N, N]`, `D[true, predicted]`.
        background: Class id of the background. Defaults to `None`.
        weights: A weight a pixel `[P]`. Defaults to `None`: all 1.

    Returns:
        float32 `[B]`, 0..1; 0 for an image that is all void.
    """
    costs = np.asarray(ground, np.float64)
    costs = costs / (costs.max() or 1.0)
    severity = _severity(pixels, costs)
    if background is None:
        positive = 1.0 - severity
    else:
        depth = by_truth(pixels, costs[:, background])
        positive = depth * (depth - severity)
    weight = tf.cast(pixels.valid, tf.float32)
    if weights is not None:
        weight = tf.where(pixels.valid, weights, 0.0)

    images = by_image(pixels.shape)

    def total(values: tf.Tensor) -> tf.Tensor:
        values = tf.math.multiply_no_nan(values, weight)
        return tf.reduce_sum(tf.reshape(values, images), axis=-1)

    hits, errors = 2.0 * total(positive), total(severity)
    return tf.math.divide_no_nan(errors, hits + errors)


def by_image(shape: tf.Tensor) -> tf.Tensor:
    """Returns the shape of a map with a row an image: int32 `[2]`."""
    return tf.stack([shape[0], tf.reduce_prod(shape[1:])])


def _severity(pixels: Pixels, costs: npt.NDArray[np.float64]) -> tf.Tensor:
    """Returns <t, D s> of each pixel."""
    if pixels.distributions is not None:
        rows = multiply(pixels.distributions, costs)
    else:
        rows = pixels.look_up(one_hot.label_table(costs))
    if pixels.from_logits:
        return one_hot.expected_cost_from_logits(
            pixels.predictions, rows, pixels.valid
        )
    return one_hot.expected_cost(pixels.predictions, rows)


@keras.saving.register_keras_serializable(package="wseg_tf")
class WassersteinDiceLoss(PixelLoss):
    """Generalised Wasserstein Dice, an image at a time.

    Formula, with d the Wasserstein loss of a pixel of the image:

    ```
    loss = 1 - 2 TP / (2 TP + sum d),   TP = sum (max D - d)
    ```

    It is a ratio: scaling D changes nothing, and D is used as given. A
    `background` class, which the source has, is optional: its pixels then
    count as no positives, and TP = sum m (m - d) / max D with
    m = D[truth, background]. Targets that are soft take d = <t, D s>, which
    is the Wasserstein loss for one-hot targets alone. The first axis counts
    images, so that in a flat list `[P, N]` each pixel is one; as one image it
    is `[1, P, N]`.

    Source: Fidon et al., Generalised Wasserstein Dice Score for Imbalanced
    Multi-class Segmentation, BrainLes 2017, Eq. 4 to 7.

    Args:
        ground: D, a `GroundMatrix` or array `[N, N]`, `D[true, predicted]`.
        background: Class id of the background. Defaults to `None`: no class
            is.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        ignore_class: The label of void pixels. Defaults to `None`.
        reduction: `"sum_over_batch_size"` is the mean over the images that
            have a valid pixel; `"none"` gives one loss an image.
        name: Name of the loss.
        classes: A `ClassSet` or the classes' names in order; D is reordered to
            them. Defaults to `None`: those of D.

    A `sample_weight` of one number an image, `[B]` or `[B, 1]`, weighs the
    image's loss; one a pixel weighs the pixel in the image's sums.

    Raises:
        ValueError: If `ground` is no ground matrix, or one of other classes,
            or `background` is no class.

    Example:

    >>> loss = WassersteinDiceLoss([[0, 1], [1, 0]])
    >>> round(float(loss([[0, 1]], [[[0.5, 0.5], [0.0, 1.0]]])), 4)
    0.1429
    """

    is_by_image = True

    def __init__(
        self,
        ground: GroundMatrix | npt.ArrayLike,
        background: int | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "wasserstein_dice",
        classes: ClassNames = None,
    ) -> None:
        ground = GroundMatrix.of(ground, classes)
        names = ground.classes
        super().__init__(from_logits, ignore_class, reduction, name, names)
        self.ground = ground
        ids = range(len(ground))
        is_class = is_integer(background) and background in ids
        if background is not None and not is_class:
            raise ValueError(
                "Invalid value for argument `background`. Expected a class "
                f"id in 0..{ids[-1]}. Received: "
                f"background={background!r}."
            )
        self.background = None if background is None else int(background)

    def reduced(
        self, pixels: Pixels, sample_weight: Any, reduction: str
    ) -> tf.Tensor:
        """Returns the loss, weighted and reduced over images."""
        check_length(self.ground.values, pixels.predictions.shape[-1], "ground")
        images, each = by_image(pixels.shape), None
        valid = tf.reduce_any(tf.reshape(pixels.valid, images), axis=-1)
        weights = tf.ones([1])
        if sample_weight is not None:
            each = pixel_weights(sample_weight, pixels.shape)
            weights, each = image_weights(each, sample_weight, images)
        ground, background = self.ground.values, self.background
        losses = wasserstein_dice(pixels, ground, background, each)
        rows = pixels._replace(valid=valid, shape=pixels.shape[:1])
        return reduce(losses, rows, weights, reduction)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "ground": self.ground.get_config(),
            "background": self.background,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WassersteinDiceLoss:
        """Builds the loss from what `get_config` returned."""
        ground = GroundMatrix.from_config(config["ground"])
        return cls(**{**config, "ground": ground})
