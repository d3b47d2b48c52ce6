"""What a training must know of its examples: counts, and which they are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import tensorflow as tf

from wseg_tf.classes import ClassSet
from wseg_tf.data.records import decode
from wseg_tf.data.statistics import PixelStatistics


@dataclass(frozen=True)
class Survey:
    """One pass over the examples.

    Args:
        statistics: Exact counts of images and of the pixels of each class.
        digest: Changes with any image, any label and their order.
    """

    statistics: PixelStatistics
    digest: str


def survey(examples: tf.data.Dataset, classes: ClassSet) -> Survey:
    """Counts the examples and the pixels of their classes.

    Args:
        examples: Examples of `wseg_tf.data.input`, a finite data set.
        classes: The class set of the labels.

    Returns:
        What was found.

    Raises:
        ValueError: If there is no example.
    """
    bins = len(classes) + 1

    def count(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        _, label = decode(example)
        # Whatever is no class is void.
        label = tf.minimum(tf.cast(label, tf.int32), len(classes))
        counts = tf.math.bincount(label, minlength=bins, dtype=tf.int64)
        content = tf.stack([example["image/encoded"], example["label/encoded"]])
        marks = tf.strings.to_hash_bucket_fast(content, 2**62)
        return counts, tf.shape(label), marks

    statistics = PixelStatistics.empty(len(classes))
    digest = hashlib.sha256()
    for counts, size, marks in examples.map(count, tf.data.AUTOTUNE):
        height, width = size.numpy().tolist()
        statistics += PixelStatistics.of_frame(counts.numpy(), (height, width))
        digest.update(marks.numpy().tobytes())
    if statistics.images == 0:
        raise ValueError(
            "Invalid value for argument `training`. Expected at least one "
            "example. Received: none."
        )
    return Survey(statistics, digest.hexdigest())
