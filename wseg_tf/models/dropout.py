"""Dropout whose random state can be saved, so that a training can resume."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="wseg_tf")
class Dropout(keras.layers.Layer):
    """Drops values at random while training.

    It does what `keras.layers.Dropout` does, from a `tf.random.Generator` of
    its own: a checkpoint can hold the generator's state (see `generators`), on
    every version of Keras, and replicas draw different numbers.

    Args:
        rate: Probability that a value is dropped, 0 to 1 excluded.
        **kwargs: Those of every Keras layer.

    Example:

    >>> dropped = Dropout(0.5)(tf.ones([2, 8]), training=True)
    >>> sorted(set(dropped.numpy().ravel().tolist()) | {0.0, 2.0})
    [0.0, 2.0]
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(
                "Invalid value for argument `rate`. Expected 0 <= rate < 1. "
                f"Received: rate={rate}."
            )
        self.rate = rate
        # `keras.utils.set_random_seed` seeds Python's generator, too.
        seed = random.getrandbits(62)
        self.generator = tf.random.Generator.from_seed(seed)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Drops values of `[B, ...]` and scales up the others."""
        if not training or self.rate == 0:
            return inputs
        drawn = self.generator.uniform(self._drawn_shape(inputs))
        kept = tf.cast(drawn >= self.rate, inputs.dtype)
        return inputs * (kept / (1 - self.rate))

    def _drawn_shape(self, inputs: tf.Tensor) -> Any:
        return tf.shape(inputs)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable(package="wseg_tf")
class ChannelDropout(Dropout):
    """Drops whole channels at random while training.

    It does what `keras.layers.SpatialDropout2D` does by a product with one
    number per channel, which costs a third of a select over every pixel.

    Args:
        rate: Probability that a channel is dropped, 0 to 1 excluded.
        **kwargs: Those of every Keras layer.

    Example:

    >>> image = tf.ones([2, 3, 3, 8])
    >>> dropped = ChannelDropout(0.5)(image, training=True)
    >>> sorted(set(dropped.numpy().ravel().tolist()) | {0.0, 2.0})
    [0.0, 2.0]
    """

    def _drawn_shape(self, inputs: tf.Tensor) -> Any:
        return [tf.shape(inputs)[0], 1, 1, inputs.shape[-1]]


def generators(model: keras.Model) -> list[tf.random.Generator]:
    """Returns the generators of a model's dropout, in the layers' order.

    Args:
        model: Any model.

    Returns:
        Generators; their `state` is what a checkpoint must hold.

    Example:

    >>> from wseg_tf.models import build
    >>> len(generators(build("enet", 2, width=0.25)))
    27
    """
    return [each.generator for each in _dropouts(model)]


def _dropouts(model: keras.Model) -> Iterator[Dropout]:
    for layer in model.layers:
        if isinstance(layer, Dropout):
            yield layer
        elif isinstance(layer, keras.Model):
            yield from _dropouts(layer)
