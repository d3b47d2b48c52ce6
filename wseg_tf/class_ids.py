"""Class ids of pixels in tensors: read exactly, and computed fast."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from wseg_tf.class_values import is_integer
from wseg_tf.refusal import Find, Show, refuse

LEAST_ID, LARGEST_ID = -(2**31), 2**31 - 1


def unsigned(ids: Any) -> tf.Tensor:
    """Returns integer ids as uint32; a negative one becomes a large one.

    A GPU computes them so: TensorFlow takes int32 for sizes and shapes, and
    does its arithmetic on the host, whatever that costs.

    Args:
        ids: Of any integer type; those of 64 bits become uint64.

    Example:

    >>> unsigned([2, -1]).numpy().tolist()
    [2, 4294967295]
    """
    ids = tf.convert_to_tensor(ids)
    if ids.dtype.size == 8:
        return tf.bitcast(ids, tf.uint64)
    if ids.dtype == tf.uint32:
        return ids
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


def checked_void(ignore_class: Any) -> int | None:
    """Returns the label of void pixels as an int.

    Args:
        ignore_class: What the user gave.

    Raises:
        ValueError: If it is neither None nor one integer of 32 bits.

    Example:

    >>> checked_void(255)
    255
    """
    if ignore_class is None:
        return None
    if is_integer(ignore_class) and LEAST_ID <= ignore_class <= LARGEST_ID:
        return int(ignore_class)
    raise ValueError(
        "Invalid value for argument `ignore_class`. Expected one integer, or "
        f"None. Received: ignore_class={ignore_class!r}."
    )


def read_ids(
    labels: tf.Tensor, classes: int, ignore_class: int | None = None
) -> tf.Tensor:
    """Returns class ids of labels of any dtype, none cut or rounded.

    Args:
        labels: Integers or floats of any width, or booleans.
        classes: The number of classes N.
        ignore_class: The label of void pixels. Defaults to None: no label is.

    Returns:
        uint32 of the same shape: a class, `N` for a label that is neither a
        class nor void (a fraction and NaN among them), `N + 1` for void.

    Raises:
        ValueError: If labels are no numbers.

    Example:

    >>> read_ids(tf.constant([1.0, 0.5, float("nan"), 255.0]), 3, 255).numpy()
    array([1, 3, 3, 4], dtype=uint32)
    >>> read_ids(tf.constant([2**32 + 2, 2]), 3).numpy()
    array([3, 2], dtype=uint32)
    """
    kind = labels.dtype
    if not (kind.is_floating or kind.is_integer or kind.is_bool):
        raise ValueError(
            "Invalid dtype for argument `y_true`. Expected integers or floats. "
            f"Received: dtype={kind.name}."
        )
    fits = None
    if kind.is_floating:
        fits = (tf.round(labels) == labels) & (tf.abs(labels) < 2.0**31)
        labels = tf.where(fits, labels, tf.zeros_like(labels))
        labels = tf.cast(labels, tf.int32)
    # A negative id is a large one: one comparison serves.
    ids = unsigned(labels)
    found = tf.cast(tf.minimum(ids, classes), tf.uint32)
    if fits is not None:
        found = tf.where(fits, found, tf.constant(classes, tf.uint32))
    if ignore_class is None or (kind.is_unsigned and ignore_class < 0):
        return found
    void = tf.equal(ids, ignore_class % 2 ** (8 * ids.dtype.size))
    if fits is not None:
        void &= fits
    # A sum, since TensorFlow does not vectorise selects.
    beyond = tf.cast(void, tf.uint32)
    if 0 <= ignore_class < classes:
        beyond *= classes + 1 - ignore_class
    return found + beyond


def refuse_unknown(
    labels: tf.Tensor,
    ids: tf.Tensor,
    classes: int,
    ignore_class: int | None = None,
) -> tf.Tensor:
    """Returns `ids`, or an error that shows a label nobody knows.

    Args:
        labels: What `read_ids` was given.
        ids: What it returned.
        classes: The number of classes N.
        ignore_class: The label of void pixels. Defaults to None.

    Raises:
        ValueError: If a label is neither a class nor void, in eager mode.
        tf.errors.InvalidArgumentError: The same in graph mode. XLA has no
            errors: there the ids stay as they are.
    """
    is_bad = tf.reduce_any(ids == classes)
    with tf.control_dependencies(
        [refuse_labels(is_bad, labels, ids, classes, ignore_class)]
    ):
        return tf.identity(ids)


def refuse_labels(
    is_bad: tf.Tensor,
    labels: tf.Tensor,
    ids: tf.Tensor,
    classes: int,
    ignore_class: int | None = None,
) -> tf.Tensor:
    """Refuses labels as `refuse` does, once it is known that some are bad.

    Args:
        is_bad: A bool scalar, whether any id is `classes`.
        labels: What `read_ids` was given.
        ids: What it returned.
        classes: The number of classes N.
        ignore_class: The label of void pixels. Defaults to None.

    Returns:
        `is_bad`.
    """
    message = (
        f"Invalid label in `y_true`. Expected 0..{classes - 1} or "
        f"ignore_class={ignore_class}."
    )
    return refuse_ids(is_bad, lambda: ids == classes, labels, message)


def refuse_ids(
    is_bad: tf.Tensor, find: Find, ids: tf.Tensor, message: str
) -> tf.Tensor:
    """Refuses ids as `refuse` does, shown without being computed as int32.

    Args:
        is_bad: A bool scalar, whether any is refused.
        find: Returns which are, bool, P of any shape.
        ids: P numbers of any shape and dtype.
        message: What was expected.

    Returns:
        `is_bad`.
    """
    show: Show = tf.identity
    if not ids.dtype.is_floating and ids.dtype.size < 8:
        if ids.dtype != tf.uint32:
            show = signed
        ids = unsigned(ids)
    rows = tf.reshape(ids, [-1])
    return refuse(is_bad, lambda: tf.reshape(find(), [-1]), rows, message, show)


def keras_mask(y_pred: Any) -> tf.Tensor | None:
    """Returns where Keras says that predictions mean nothing.

    Layers such as `Masking`, and `Embedding(mask_zero=True)`, leave a mask on
    what follows them: steps that only fill a sequence up.

    Args:
        y_pred: What the network gave, `[..., N]`.

    Returns:
        bool `[P]`, False where they mean nothing; None if nothing is masked.
    """
    mask = getattr(y_pred, "_keras_mask", None)
    return None if mask is None else tf.reshape(tf.cast(mask, tf.bool), [-1])


def target_kind(y_true: tf.Tensor, pred: tf.TensorShape) -> str:
    """Returns what targets hold, read from their shape, whatever their dtype.

    Args:
        y_true: Class ids `[...]` or `[..., 1]`, or distributions `[..., N]`.
        pred: The shape of predictions, `[..., N]`.

    Returns:
        `"labels"` or `"distributions"`; where the shape does not tell, integers
        are labels, and of floats it is `"either"`: their number tells.

    Raises:
        ValueError: If the shapes do not fit each other.

    Example:

    >>> target_kind(tf.zeros([2, 3]), tf.TensorShape([2, 3, 5]))
    'labels'
    """
    true = y_true.shape
    if true.rank is None or (true.rank == pred.rank and true[-1] is None):
        return "either" if y_true.dtype.is_floating else "labels"
    if true.rank == pred.rank - 1 and true.is_compatible_with(pred[:-1]):
        return "labels"
    if true.rank == pred.rank and true[:-1].is_compatible_with(pred[:-1]):
        if true[-1] == 1:
            return "labels"
        if true[-1] == pred[-1]:
            return "distributions"
    raise ValueError(
        "Invalid shape for argument `y_true`. Expected class ids "
        f"{pred[:-1]} (or with a last axis of 1), or distributions {pred}, to "
        f"fit y_pred. Received: shape={true}."
    )


def in_a_row(y_true: tf.Tensor, y_pred: tf.Tensor, last: int) -> tf.Tensor:
    """Returns targets as `[-1]`, that have the axes of predictions.

    Args:
        y_true: Targets of the predictions' axes but the last, and `last`; a
            last axis of 1 may be missing.
        y_pred: Predictions `[..., N]`.
        last: Size of the targets' last axis.

    Raises:
        tf.errors.InvalidArgumentError: If the axes differ, where they were
            unknown until the graph ran.
    """
    row = tf.reshape(y_true, [-1])
    known = y_true.shape.is_fully_defined(), y_pred.shape.is_fully_defined()
    if all(known):
        return row
    own, rank = tf.shape(y_true), y_pred.shape.rank
    wanted = tf.concat([tf.shape(y_pred)[:-1], [last]], axis=0)
    padded = tf.concat([own, tf.ones([rank], tf.int32)], axis=0)[:rank]
    fits = tf.reduce_all(padded == wanted)
    fits &= tf.size(row) == tf.reduce_prod(wanted)
    message = "Invalid shape for argument `y_true`. Expected, to fit y_pred,"
    said = [message, wanted, "Received: shape", own]
    check = tf.debugging.Assert(fits, said)
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(row)
