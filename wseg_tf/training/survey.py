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


def survey(
    examples: tf.data.Dataset,
    classes: ClassSet,
    counted: PixelStatistics | None = None,
) -> Survey:
    """Marks the examples, and counts the pixels of their classes.

    Args:
        examples: Examples of `wseg_tf.data.input`, a finite data set.
        classes: The class set of the labels.
        counted: What was counted when the examples were written; their labels
            are then not decoded again.

    Returns:
        What was found.

    Raises:
        ValueError: If there is no example, or what was counted is not these.
    """
    bins = len(classes) + 1

    def count(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        _, label = decode(example)
        # Whatever is no class is void.
        label = tf.minimum(tf.cast(label, tf.int32), len(classes))
        counts = tf.math.bincount(label, minlength=bins, dtype=tf.int64)
        return _mark(example), counts, tf.shape(label)

    digest = hashlib.sha256()
    statistics = PixelStatistics.empty(len(classes))
    images = 0
    if counted is not None:
        statistics = counted
        for marks in examples.map(_mark, tf.data.AUTOTUNE):
            digest.update(marks.numpy().tobytes())
            images += 1
    else:
        for marks, counts, size in examples.map(count, tf.data.AUTOTUNE):
            frame = tuple(size.numpy().tolist())
            statistics += PixelStatistics.of_frame(counts.numpy(), frame)
            digest.update(marks.numpy().tobytes())
            images += 1
    if images == 0:
        raise ValueError(
            "Invalid value for argument `training`. Expected at least one "
            "example. Received: none."
        )
    expected = (images, bins)
    found = (statistics.images, len(statistics.pixels))
    if found != expected:
        raise ValueError(
            "Invalid value for argument `counted`. Expected the statistics of "
            f"{images} images and {len(classes)} classes. Received: those of "
            f"{found[0]} images and {found[1] - 1} classes."
        )
    return Survey(statistics, digest.hexdigest())


def examples_digest(examples: tf.data.Dataset) -> str:
    """Returns what changes with any image, any label and their order.

    Args:
        examples: Examples of `wseg_tf.data.input`, a finite data set.
    """
    digest = hashlib.sha256()
    for marks in examples.map(_mark, tf.data.AUTOTUNE):
        digest.update(marks.numpy().tobytes())
    return digest.hexdigest()


def _mark(example: dict[str, tf.Tensor]) -> tf.Tensor:
    content = tf.stack([example["image/encoded"], example["label/encoded"]])
    return tf.strings.to_hash_bucket_fast(content, 2**62)
