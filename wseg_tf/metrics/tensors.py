"""The confusion count on tensors: any graph, XLA too."""

from __future__ import annotations

import tensorflow as tf

from wseg_tf.class_ids import (
    in_a_row,
    keras_mask,
    read_ids,
    refuse_ids,
    refuse_labels,
    refuse_unknown,
    signed,
    target_kind,
    unsigned,
)
from wseg_tf.pixel_weights import pixel_weights
from wseg_tf.refusal import refuse_masses

# Taken off every cell where XLA, which has no errors, compiled the count: more
# than all pixels of a batch, and far from the ends of int64.
UNKNOWN = 2**40


def count_confusion(
    y_true: tf.Tensor,
    y_pred: tf.Tensor,
    classes: int,
    ignore_class: int | None = None,
    sample_weight: tf.Tensor | None = None,
) -> tf.Tensor:
    """Counts one batch's confusion on tensors.

    Labels are read as the losses read them: see `wseg_tf.losses`.

    Args:
        y_true: Class ids `[...]` or `[..., 1]`, or distributions `[..., N]`
            (their largest class; a row of zeros is void). What Keras masks of
            `y_pred` is void, too.
        y_pred: Scores `[..., N]` of a floating type (logits or
            probabilities), or class ids `[...]` or `[..., 1]` of an integer
            type, or one-hots `[..., N]` of one beside class ids.
        classes: The number of classes N.
        ignore_class: Label that is not counted; what is predicted there may be
            anything.
        sample_weight: `[...]` or a shape that broadcasts to it; pixels of
            weight 0 are not counted, any other pixel counts once.

    Returns:
        int64 `[N, N]`, rows truth.

    Raises:
        ValueError: If the shapes do not fit each other, or, in eager mode, if
            a label is neither a class nor `ignore_class`, a predicted id is no
            class, or the shares of a target do not sum to 1.
        tf.errors.InvalidArgumentError: The same bad values, in graph mode.
            Compiled by XLA, which has no errors, all cells are negative.

    Example:

    >>> count_confusion([0, 1, 9], [[2.0, 1.0], [2.0, 1.0], [0.0, 1.0]], 2, 9)
    <tf.Tensor: shape=(2, 2), dtype=int64, numpy=
    array([[1, 0],
           [1, 0]])>
    """
    mask = keras_mask(y_pred)
    y_true, given = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
    y_pred = _with_classes(y_true, given, classes)
    kind = target_kind(y_true, tf.TensorShape([*y_pred.shape[:-1], classes]))
    rows = _rows(kind, y_true, y_pred, classes, ignore_class)
    void = tf.constant(classes + 1, tf.uint32)
    if sample_weight is not None:
        weights = pixel_weights(sample_weight, tf.shape(y_pred)[:-1])
        left_out = tf.equal(weights, 0.0) & (rows < classes)
        rows = tf.where(left_out, void, rows)
    if mask is not None:
        rows = tf.where(mask | (rows == classes), rows, void)
    if has_ids := y_pred.dtype.is_integer and y_pred.shape[-1] == 1:
        columns = read_ids(y_pred, classes)
    else:
        columns = unsigned(tf.argmax(y_pred, -1, output_type=tf.int32))
    columns = tf.reshape(columns, [-1])
    # A row and a column more are for what is no class. Void falls past the
    # last bin, which the count drops.
    size = classes + 1
    # The raw operation: `tf.math.bincount` first reads the key twice to check
    # what is known here, and int64 weights have no GPU kernel.
    counts = tf.raw_ops.DenseBincount(
        input=signed(rows * size + columns),
        size=size * size,
        weights=tf.zeros([0], tf.int32),
        binary_output=False,
    )
    counts = tf.cast(tf.reshape(counts, [size, size]), tf.int64)
    known = counts[:classes, :classes]
    # The count itself tells whether anything is to be refused.
    checks = []
    if kind == "labels":
        is_bad = tf.reduce_any(counts[classes] > 0)
        checks.append(
            refuse_labels(is_bad, y_true, rows, classes, ignore_class)
        )
    if has_ids:
        is_bad = tf.reduce_any(counts[:classes, classes] > 0)
        message = (
            "Invalid class id in `y_pred`. Expected 0.."
            f"{classes - 1} at every pixel that is not void."
        )

        def find() -> tf.Tensor:
            return (columns == classes) & (rows < classes)

        checks.append(refuse_ids(is_bad, find, given, message))
    with tf.control_dependencies(checks):
        is_unknown = tf.reduce_sum(counts) > tf.reduce_sum(known)
        return known - tf.cast(is_unknown, tf.int64) * UNKNOWN


def _with_classes(
    y_true: tf.Tensor, y_pred: tf.Tensor, classes: int
) -> tf.Tensor:
    """Returns scores or one-hots `[..., N]`, or class ids `[..., 1]`."""
    true, pred = y_true.shape, y_pred.shape
    received = f"Received: shape {pred}, dtype {y_pred.dtype.name}."
    if y_pred.dtype.is_integer:
        # On a GPU TensorFlow takes int32 for sizes and moves it on the host.
        y_pred = unsigned(y_pred)
    last = pred[-1] if pred.rank else None
    expected = f"scores with {classes} entries on the last axis, or integers"
    if not y_pred.dtype.is_integer:
        if pred.rank and last in (None, classes):
            return y_pred
    elif pred.rank != true.rank or pred.rank is None:
        # The labels lack the axis that classes are on.
        has_axis = pred.rank and true.rank == pred.rank - 1
        return (
            y_pred if has_axis and last in (1, classes) else y_pred[..., None]
        )
    elif pred.rank > 1 and true[-1] == 1 and last in (1, classes):
        return y_pred
    elif pred.rank < 2 or not last == true[-1] == classes:
        return y_pred[..., None]
    else:
        expected = (
            f"scores of a floating type, or class ids: with {classes} entries "
            "on both last axes integers may be ids or one-hots. Give ids a "
            "last axis of 1"
        )
    raise ValueError(
        f"Invalid value for argument `y_pred`. Expected {expected}. {received}"
    )


def _rows(
    kind: str,
    y_true: tf.Tensor,
    y_pred: tf.Tensor,
    classes: int,
    ignore_class: int | None,
) -> tf.Tensor:
    """Returns true ids `[P]`, uint32; void is `N + 1`.

    What is no class is `N`, and of labels alone not refused yet.
    """

    def labels() -> tf.Tensor:
        return in_a_row(read_ids(y_true, classes, ignore_class), y_pred, 1)

    def known_labels() -> tf.Tensor:
        return refuse_unknown(y_true, labels(), classes, ignore_class)

    def distributions() -> tf.Tensor:
        share = tf.reshape(in_a_row(y_true, y_pred, classes), [-1, classes])
        mass = share = tf.cast(share, tf.float32)
        if ignore_class is not None and 0 <= ignore_class < classes:
            mass *= 1.0 - tf.one_hot(ignore_class, classes)
        rows = unsigned(tf.argmax(mass, -1, output_type=tf.int32))
        valid = tf.reduce_sum(mass, -1) > 0.0
        is_bad = refuse_masses(share, tf.reduce_sum(share, -1), valid)
        void = tf.constant(classes + 1, tf.uint32)
        rows = tf.where(valid, rows, void)
        return tf.where(is_bad, void - 1, rows)

    if kind == "either":
        pixels = tf.reduce_prod(tf.shape(y_pred)[:-1])
        is_labels = tf.equal(tf.size(y_true), pixels)
        return tf.cond(is_labels, known_labels, distributions)
    return labels() if kind == "labels" else distributions()
