"""The confusion count on tensors: any graph, XLA too."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from wseg_tf.class_ids import signed, unsigned


def count_confusion(
    y_true: tf.Tensor,
    y_pred: tf.Tensor,
    classes: int,
    ignore_class: int | None = None,
    sample_weight: tf.Tensor | None = None,
) -> tf.Tensor:
    """Counts one batch's confusion on tensors.

    Args:
        y_true: Class ids `[...]` or `[..., 1]`, or distributions `[..., N]`
            (their largest class; a row of zeros is void).
        y_pred: Scores `[..., N]` of a floating type (logits or
            probabilities), or class ids `[...]` of an integer type.
        classes: The number of classes N.
        ignore_class: Label that is not counted. Labels outside `0..N-1` are
            never counted.
        sample_weight: `[...]` or a shape that broadcasts to it; pixels of
            weight 0 are not counted, any other pixel counts once.

    Returns:
        int64 `[N, N]`, rows truth.

    Example:

    >>> count_confusion([0, 1, 9], [[2.0, 1.0], [2.0, 1.0], [0.0, 1.0]], 2)
    <tf.Tensor: shape=(2, 2), dtype=int64, numpy=
    array([[1, 0],
           [1, 0]])>
    """
    y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
    predictions = _predictions(y_pred, classes)
    rows = _labels(y_true, y_pred, classes)
    rows = tf.reshape(rows, tf.shape(predictions))
    out = tf.constant(classes, tf.uint32)
    if ignore_class is not None and 0 <= ignore_class < classes:
        rows = tf.where(rows == ignore_class, out, rows)
    if sample_weight is not None:
        left_out = _aligned(sample_weight, predictions) == 0
        rows = tf.where(left_out, out, rows)
    # What is no class falls into one more column, or past the last bin, which
    # the count drops.
    columns = classes + 1
    key = tf.minimum(rows, out) * columns + tf.minimum(predictions, out)
    # The raw operation: `tf.math.bincount` first reads the key twice to check
    # what is known here, and int64 weights have no GPU kernel.
    counts = tf.raw_ops.DenseBincount(
        input=signed(tf.reshape(key, [-1])),
        size=classes * columns,
        weights=tf.zeros([0], tf.int32),
        binary_output=False,
    )
    counts = tf.reshape(counts, [classes, columns])
    return tf.cast(counts[:, :classes], tf.int64)


def _predictions(y_pred: tf.Tensor, classes: int) -> tf.Tensor:
    """Returns predicted ids, uint32."""
    if y_pred.dtype.is_integer:
        return unsigned(y_pred)
    if y_pred.shape[-1] not in (None, classes):
        raise ValueError(
            "Invalid value for argument `y_pred`. Expected scores with "
            f"{classes} entries on the last axis, or integer class ids. "
            f"Received: shape {y_pred.shape}, dtype {y_pred.dtype.name}."
        )
    return unsigned(tf.argmax(y_pred, axis=-1, output_type=tf.int32))


def _labels(y_true: tf.Tensor, y_pred: tf.Tensor, classes: int) -> tf.Tensor:
    """Returns true ids, uint32; `classes` for zeros in place of a share."""
    is_distribution = (
        y_pred.dtype.is_floating
        and y_true.shape.rank == y_pred.shape.rank
        and y_true.shape[-1] == classes
    )
    if not is_distribution:
        return unsigned(y_true)
    empty = tf.reduce_all(y_true == 0, axis=-1)
    largest = unsigned(tf.argmax(y_true, axis=-1, output_type=tf.int32))
    return tf.where(empty, tf.constant(classes, tf.uint32), largest)


def _aligned(sample_weight: Any, predictions: tf.Tensor) -> tf.Tensor:
    """Broadcasts weights `[B]`, `[..., 1]` or `[...]` to the pixels."""
    weight = tf.convert_to_tensor(sample_weight)
    if weight.shape.rank == predictions.shape.rank + 1:
        weight = tf.squeeze(weight, axis=-1)
    missing = predictions.shape.rank - weight.shape.rank
    shape = tf.concat([tf.shape(weight), tf.ones([missing], tf.int32)], axis=0)
    return tf.broadcast_to(tf.reshape(weight, shape), tf.shape(predictions))
