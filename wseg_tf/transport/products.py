"""Products with constant matrices to float32's precision, on GPUs too.

By default TensorFlow lets a GPU round the factors of a product to 11 bits
(TF32): good for a network's layers, but of an optimum's value the third digit
would be wrong. Forbidding it would slow the network. So here each factor is the
sum of parts that 11 bits hold, and the product a sum of products of parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.generic]

PARTS = 3  # of 11 bits; float32 has 24
HIGH_BITS = 0xFFFFE000  # sign, exponent and the 10 bits that TF32 stores


def are_rounded() -> bool:
    """Whether this program's products of matrices may be rounded to TF32."""
    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    return bool(allowed and tf.config.list_physical_devices("GPU"))


def multiply(values: tf.Tensor, matrix: Array) -> tf.Tensor:
    """Returns `values @ matrix` to float32's precision.

    Args:
        values: float32 `[P, K]`, finite.
        matrix: `[K, M]`, taken as float32.

    Returns:
        float32 `[P, M]`, with a gradient for `values`.

    Example:

    >>> multiply(tf.constant([[1.0, 2.0]]), np.array([[3], [4]])).numpy()
    array([[11.]], dtype=float32)
    """
    factor = np.asarray(matrix, np.float32)
    if not are_rounded():
        return tf.linalg.matmul(values, tf.constant(factor))

    def value_and_gradient(values: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return multiply(upstream, factor.T)

        return _by_parts(values, factor), gradient

    product: tf.Tensor = tf.custom_gradient(value_and_gradient)(values)
    return product


def row_sum(values: tf.Tensor) -> tf.Tensor:
    """Returns the sum over classes, `[P, 1]`.

    On a CPU a product with ones: over so short an axis it beats
    `tf.reduce_sum`.

    Args:
        values: float32 `[P, N]`.
    """
    if are_rounded():
        return tf.reduce_sum(values, axis=-1, keepdims=True)
    return tf.linalg.matmul(values, tf.ones([values.shape[-1], 1]))


def _by_parts(values: tf.Tensor, matrix: npt.NDArray[np.float32]) -> tf.Tensor:
    """Sums the products of parts, smallest left out, in one wide product."""
    left, rest = [], values
    for _ in range(PARTS):
        bits = tf.bitwise.bitwise_and(
            tf.bitcast(rest, tf.uint32), tf.constant(HIGH_BITS, tf.uint32)
        )
        left.append(tf.bitcast(bits, tf.float32))
        rest = rest - left[-1]
    right: list[npt.NDArray[np.float32]] = []
    remains = matrix
    while remains.any() and len(right) < PARTS:
        high = (remains.view(np.uint32) & np.uint32(HIGH_BITS)).view(np.float32)
        right.append(high)
        remains = remains - high
    pairs = [
        (one, other)
        for index, one in enumerate(left)
        for place, other in enumerate(right or [matrix])
        if index + place < PARTS
    ]
    return tf.linalg.matmul(
        tf.concat([one for one, _ in pairs], axis=-1),
        tf.constant(np.concatenate([other for _, other in pairs])),
    )
