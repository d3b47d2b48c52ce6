"""What is refused of tensors, in eager mode and in graphs."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

Show = Callable[[tf.Tensor], tf.Tensor]


def refuse(
    bad: tf.Tensor, rows: tf.Tensor, message: str, show: Show = tf.identity
) -> tf.Tensor:
    """Refuses a batch, and shows what was found.

    Args:
        bad: bool `[P]`, which rows are refused.
        rows: `[P, ...]`, what is shown of them.
        message: What was expected; `"Received:"` and the rows follow.
        show: How they are shown. Defaults to as they are.

    Returns:
        A bool scalar, whether any is bad. XLA has no errors, so there it is
        the caller who speaks, by NaN.

    Raises:
        ValueError: In eager mode, if any is bad.
        tf.errors.InvalidArgumentError: The same when a graph runs.
    """
    is_bad = tf.reduce_any(bad)
    if tf.executing_eagerly():
        if bool(is_bad):
            found = show(tf.boolean_mask(rows, bad)[:5]).numpy().tolist()
            raise ValueError(f"{message} Received: {found}.")
        return is_bad

    def first() -> tf.Tensor:
        return show(rows[tf.argmax(tf.cast(bad, tf.float32))])

    def nothing() -> tf.Tensor:
        return show(tf.zeros(rows.shape[1:], rows.dtype))

    # Looked for where it is needed alone; XLA drops assertions and all that
    # leads to them.
    shown = tf.cond(is_bad, first, nothing)
    check = tf.debugging.Assert(~is_bad, [f"{message} Received:", shown])
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(is_bad)
