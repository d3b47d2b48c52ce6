"""The exact confusion count of a model over a data set, and its loss."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from wseg_tf.classes import ClassSet
from wseg_tf.decisions import decide
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics import tensors
from wseg_tf.metrics.confusion import Counts


def count_confusion(
    model: keras.Model, data: tf.data.Dataset, classes: ClassSet
) -> Counts:
    """Counts how the pixels of a data set are classified.

    Args:
        model: Maps images `[B, H, W, 3]` to logits `[B, H, W, N]`.
        data: Batches of images and class ids `[B, H, W]`, void included.
        classes: The class set; void pixels are not counted.

    Returns:
        Exact counts `[N, N]`; rows truth, columns predictions.
    """
    return counter(model, classes)(data)[0]


def counter(
    model: keras.Model,
    classes: ClassSet,
    ground: GroundMatrix | None = None,
    loss: keras.losses.Loss | None = None,
) -> Callable[[tf.data.Dataset], tuple[Counts, float]]:
    """Returns a function that counts as `count_confusion` does.

    It is compiled once, for a model that is judged again and again.

    Args:
        model: Maps images `[B, H, W, 3]` to logits `[B, H, W, N]`.
        classes: The class set; void pixels are not counted.
        ground: D, where the model decides for the least expected severity.
        loss: A loss over logits. Defaults to None: it is not measured.

    Returns:
        A function from batches to exact counts `[N, N]` and the loss, its mean
        over the images; NaN without a loss.
    """
    count = len(classes)

    @tf.function(reduce_retracing=True)
    def count_batch(
        images: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(images, training=False)
        counts = tensors.count_confusion(
            labels, decide(logits, ground), count, classes.void
        )
        value = tf.constant(np.nan) if loss is None else loss(labels, logits)
        return counts, value

    def count_all(data: tf.data.Dataset) -> tuple[Counts, float]:
        total, lost, seen = np.zeros([count, count], np.int64), 0.0, 0
        for images, labels in data:
            counts, value = count_batch(images, labels)
            total += counts.numpy()
            lost += float(value) * len(images)
            seen += len(images)
        return total, lost / max(seen, 1)

    return count_all
