"""One step of training, compiled: images and labels in, the loss out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.training.optimizers import KERAS_2
from wseg_tf.training.precision import gradients

Step = Callable[[Any, Any], tf.Tensor]


def compile_step(
    model: keras.Model,
    loss: keras.losses.Loss,
    optimizer: Any,
    strategy: tf.distribute.Strategy,
    signature: Any = None,
    xla: bool = False,
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
        xla: Whether XLA compiles it.

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
            move,
            input_signature=signature,
            jit_compile=xla or None,
            autograph=False,
        )
        return alone

    def move_all(images: Any, labels: Any) -> tf.Tensor:
        values = strategy.run(move, args=(images, labels))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

    together: Step = tf.function(move_all, autograph=False)
    return together
