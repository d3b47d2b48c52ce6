"""Batch normalisation for weights that no training step has seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from wseg_tf.models.finetuning import all_layers


def renew_statistics(model: keras.Model, batches: Iterable[Any]) -> None:
    """Gives batch normalisation the statistics of a model's present weights.

    An average of weights has other activations than the weights it is made
    of; the moving statistics become the mean of those of the batches.

    Source: Izmailov et al., Averaging Weights Leads to Wider Optima and Better
    Generalization, UAI 2018, Sec. 3.2.

    Args:
        model: The model; frozen batch normalisation stays as it is.
        batches: Tuples of images `[B, H, W, 3]` and labels, one pass.

    Example:

    >>> import tensorflow as tf
    >>> layer = keras.layers.BatchNormalization(center=False, scale=False)
    >>> model = keras.Sequential([keras.layers.Input([1, 1, 1]), layer])
    >>> images = tf.reshape([1.0, 3.0, 8.0, 8.0], [2, 2, 1, 1, 1])
    >>> renew_statistics(model, [(image, None) for image in images])
    >>> [float(value) for value in layer.moving_mean.numpy()]
    [5.0]
    """
    layers = [
        layer
        for layer in all_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not layers:
        return
    before = [layer.momentum for layer in layers]
    try:
        for count, (images, _) in enumerate(batches):
            for layer in layers:
                # So the k-th batch weighs 1 / k: a plain mean.
                layer.momentum = count / (count + 1)
            model(images, training=True)
    finally:
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum
