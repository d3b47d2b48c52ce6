"""The exact confusion count of a model over a data set."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.classes import ClassSet


def count_confusion(
    model: keras.Model, data: tf.data.Dataset, classes: ClassSet
) -> npt.NDArray[np.int64]:
    """Counts how the pixels of a data set are classified.

    Args:
        model: Maps images `[B, H, W, 3]` to logits `[B, H, W, N]`.
        data: Batches of images and class ids `[B, H, W]`, void included.
        classes: The class set; void pixels are not counted.

    Returns:
        Exact counts `[N, N]`; rows truth, columns predictions.
    """
    count = len(classes)

    @tf.function(reduce_retracing=True)
    def count_batch(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        predicted = tf.argmax(
            model(images, training=False), axis=-1, output_type=tf.int32
        )
        valid = tf.logical_and(labels >= 0, labels < count)
        cells = tf.boolean_mask(labels * count + predicted, valid)
        return tf.math.bincount(
            cells, minlength=count**2, maxlength=count**2, dtype=tf.int64
        )

    total = np.zeros(count**2, np.int64)
    for images, labels in data:
        total += count_batch(images, labels).numpy()
    return total.reshape(count, count)
