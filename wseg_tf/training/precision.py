"""Precision: a policy while a network is built, and the loss scaled by it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """Builds layers under a Keras policy, then restores the one before.

    Args:
        name: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.

    Example:

    >>> with policy("mixed_bfloat16"):
    ...     layer = keras.layers.Conv2D(2, 1)
    >>> layer.compute_dtype, keras.layers.Conv2D(2, 1).compute_dtype
    ('bfloat16', 'float32')
    """
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def scaled(optimizer: Any, precision: str) -> Any:
    """Wraps an optimiser so that small float16 gradients survive.

    `compile` would do it from the global policy, which is reset by then.

    Args:
        optimizer: Any optimiser.
        precision: The policy of the network.

    Returns:
        Under `"mixed_float16"` a `LossScaleOptimizer` with a dynamic scale,
        which leaves out the steps whose gradients are not finite; otherwise
        the optimiser as it is.

    Example:

    >>> optimizer = keras.optimizers.SGD(0.1)
    >>> scaled(optimizer, "mixed_bfloat16") is optimizer
    True
    """
    if precision != "mixed_float16":
        return optimizer
    return keras.mixed_precision.LossScaleOptimizer(optimizer)


def gradients(
    tape: tf.GradientTape, loss: tf.Tensor, variables: Any, optimizer: Any
) -> list[tf.Tensor]:
    """Returns what `apply_gradients` of an optimiser takes for a loss.

    Args:
        tape: The tape, still recording.
        loss: The loss, a float32 scalar.
        variables: What to differentiate by.
        optimizer: What `scaled` returned.

    Returns:
        Gradients; of the scaled loss where the optimiser unscales them itself
        (Keras 3), otherwise of the loss.
    """
    if hasattr(optimizer, "get_scaled_loss"):  # Keras 2.
        with tape:
            loss = optimizer.get_scaled_loss(loss)
        found = tape.gradient(loss, variables)
        return list(optimizer.get_unscaled_gradients(found))
    if hasattr(optimizer, "scale_loss"):
        with tape:
            loss = optimizer.scale_loss(loss)
    return list(tape.gradient(loss, variables))
