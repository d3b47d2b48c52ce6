"""Deciding by the ground matrix what a trained network says."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wseg_tf.ground import GroundMatrix


@keras.saving.register_keras_serializable(package="wseg_tf")
class LeastRisk(keras.layers.Layer):
    r"""Turns logits into minus the severity that each decision risks.

    .. math:: o_j = -\sum_i p_i D_{ij}, \quad p = \mathrm{softmax}(z)

    The largest output is the decision of least expected severity, if p are the
    probabilities that they claim to be (Bayes' rule; not in the paper).

    Args:
        ground: N x N, rows truth, columns decision; nested lists or a
            `GroundMatrix`.
        **kwargs: Those of every Keras layer.

    Example: Probably road; but missing a pedestrian costs ten times as much.

    >>> ground = [[0.0, 1.0], [10.0, 0.0]]  # Road, pedestrian.
    >>> logits = tf.math.log([[0.8, 0.2]])
    >>> LeastRisk(ground)(logits).numpy().argmax()  # -2.0 and -0.8.
    1
    """

    def __init__(self, ground: Any, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if not isinstance(ground, GroundMatrix):
            ground = GroundMatrix(np.asarray(ground))
        self.ground = ground

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[..., N]`, float32, of logits `[..., N]`."""
        p = tf.nn.softmax(tf.cast(inputs, tf.float32))
        return -tf.tensordot(p, tf.cast(self.ground.values, tf.float32), 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "ground": self.ground.values.tolist()}


def least_risk(model: keras.Model, ground: GroundMatrix) -> keras.Model:
    """Returns a model that decides by D; nothing is trained.

    What a ground matrix brings without training is the mark that training with
    it has to beat, and a preview of it before hours are spent.

    Args:
        model: Maps images to logits `[B, H, W, N]`.
        ground: D, rows truth, columns decision.

    Returns:
        A model of the same weights with the outputs of `LeastRisk`.

    Example:

    >>> image = keras.Input([None, None, 3])
    >>> model = keras.Model(image, keras.layers.Conv2D(2, 1)(image))
    >>> decided = least_risk(model, GroundMatrix([[0, 1], [10, 0]]))
    >>> decided(tf.zeros([1, 1, 1, 3])).numpy().ravel().tolist()
    [-5.0, -0.5]
    """
    outputs = LeastRisk(ground)(model.outputs[0])
    return keras.Model(model.inputs, outputs)
