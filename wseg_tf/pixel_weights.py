"""Sample weights: a weight a pixel, in whatever shape they are given."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def pixel_weights(sample_weight: Any, shape: Any) -> tf.Tensor:
    """Returns one weight a pixel.

    Args:
        sample_weight: A weight a pixel `[...]` or `[..., 1]`, an image `[B]`,
            or a scalar; its rank may be unknown.
        shape: int32 vector, that of a map of pixels `[B, ...]`.

    Returns:
        float32 `[P]`.

    Raises:
        ValueError: If the weights do not fit the map; where sizes are unknown,
            it is an error of TensorFlow when the graph runs.

    Example:

    >>> pixel_weights([1.0, 0.5], tf.constant([2, 2])).numpy()
    array([1. , 1. , 0.5, 0.5], dtype=float32)
    """
    weight = tf.cast(tf.convert_to_tensor(sample_weight), tf.float32)
    own, rank = weight.shape, shape.shape[0]
    known = tf.get_static_value(shape)
    if own.rank is not None and not _fits([*own], rank, known):
        sizes = [None] * rank if known is None else known.tolist()
        raise ValueError(
            "Invalid shape for argument `sample_weight`. Expected a scalar, "
            f"one weight an image [B], or one a pixel {sizes}. Received: "
            f"shape={own}. (Keras' `fit(class_weight=...)` makes weights of "
            "one label an image; give the loss `class_weights` instead.)"
        )
    # [B] weighs images: it aligns on the left.
    sizes = tf.shape(weight)[:rank]
    sizes = tf.pad(sizes, [[0, rank - tf.size(sizes)]], constant_values=1)
    sizes = tf.ensure_shape(sizes, [rank])
    return tf.reshape(tf.broadcast_to(tf.reshape(weight, sizes), shape), [-1])


def _fits(own: list[int | None], rank: int, known: Any) -> bool:
    """Whether weights of a shape are of images or of pixels, or may be."""
    if len(own) == rank + 1 and own[-1] in (1, None):
        own = own[:-1]
    # Fewer axes than a map has, and more than one, are neither.
    of_images = all(size in (1, None) for size in own[1:])
    if len(own) > rank or not (of_images or len(own) == rank):
        return False
    wanted = [None] * rank if known is None else [*known]
    pairs = zip(own, wanted, strict=False)
    return all(None in pair or pair[0] in (1, pair[1]) for pair in pairs)
