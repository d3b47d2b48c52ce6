"""Probabilities or logits: what predictions are, and what they must be."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from wseg_tf.refusal import TOLERANCE, refuse, refuse_masses
from wseg_tf.transport.products import row_sum

if TYPE_CHECKING:
    from wseg_tf.losses.targets import Pixels

# Operations that make logits, and those that may follow them: Keras 3 adds
# biases by a plain sum.
PRODUCTS = ("Conv2D", "Conv2DBackpropInput", "MatMul", "Einsum")
PASSING = ("AddV2", "BiasAdd", "Cast", "Identity", "Reshape", "ResizeBilinear")


def predicted_logits(y_pred: Any, from_logits: bool) -> tuple[Any, bool]:
    """Returns the logits of a softmax in place of its output, as Keras does.

    So confident errors of a network that ends in a softmax have a gradient,
    where probabilities of 0 have none.

    Args:
        y_pred: What the network gave.
        from_logits: Whether the user says that it is logits.

    Returns:
        Predictions, and whether they are logits.

    Example:

    >>> y_pred = tf.constant([[0.5, 0.5]])
    >>> predicted_logits(y_pred, from_logits=False)[1]
    False
    """
    logits = _before_softmax(y_pred)
    if logits is None:
        if not from_logits and _is_linear(y_pred):
            warnings.warn(
                "`from_logits=False`, but `y_pred` is the output of a "
                "convolution or a product, so no probabilities: give "
                "`from_logits=True` for logits.",
                stacklevel=4,
            )
        return y_pred, from_logits
    if from_logits:
        warnings.warn(
            "`from_logits=True`, but `y_pred` is the output of a softmax. Its "
            "logits are taken.",
            stacklevel=4,
        )
    return logits, True


def _before_softmax(y_pred: Any) -> tf.Tensor | None:
    """Returns the logits that Keras, or the graph, keeps of a softmax."""
    if not tf.is_tensor(y_pred):
        return None
    if not tf.executing_eagerly():
        operation = _operation(y_pred)
        is_softmax = operation is not None and operation.type == "Softmax"
        return operation.inputs[0] if is_softmax else None
    logits = getattr(y_pred, "_keras_logits", None)
    if logits is None or logits.shape != y_pred.shape:
        return None
    # Keras keeps those of a sigmoid, and of other axes, too.
    error = tf.abs(tf.nn.softmax(logits) - y_pred)
    return None if bool(tf.reduce_any(error > TOLERANCE)) else logits


def _is_linear(y_pred: Any) -> bool:
    """Whether a graph says that nothing follows the last layer's product.

    XLA has no errors; so it is said before XLA compiles.
    """
    if not tf.is_tensor(y_pred) or tf.executing_eagerly():
        return False
    operation = _operation(y_pred)
    while (
        operation is not None and operation.type in PASSING and operation.inputs
    ):
        operation = operation.inputs[0].op
    return operation is not None and operation.type in PRODUCTS


def _operation(tensor: Any) -> Any:
    """Returns what makes a tensor in a graph; None if it comes from outside."""
    return getattr(tensor, "op", None)


def checked(loss: tf.Tensor, pixels: Pixels, partial: bool) -> tf.Tensor:
    """Returns a loss, or an error if it is of what are no distributions.

    Args:
        loss: float32, of any shape.
        pixels: What `flatten` returned.
        partial: Whether masses may sum to anything.

    Returns:
        The loss; NaN where XLA, which has no errors, compiles it.

    Raises:
        ValueError: If a valid pixel's probabilities or target are no
            distribution, in eager mode.
        tf.errors.InvalidArgumentError: The same when a graph runs, but for
            shares below 0 of a target.
    """
    found = []
    if not pixels.from_logits:
        rows = pixels.predictions
        bad = tf.reduce_min(rows, axis=-1) < -TOLERANCE
        if not partial:
            bad |= tf.abs(row_sum(rows)[:, 0] - 1.0) > TOLERANCE
        bad &= pixels.valid
        sums = "" if partial else " that sum to 1 over classes"
        message = (
            "Invalid value for argument `y_pred`. Expected probabilities >= 0"
            f"{sums}, or `from_logits=True` for logits."
        )
        is_bad = tf.reduce_any(bad)
        found.append(refuse(is_bad, lambda: bad, rows, message))
    if pixels.distributions is not None:
        rows = pixels.distributions
        mass = row_sum(rows)[:, 0]  # As `flatten` has it.
        found.append(refuse_masses(rows, mass, pixels.valid, partial))
    if not found or tf.executing_eagerly():
        return loss
    is_bad = tf.reduce_any(tf.stack(found))
    return loss * tf.where(is_bad, float("nan"), 1.0)
