"""Class ids of pixels in tensors, as TensorFlow computes them fast."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def unsigned(ids: Any) -> tf.Tensor:
    """Returns integer ids as uint32; a negative one becomes a large one.

    A GPU computes them so: TensorFlow takes int32 for sizes and shapes, and
    does its arithmetic on the host, whatever that costs.

    Args:
        ids: Of any integer type.

    Example:

    >>> unsigned([2, -1]).numpy().tolist()
    [2, 4294967295]
    """
    return tf.bitcast(tf.cast(ids, tf.int32), tf.uint32)


def signed(ids: tf.Tensor) -> tf.Tensor:
    """Returns what `unsigned` was given, as int32, which indices are.

    Args:
        ids: uint32.

    Example:

    >>> signed(unsigned([2, -1])).numpy().tolist()
    [2, -1]
    """
    return tf.bitcast(ids, tf.int32)
