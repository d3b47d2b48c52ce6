"""Deciding by the ground matrix what a trained network says."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wseg_tf.ground import GroundMatrix
from wseg_tf.transport.products import multiply

LIKELIEST = "likeliest"
LEAST_RISK = "least_risk"
DECISIONS = (LIKELIEST, LEAST_RISK)


def ground_of(
    decision: str, ground: GroundMatrix | None
) -> GroundMatrix | None:
    """Returns the matrix that a rule of decision needs, None if none.

    Args:
        decision: One of `DECISIONS`.
        ground: D.

    Raises:
        ValueError: If the rule is unknown, or needs a matrix and has none.
    """
    if decision not in DECISIONS:
        raise ValueError(
            "Invalid value for argument `decision`. Expected one of "
            f"{list(DECISIONS)}. Received: decision={decision!r}."
        )
    if decision == LIKELIEST:
        return None
    if ground is None:
        raise ValueError(
            "Invalid value for argument `ground`. Expected a ground matrix to "
            f"decide by, with decision={decision!r}. Received: ground=None."
        )
    return ground


def risk(logits: tf.Tensor, ground: GroundMatrix) -> tf.Tensor:
    r"""Returns the severity that each decision risks.

    .. math:: r_j = \sum_i p_i D_{ij}, \quad p = \mathrm{softmax}(z)

    Args:
        logits: `[..., N]`.
        ground: D, rows truth, columns decision.

    Returns:
        float32 `[..., N]`, in units of D.

    Raises:
        ValueError: If D is of another number of classes.
    """
    logits = tf.convert_to_tensor(logits)
    if logits.shape[-1] not in (None, len(ground)):
        raise ValueError(
            "Invalid shape for argument `logits`. Expected a last axis of "
            f"{len(ground)}, the classes of the ground matrix. Received: "
            f"shape={logits.shape}."
        )
    p = tf.nn.softmax(tf.cast(logits, tf.float32))
    rows = multiply(tf.reshape(p, [-1, len(ground)]), ground.values)
    risked = tf.reshape(rows, tf.shape(p))
    risked.set_shape(p.shape)
    return risked


def decide(logits: tf.Tensor, ground: GroundMatrix | None = None) -> tf.Tensor:
    """Returns the class ids that a network decides for.

    Args:
        logits: `[..., N]`.
        ground: D, to decide for the least expected severity; for the likeliest
            class by default.

    Returns:
        int32 `[...]`.

    Example: Probably road; but missing a pedestrian costs ten times as much.

    >>> logits = tf.math.log([[0.8, 0.2]])  # Road, pedestrian.
    >>> decide(logits).numpy()
    array([0], dtype=int32)
    >>> decide(logits, GroundMatrix([[0, 1], [10, 0]])).numpy()
    array([1], dtype=int32)
    """
    scores = logits if ground is None else -risk(logits, ground)
    return tf.argmax(scores, axis=-1, output_type=tf.int32)


@keras.saving.register_keras_serializable(package="wseg_tf")
class LeastRisk(keras.layers.Layer):
    """Turns logits into minus the severity that each decision risks.

    Minus `risk`, so that the largest output is the decision of least expected
    severity, if p are the probabilities that they claim to be (Bayes' rule; not
    in the paper).

    Args:
        ground: N x N, rows truth, columns decision; nested lists or a
            `GroundMatrix`.
        **kwargs: Those of every Keras layer.

    Example: Probably road; but missing a pedestrian costs ten times as much.

    >>> ground = [[0.0, 1.0], [10.0, 0.0]]  # Road, pedestrian.
    >>> logits = tf.math.log([[0.8, 0.2]])
    >>> risked = LeastRisk(ground)(logits)  # -2.0 and -0.8.
    >>> int(tf.argmax(risked[0]))
    1
    """

    def __init__(self, ground: Any, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if not isinstance(ground, GroundMatrix):
            ground = GroundMatrix(np.asarray(ground))
        self.ground = ground

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[..., N]`, float32, of logits `[..., N]`."""
        return -risk(inputs, self.ground)

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
