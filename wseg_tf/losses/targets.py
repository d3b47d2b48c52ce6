"""What every loss shares: labels, void pixels, and what is refused.

A loss of this package is a function from `Pixels` to one value a pixel. How
labels come in and what void means is settled here, once; `reduction` says how
the mean is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from wseg_tf.class_ids import (
    checked_void,
    in_a_row,
    keras_mask,
    read_ids,
    refuse_unknown,
    signed,
    target_kind,
)
from wseg_tf.losses.checks import checked, predicted_logits
from wseg_tf.losses.reduction import (
    MEAN,
    WEIGHTED_MEAN,
    checked_reduction,
    reduce,
)
from wseg_tf.transport.products import row_sum


class Pixels(NamedTuple):
    """A batch laid out as one row a pixel, `P` of them, with `N` classes.

    Exactly one of `labels` and `distributions` is given.

    Attributes:
        predictions: float32 `[P, N]`, logits or probabilities as they came.
        labels: uint32 `[P]` class ids, or None. A label that is neither a
            class nor void has `N`, a void pixel has `N + 1`: no class of a
            one-hot, and a row of its own in a table that `look_up` reads.
        distributions: float32 `[P, N]` target probabilities, or None.
        valid: bool `[P]`, False for void.
        shape: int32 vector, the shape of a map of losses, e.g. `[B, H, W]`.
        from_logits: Whether the predictions are logits.
    """

    predictions: tf.Tensor
    labels: tf.Tensor | None
    distributions: tf.Tensor | None
    valid: tf.Tensor
    shape: tf.Tensor
    from_logits: bool = False

    def look_up(self, table: Any) -> tf.Tensor:
        """Returns each pixel's row of a table.

        The gradient is written out: TensorFlow's own brings rows to the host.

        Args:
            table: `[N + 2, ...]`; the last rows are for labels that nobody
                knows and for void.
        """
        rows = signed(self.labels)

        def value_and_gradient(table: tf.Tensor) -> Any:
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                count = table.shape[0]
                return tf.math.unsorted_segment_sum(upstream, rows, count)

            return tf.gather(table, rows), gradient

        return tf.custom_gradient(value_and_gradient)(table)


def flatten(
    y_true: Any,
    y_pred: Any,
    ignore_class: int | None = None,
    from_logits: bool = False,
    mask: tf.Tensor | None = None,
) -> Pixels:
    """Lays targets and predictions out as one row a pixel, in float32.

    What `y_true` holds is read from its static shape, whatever its dtype: with
    one axis less than `y_pred`, or a last axis of 1, it holds class ids; with
    the last axis of `y_pred` it holds distributions, one-hot or soft. Where
    that shape is unknown, integers are class ids, and of floats their number
    tells. A pixel is void if its label is `ignore_class`, or if its
    distribution has no mass outside `ignore_class` (an all-zero row, in
    particular), or if Keras masks it.

    Args:
        y_true: Class ids `[...]` or `[..., 1]`, or distributions `[..., N]`.
        y_pred: Logits or probabilities `[..., N]`, `N >= 2`.
        ignore_class: The label of void pixels. Defaults to None: no label is.
        from_logits: Whether `y_pred` holds logits. Defaults to False.
        mask: What `keras_mask` returned: void where False. Defaults to None.

    Returns:
        The `Pixels`.

    Raises:
        ValueError: If the shapes do not fit each other, or, in eager mode, if
            a label is neither a class nor `ignore_class`.
        tf.errors.InvalidArgumentError: The same bad label, in graph mode.
            Compiled by XLA, which has no errors, the loss becomes NaN.

    Example:

    >>> pixels = flatten([[0, 255]], [[[2.0, 1.0], [0.0, 3.0]]], 255)
    >>> pixels.labels.numpy().tolist(), pixels.valid.numpy().tolist()
    ([0, 3], [True, False])
    """
    y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
    rank = y_pred.shape.rank or 0
    classes = y_pred.shape[-1] if rank else None
    if rank < 2 or classes is None or classes < 2:
        raise ValueError(
            "Invalid shape for argument `y_pred`. Expected [..., N] with a "
            f"known rank and N >= 2. Received: shape={y_pred.shape}."
        )
    predictions = tf.reshape(tf.cast(y_pred, tf.float32), [-1, classes])
    shape = tf.shape(y_pred)[:-1]
    kind = target_kind(y_true, y_pred.shape)
    if kind == "labels":
        labels = _labels(y_true, y_pred, ignore_class)
        if mask is not None:
            void = tf.constant(classes + 1, tf.uint32)
            labels = tf.where(mask, labels, void)
        valid = labels <= classes
        return Pixels(predictions, labels, None, valid, shape, from_logits)
    if kind == "either":
        target = tf.cond(
            tf.equal(tf.size(y_true), tf.size(y_pred)),
            lambda: _shares(y_true, y_pred),
            lambda: _one_hot(_labels(y_true, y_pred, ignore_class), classes),
        )
    else:
        target = _shares(y_true, y_pred)
    if mask is not None:
        target = tf.where(mask[:, None], target, 0.0)
    mass = row_sum(target)[:, 0]
    if ignore_class is not None and 0 <= ignore_class < classes:
        mass = mass - target[:, ignore_class]
    # Not `~(mass <= 0)`: a graph's optimiser makes `mass > 0` of it.
    valid = (mass > 0.0) | tf.math.is_nan(mass)
    return Pixels(predictions, None, target, valid, shape, from_logits)


def _labels(
    y_true: tf.Tensor, y_pred: tf.Tensor, ignore_class: int | None
) -> tf.Tensor:
    """Returns class ids `[P]`."""
    classes = y_pred.shape[-1]
    ids = in_a_row(read_ids(y_true, classes, ignore_class), y_pred, 1)
    return refuse_unknown(y_true, ids, classes, ignore_class)


def _shares(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Returns distributions `[P, N]`."""
    classes = y_pred.shape[-1]
    row = in_a_row(y_true, y_pred, classes)
    return tf.reshape(tf.cast(row, tf.float32), [-1, classes])


