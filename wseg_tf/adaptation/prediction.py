"""Predictions averaged over an image, its mirror and other sizes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from wseg_tf.transport.softmax import exponentials


def averaged_probabilities(
    model: keras.Model,
    images: tf.Tensor,
    flip: bool = True,
    scales: Sequence[float] = (1.0,),
) -> tf.Tensor:
    """Returns the mean of a model's probabilities over views of images.

    Args:
        model: Maps images `[B, H, W, 3]`, 0..255, to logits `[B, H, W, N]`.
        images: float32 `[B, H, W, 3]`.
        flip: Whether each view is mirrored left to right, too.
        scales: Views are resized by these; probabilities are resized back.

    Returns:
        float32 `[B, H, W, N]`.
    """
    size = tf.shape(images)[1:3]
    share = 1 / (len(scales) * (1 + flip))
    views = []
    for scale in scales:
        view = images
        if scale != 1:
            wanted = tf.round(tf.cast(size, tf.float32) * scale)
            wanted = tf.maximum(tf.cast(wanted, tf.int32), 1)
            view = tf.image.resize(images, wanted, antialias=True)
        found = _probabilities(model, view, share)
        if flip:
            mirrored = _probabilities(model, tf.reverse(view, [2]), share)
            found += tf.reverse(mirrored, [2])
        if scale != 1:
            found = tf.image.resize(found, size)
        views.append(found)
    return tf.add_n(views)


def predictor(
    model: keras.Model,
    flip: bool = True,
    scales: Sequence[float] = (1.0,),
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `averaged_probabilities` of a model, compiled once.

    Args:
        model: See `averaged_probabilities`.
        flip: The same.
        scales: The same.

    Returns:
        A function from images to probabilities.
    """
    scales = tuple(scales)

    @tf.function(reduce_retracing=True, autograph=False)
    def predict(images: tf.Tensor) -> tf.Tensor:
        return averaged_probabilities(model, images, flip, scales)

    compiled: Callable[[tf.Tensor], tf.Tensor] = predict
    return compiled


def _probabilities(
    model: keras.Model, images: tf.Tensor, share: float
) -> tf.Tensor:
    """Returns a share of the probabilities: their mean is then a sum."""
    logits = tf.cast(model(images, training=False), tf.float32)
    shape = tf.shape(logits)
    powers, totals = exponentials(tf.reshape(logits, [-1, logits.shape[-1]]))
    return tf.reshape(powers * (share / totals), shape)
