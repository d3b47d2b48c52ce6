"""How often each frame is drawn in an epoch: rare classes more often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.data.checks import DataError
from wseg_tf.data.records import decode_ids

Presence = npt.NDArray[np.bool_]
Expected = npt.NDArray[np.float64]


def class_presence(
    examples: tf.data.Dataset, classes: Sequence[int]
) -> Presence:
    """Reads which frames show which classes; decodes labels alone.

    Args:
        examples: What `read_records` or `read_pairs` returned, or images and
            labels; finite.
        classes: Class ids.

    Returns:
        An array `[frames, classes]` of bool.
    """
    wanted = tf.constant(list(classes), tf.int32)

    def shown(*example: tf.Tensor) -> tf.Tensor:
        if len(example) == 1:
            label = decode_ids(example[0]["label/encoded"])
        else:
            label = example[1]
        ids, _ = tf.unique(tf.reshape(tf.cast(label, tf.int32), [-1]))
        return tf.reduce_any(ids[:, None] == wanted[None], axis=0)

    rows = examples.map(shown, num_parallel_calls=tf.data.AUTOTUNE)
    found = list(rows.as_numpy_iterator())
    return np.array(found, bool).reshape(-1, len(classes))


def expected_copies(presence: Presence, share: float) -> Expected:
    """Returns how often each frame is expected in an epoch.

    A `share` of the epoch is drawn from the frames that show a rare class:
    a class evenly among those that some frame shows, then evenly a frame that
    shows it. The rest is drawn evenly from all. With n frames, C rare
    classes, and n_c frames that show class c, frame i is expected

        e_i = (1 - share) + share n / C  sum_c [i shows c] / n_c

    times, so that a frame counts by the inverse frequency of its classes.

    Args:
        presence: What `class_presence` returned, `[n, C]`.
        share: Share of the epoch, 0..1.

    Returns:
        Expectations `[n]`; their sum is n.

    Raises:
        DataError: If no frame shows a rare class.

    Example:

    >>> shows = np.array([[1], [0], [0], [0]], bool)
    >>> expected_copies(shows, 0.5).tolist()
    [2.5, 0.5, 0.5, 0.5]
    """
    frames = presence.sum(axis=0)
    shown = frames > 0
    if not shown.any():
        raise DataError(
            "Expected a frame that shows a rare class. Found: none."
        )
    drawn = (presence[:, shown] / frames[shown]).mean(axis=1)
    expected: Expected = 1 - share + share * len(presence) * drawn
    return expected


def copies(expected: Expected, offset: tf.Tensor) -> tf.Tensor:
    """Returns how often each frame is in one epoch, by systematic sampling.

    With E_i the sum of the first i expectations and an offset u, frame i is
    there `floor(E_i + u) - floor(E_(i-1) + u)` times: its expectation rounded
    down or up, as often as not by chance, and all frames together exactly n.

    Args:
        expected: What `expected_copies` returned, `[n]`.
        offset: A scalar, drawn evenly from 0..1.

    Returns:
        Integers `[n]`, int64.
    """
    total = len(expected)
    sums = np.cumsum(expected)
    sums *= total / sums[-1]
    sums[-1] = total  # exactly, whatever was rounded
    ends = tf.floor(sums + tf.cast(offset, tf.float64))
    ends = tf.cast(tf.minimum(ends, total), tf.int64)
    return ends - tf.concat([tf.zeros([1], tf.int64), ends[:-1]], 0)