def _one_hot(labels: tf.Tensor, classes: int) -> tf.Tensor:
    unknown, void = [[float("nan")] * classes], [[0.0] * classes]
    table = tf.concat([tf.eye(classes), unknown, void], axis=0)
    return tf.gather(table, signed(labels))


class PixelLoss(keras.losses.Loss):
    """A Keras loss made of one value a pixel; subclasses say which.

    It replaces Keras' own `__call__` because that one divides by all elements,
    void ones too. Arithmetic is float32 whatever the precision policy.

    Args:
        from_logits: Whether `y_pred` holds logits. Defaults to False:
            probabilities.
        ignore_class: The label of void pixels. Defaults to None: no label is.
        reduction: One of Keras' names. `"sum_over_batch_size"` (the default;
            also `"mean"` and `"auto"`) is the mean over valid pixels,
            `"mean_with_sample_weight"` divides by their weights, and `"sum"`
            and `"none"` (or None) are what they say.
        name: Name of the loss.
        class_names: Names of the classes in order. Defaults to None: nameless.

    Attributes:
        is_by_image: Whether it has one value an image, and none a pixel.
        partial: Whether masses may sum to anything.
    """

    is_by_image: bool = False
    partial: bool = False

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        known = checked_reduction(reduction)
        # Keras 2 knows one mean.
        self._is_weighted_mean = known == WEIGHTED_MEAN
        known = MEAN if self._is_weighted_mean else known
        super().__init__(reduction=known, name=name)
        if from_logits not in (True, False):
            raise ValueError(
                "Invalid value for argument `from_logits`. Expected True or "
                f"False. Received: from_logits={from_logits!r}."
            )
        self.from_logits = bool(from_logits)
        self.ignore_class = checked_void(ignore_class)
        self.class_names = None if class_names is None else tuple(class_names)

    @property
    def own_reduction(self) -> str:
        """What `checked_reduction` returned."""
        return WEIGHTED_MEAN if self._is_weighted_mean else self.reduction

    def pixel_losses(self, pixels: Pixels) -> tf.Tensor:
        """Returns the losses of a batch.

        Args:
            pixels: What `flatten` returned.

        Returns:
            float32 `[P]`; what it says of void pixels is dropped.
        """
        raise NotImplementedError

    def call(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """Returns the map of losses, unreduced, 0 where void.

        Args:
            y_true: Class ids or distributions, see `flatten`.
            y_pred: Logits or probabilities `[..., N]`.

        Returns:
            float32 `[...]`.
        """
        return self._checked(y_true, y_pred, None, "none")

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> tf.Tensor:
        """Returns the loss, weighted and reduced as `reduce` says.

        Args:
            y_true: Class ids or distributions, see `flatten`.
            y_pred: Logits or probabilities `[..., N]`.
            sample_weight: See `reduce`. Defaults to None.

        Returns:
            A float32 scalar, or for `"none"` a map `[...]`.
        """
        with tf.name_scope(self.name or type(self).__name__):
            return self._checked(
                y_true, y_pred, sample_weight, self.own_reduction
            )

    def _checked(
        self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str
    ) -> tf.Tensor:
        given, from_logits = predicted_logits(y_pred, self.from_logits)
        pixels = flatten(
            y_true, given, self.ignore_class, from_logits, keras_mask(y_pred)
        )
        loss = self.reduced(pixels, sample_weight, reduction)
        return checked(loss, pixels, self.partial)

    def reduced(
        self, pixels: Pixels, sample_weight: Any, reduction: str
    ) -> tf.Tensor:
        """Returns the reduced loss; to override where a shortcut exists.

        Args:
            pixels: What `flatten` returned.
            sample_weight: See `reduce`, or None.
            reduction: See `reduce`.

        Returns:
            A float32 scalar, or for `"none"` a map `[...]`.
        """
        losses = self.pixel_losses(pixels)
        return reduce(losses, pixels, sample_weight, reduction)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, for saving.

        Returns:
            A dictionary for `from_config`.
        """
        return {
            "from_logits": self.from_logits,
            "ignore_class": self.ignore_class,
            "reduction": self.own_reduction,
            "name": self.name,
        }
