"""One step of training, compiled: images and labels in, the loss out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.training.optimizers import KERAS_2
from wseg_tf.training.precision import gradients

LOG = logging.getLogger(__name__)

Step = Callable[[Any, Any], tf.Tensor]
AUTO = "auto"


def compile_step(
    model: keras.Model,
    loss: keras.losses.Loss,
    optimizer: Any,
    strategy: tf.distribute.Strategy,
    signature: Any = None,
    xla: bool | str = False,
) -> Step:
    """Returns the function that moves a model's weights by one batch.

    With several replicas, the losses of this package divide by the valid
    pixels of all of them, so the step is that of one replica with the whole
    batch. What the loss itself measures in a batch (IAL's weights, Dice's
    ratios) and batch normalisation stay within a replica.

    Args:
        model: Maps images `[B, H, W, 3]` to logits `[B, H, W, N]`.
        loss: A loss over logits.
        optimizer: An optimiser, prepared, scaled if the precision wants it.
        strategy: Where it runs.
        signature: The data set's `element_spec`; by default each new shape is
            compiled anew.
        xla: Whether XLA compiles it, on one device; `"auto"`: if there is a
            GPU, and XLA can. It is compiled for the largest batch; a smaller
            one, as the last of an epoch, is computed without.

    Returns:
        A function from images and labels to the batch's loss, float32.
    """
    replicas = strategy.num_replicas_in_sync
    # The losses of this package leave this to Keras 2's own `fit`.
    share = 1 / replicas if KERAS_2 else 1.0

    def move(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(labels, model(images, training=True))
            if replicas > 1:
                value *= share
            if model.losses:
                value += tf.add_n(model.losses) / replicas
        weights = model.trainable_variables
        found = gradients(tape, value, weights, optimizer)
        optimizer.apply_gradients(zip(found, weights, strict=True))
        return value

    if replicas == 1:
        alone: Step = tf.function(
            move, input_signature=signature, autograph=False
        )
        if uses_xla(xla):
            fast = tf.function(move, jit_compile=True, autograph=False)
            return _compiled_once(fast, alone, must=xla is True)
        return alone

    def move_all(images: Any, labels: Any) -> tf.Tensor:
        values = strategy.run(move, args=(images, labels))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

    together: Step = tf.function(move_all, autograph=False)
    return together


def uses_xla(xla: bool | str) -> bool:
    """Returns whether XLA compiles a step on one device.

    Args:
        xla: Yes or no, or `"auto"`: if there is a GPU.

    Example:

    >>> uses_xla(True), uses_xla(False)
    (True, False)
    """
    if xla == AUTO:
        return bool(tf.config.list_physical_devices("GPU"))
    return bool(xla)


def _compiled_once(fast: Step, plain: Step, must: bool) -> Step:
    """Returns a step that XLA compiles for the largest batch alone.

    XLA compiles anew for each shape, which takes longer than the last batches
    of many epochs. What it cannot compile is left to `plain`, unless it must.
    """
    largest = 0
    can = True

    def first(images: Any, labels: Any) -> tf.Tensor:
        started = time.monotonic()
        value = fast(images, labels)
        float(value)  # Waits until it is done.
        took = time.monotonic() - started
        LOG.info("XLA compiled the training step in %.0f s.", took)
        return value

    def step(images: Any, labels: Any) -> tf.Tensor:
        nonlocal largest, can
        batch = int(images.shape[0])
        if not can or batch < largest:
            return plain(images, labels)
        if batch == largest:
            return fast(images, labels)
        try:
            value = first(images, labels)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            if must:
                raise
            LOG.warning(
                "XLA cannot compile the training step; it runs without."
            )
            can = False
            return plain(images, labels)
        largest = batch
        return value

    return step
