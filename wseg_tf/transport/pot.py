"""Optimal potentials by POT's network simplex, a pixel at a time.

It is exact in float64 and runs outside of TensorFlow's graph, on one core. From
some 60 classes on it is faster than our own solver; XLA cannot compile it.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float64]


def is_installed() -> bool:
    """Whether there is POT (the package `ot`)."""
    return importlib.util.find_spec("ot") is not None


def source_potentials(masses: tf.Tensor, cost: Array) -> tf.Tensor:
    """Returns optimal potentials of the sources.

    Args:
        masses: s and t side by side, float32 `[P, 2 N]`, of equal sums.
        cost: `[N, N]`, from source (row) to target (column).

    Returns:
        float32 `[P, N]`; 0 where a pixel has no mass to move.
    """

    def each(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        found = [_potentials(row.astype(np.float64), cost) for row in rows]
        return np.asarray(found, np.float32).reshape(len(rows), len(cost))

    potentials = tf.numpy_function(each, [masses], tf.float32, stateful=False)
    return tf.ensure_shape(potentials, [masses.shape[0], len(cost)])


def _potentials(row: Array, cost: Array) -> Array:
    import ot

    count = len(cost)
    s, t = row[:count], row[count:]
    if not (s.sum() > 0 and t.sum() > 0):
        return np.zeros(count)
    plan = ot.lp.emd(s / s.sum(), t / t.sum(), cost, log=True)[1]
    # What a class without mass has is arbitrary: the tightest it may have.
    reach = (cost - plan["u"][:, None])[s > 0].min(axis=0)
    return np.asarray((cost - reach).min(axis=1))
