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
    is_map = own.rank == rank + 1 and own[-1] in (1, None)
    known = tf.get_static_value(shape)
    fits = own.rank is None or own.rank <= rank or is_map
    if fits and own.is_fully_defined() and known is not None:
        pairs = zip(own, known, strict=False)
        fits = all(size in (1, wanted) for size, wanted in pairs)
    if not fits:
        sizes = [None] * rank if known is None else known.tolist()
        raise ValueError(
            "Invalid shape for argument `sample_weight`. Expected a scalar, "
            f"one weight an image [B], or one a pixel {sizes}. Received: "
            f"shape={own}."
        )
    # [B] weighs images: it aligns on the left.
    sizes = tf.shape(weight)[:rank]
    sizes = tf.pad(sizes, [[0, rank - tf.size(sizes)]], constant_values=1)
    sizes = tf.ensure_shape(sizes, [rank])
    return tf.reshape(tf.broadcast_to(tf.reshape(weight, sizes), shape), [-1])
