"""What is refused of tensors, in eager mode and in graphs."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

Show = Callable[[tf.Tensor], tf.Tensor]
Find = Callable[[], tf.Tensor]

# By so much a mass may miss 1: bfloat16 has 8 bits.
TOLERANCE = 0.01


def refuse(
    is_bad: tf.Tensor,
    find: Find,
    rows: tf.Tensor,
    message: str,
    show: Show = tf.identity,
) -> tf.Tensor:
    """Refuses a batch, and shows what was found.

    Args:
        is_bad: A bool scalar, whether any row is refused.
        find: Returns bool `[P]`, which rows are; called where any is.
        rows: `[P, ...]`, what is shown of them.
        message: What was expected; `"Received:"` and the rows follow.
        show: How they are shown. Defaults to as they are.

    Returns:
        `is_bad`. XLA has no errors, so there it is the caller who speaks, by
        NaN.

    Raises:
        ValueError: In eager mode, if any is bad.
        tf.errors.InvalidArgumentError: The same when a graph runs.
    """
    if tf.executing_eagerly():
        if bool(is_bad):
            found = show(tf.boolean_mask(rows, find())[:5]).numpy().tolist()
            raise ValueError(f"{message} Received: {found}.")
        return is_bad

    def first() -> tf.Tensor:
        # A row more: of an empty batch XLA finds no largest.
        padded = tf.pad(tf.cast(find(), tf.float32), [[0, 1]])
        more = tf.concat(
            [rows, tf.zeros([1, *rows.shape[1:]], rows.dtype)], axis=0
        )
        return show(more[tf.argmax(padded)])

    def nothing() -> tf.Tensor:
        return show(tf.zeros(rows.shape[1:], rows.dtype))

    # Looked for where it is needed alone; XLA drops assertions and all that
    # leads to them.
    shown = tf.cond(is_bad, first, nothing)
    check = tf.debugging.Assert(~is_bad, [f"{message} Received:", shown])
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(is_bad)


def refuse_masses(
    rows: tf.Tensor, mass: tf.Tensor, valid: tf.Tensor, partial: bool = False
) -> tf.Tensor:
    """Refuses targets that are no distributions, as `refuse` does.

    Args:
        rows: float32 `[P, N]`.
        mass: Their sums `[P]`.
        valid: bool `[P]`, False for void.
        partial: Whether masses may sum to anything. Defaults to False.

    Returns:
        A bool scalar, whether any is bad. Shares below 0 of a row that sums
        to 1 are seen in eager mode alone, where a pass more is not dear.
    """
    bad = tf.math.is_nan(mass)
    if not partial:
        bad |= valid & (tf.abs(mass - 1.0) > TOLERANCE)
    if tf.executing_eagerly():
        bad |= tf.reduce_min(rows, axis=-1) < -TOLERANCE
    sums = "" if partial else " that sum to 1 over classes"
    message = (
        "Invalid value for argument `y_true`. Expected distributions, "
        f"shares >= 0{sums} (to 0 where void)."
    )
    return refuse(tf.reduce_any(bad), lambda: bad, rows, message)
