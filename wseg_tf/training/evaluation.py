"""The exact confusion count of a model over a data set."""

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
    return confusion_counter(model, classes)(data)


def confusion_counter(
    model: keras.Model, classes: ClassSet, ground: GroundMatrix | None = None
) -> Callable[[tf.data.Dataset], Counts]:
    """Returns a function that counts as `count_confusion` does.

    It is compiled once, for a model that is judged again and again.

    Args:
        model: Maps images `[B, H, W, 3]` to logits `[B, H, W, N]`.
        classes: The class set; void pixels are not counted.
        ground: D, where the model decides for the least expected severity.

    Returns:
        A function from batches to exact counts `[N, N]`.
    """
    count = len(classes)

    @tf.function(reduce_retracing=True)
    def count_batch(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        predicted = decide(model(images, training=False), ground)
        return tensors.count_confusion(labels, predicted, count, classes.void)

    def count_all(data: tf.data.Dataset) -> Counts:
        total = np.zeros([count, count], np.int64)
        for images, labels in data:
            total += count_batch(images, labels).numpy()
        return total

    return count_all
