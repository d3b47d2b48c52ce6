"""What every loss shares: labels, void pixels, weights and reductions.

A loss of this package is a function from `Pixels` to one value a pixel. How
labels come in, what void means and how the mean is taken is settled here, once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from wseg_tf.class_ids import signed, unsigned

REDUCTIONS = ("sum_over_batch_size", "sum", "none", None)


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
    """

    predictions: tf.Tensor
    labels: tf.Tensor | None
    distributions: tf.Tensor | None
    valid: tf.Tensor
    shape: tf.Tensor

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
    y_true: Any, y_pred: Any, ignore_class: int | None = None
) -> Pixels:
    """Lays targets and predictions out as one row a pixel, in float32.

    What `y_true` holds is read from its static shape, whatever its dtype: with
    one axis less than `y_pred`, or a last axis of 1, it holds class ids; with
    the last axis of `y_pred` it holds distributions, one-hot or soft. A pixel
    is void if its label is `ignore_class`, or if its distribution has no mass
    outside `ignore_class` (an all-zero row, in particular).

    Args:
        y_true: Class ids `[...]` or `[..., 1]`, or distributions `[..., N]`.
        y_pred: Logits or probabilities `[..., N]`, `N >= 2`.
        ignore_class: The label of void pixels. Defaults to None: no label is.

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
    rank, classes = y_pred.shape.rank, y_pred.shape[-1]
    if rank is None or rank < 2 or classes is None or classes < 2:
        raise ValueError(
            "Invalid shape for argument `y_pred`. Expected [..., N] with a "
            f"known rank and N >= 2. Received: shape={y_pred.shape}."
        )
    predictions = tf.reshape(tf.cast(y_pred, tf.float32), [-1, classes])
    shape = tf.shape(y_pred)[:-1]
    kind = _kind(y_true.shape, y_pred.shape)
    if kind == "distributions":
        target = tf.reshape(tf.cast(y_true, tf.float32), [-1, classes])
        mass = tf.reduce_sum(target, axis=-1)
        if ignore_class is not None and 0 <= ignore_class < classes:
            mass = mass - target[:, ignore_class]
        return Pixels(predictions, None, target, ~(mass <= 0.0), shape)
    if y_true.dtype.is_floating:
        y_true = tf.round(y_true)
    ids = tf.reshape(unsigned(y_true), [-1])
    labels = tf.minimum(ids, classes)
    if ignore_class is None:
        valid = tf.fill(tf.shape(ids), True)
    else:
        void = tf.equal(ids, ignore_class % 2**32)
        valid = ~void
        # A sum, since TensorFlow does not vectorise selects.
        place = ignore_class if 0 <= ignore_class < classes else classes
        labels += tf.cast(void, tf.uint32) * (classes + 1 - place)
    bad = tf.equal(labels, classes)
    labels = _refuse_unknown(ids, labels, bad, classes, ignore_class)
    return Pixels(predictions, labels, None, valid, shape)


def _kind(true: tf.TensorShape, pred: tf.TensorShape) -> str:
    if true.rank == pred.rank - 1 and true.is_compatible_with(pred[:-1]):
        return "labels"
    if true.rank == pred.rank and true[:-1].is_compatible_with(pred[:-1]):
        if true[-1] == 1:
            return "labels"
        if true[-1] == pred[-1]:
            return "distributions"
    raise ValueError(
        "Invalid shape for argument `y_true`. Expected class ids "
        f"{pred[:-1]} (or with a last axis of 1), or distributions {pred}, to "
        f"fit y_pred. Received: shape={true}."
    )


def _refuse_unknown(
    ids: tf.Tensor,
    labels: tf.Tensor,
    bad: tf.Tensor,
    classes: int,
    ignore_class: int | None,
) -> tf.Tensor:
    """Returns `labels`, or an error that shows a label nobody knows."""
    message = (
        f"Invalid label in `y_true`. Expected 0..{classes - 1} or "
        f"ignore_class={ignore_class}. Received:"
    )
    is_bad = tf.reduce_any(bad)
    if tf.executing_eagerly():
        if bool(is_bad):
            given = signed(tf.boolean_mask(ids, bad))
            unknown = sorted(set(given.numpy().tolist()))
            raise ValueError(f"{message} {unknown[:5]}.")
        return labels

    def largest() -> tf.Tensor:
        wide = tf.cast(ids, tf.int64)
        return tf.cast(tf.reduce_max(tf.where(bad, wide, 0)), ids.dtype)

    # Looked for where it is needed alone; XLA drops assertions and all that
    # leads to them, and the NaN row that losses keep for such labels speaks.
    found = tf.cond(is_bad, largest, lambda: tf.constant(0, ids.dtype))
    check = tf.debugging.Assert(~is_bad, [message, signed(found)])
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(labels)


def reduce(
    losses: tf.Tensor,
    pixels: Pixels,
    sample_weight: Any = None,
    reduction: str | None = "sum_over_batch_size",
) -> tf.Tensor:
    """Weights and reduces one loss a pixel; void pixels count nowhere.

    `"sum_over_batch_size"` is `sum(weight * loss) / count(valid)`. Under a
    `tf.distribute` strategy the count is its mean over replicas, so the mean of
    the replicas' losses is the mean over all valid pixels, wherever they lie.

    Args:
        losses: float32 `[P]`.
        pixels: What `flatten` returned.
        sample_weight: A weight a pixel `[...]` or `[..., 1]`, an image `[B]`,
            or a scalar. Defaults to None: all 1.
        reduction: `"sum_over_batch_size"`, `"sum"`, `"none"` or None.

    Returns:
        A scalar, or for `"none"` a map of `pixels.shape`, 0 where void. A batch
        without a valid pixel gives 0 and a zero gradient.

    Raises:
        ValueError: If `reduction` is none of these.

    Example:

    >>> pixels = flatten([0, 1, 9], [[1.0, 0.0]] * 3, ignore_class=9)
    >>> float(reduce(tf.constant([1.0, 3.0, 5.0]), pixels))
    2.0
    """
    check_reduction(reduction)
    valid = tf.cast(pixels.valid, tf.float32)
    losses = tf.math.multiply_no_nan(losses, valid)
    if sample_weight is not None:
        losses = losses * pixel_weights(sample_weight, pixels.shape)
    if reduction in ("none", None):
        return tf.reshape(losses, pixels.shape)
    return tf.reduce_sum(losses) * reduction_scale(pixels, reduction)


def reduction_scale(pixels: Pixels, reduction: str | None) -> tf.Tensor:
    """Returns what the sum over pixels is multiplied by.

    Args:
        pixels: What `flatten` returned.
        reduction: `"sum_over_batch_size"` or `"sum"`.

    Returns:
        A float32 scalar: for the mean, one over the number of valid pixels
        (on average over replicas), or over 1 if there are none.
    """
    if reduction == "sum":
        return tf.constant(1.0)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    share = 1.0 / replicas / keras_share(reduction)
    count = tf.reduce_sum(tf.cast(pixels.valid, tf.float32))
    context = tf.distribute.get_replica_context()
    if context is not None and replicas > 1:
        count = context.all_reduce(tf.distribute.ReduceOp.MEAN, count)
    return share / tf.where(count > 0.0, count, 1.0)


def keras_share(reduction: str | None) -> float:
    """Returns what Keras' `fit` multiplies a reduced loss by.

    Keras 2 divides means, and no sums, by the number of replicas, as Keras 3
    leaves to the loss.

    Args:
        reduction: `"sum_over_batch_size"`, `"sum"`, `"none"` or None.
    """
    if reduction != "sum_over_batch_size" or keras.__version__[:2] != "2.":
        return 1.0
    return 1.0 / float(tf.distribute.get_strategy().num_replicas_in_sync)


def pixel_weights(sample_weight: Any, shape: tf.Tensor) -> tf.Tensor:
    """Returns one weight a pixel.

    Args:
        sample_weight: As for `reduce`, not None.
        shape: `pixels.shape`.

    Returns:
        float32 `[P]`.

    Raises:
        ValueError: If it has more axes than the map of losses.
    """
    weight = tf.cast(tf.convert_to_tensor(sample_weight), tf.float32)
    rank = shape.shape[0]
    if weight.shape.rank == rank + 1 and weight.shape[-1] == 1:
        weight = tf.squeeze(weight, -1)
    missing = rank - weight.shape.rank
    if missing < 0:
        raise ValueError(
            "Invalid shape for argument `sample_weight`. Expected a scalar, "
            f"[B] or one weight a pixel (rank {rank}). Received: "
            f"shape={weight.shape}."
        )
    if weight.shape.rank > 0:  # [B] weighs images: it aligns on the left.
        trailing = tf.ones([missing], tf.int32)
        weight = tf.reshape(weight, tf.concat([tf.shape(weight), trailing], 0))
    return tf.reshape(tf.broadcast_to(weight, shape), [-1])


def check_reduction(reduction: str | None) -> None:
    """Refuses an unknown reduction.

    Args:
        reduction: What the user gave.

    Raises:
        ValueError: If it is not one of `REDUCTIONS`.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"Invalid value for argument `reduction`. Expected one of "
            f"{REDUCTIONS}. Received: reduction={reduction!r}."
        )


class PixelLoss(keras.losses.Loss):
    """A Keras loss made of one value a pixel; subclasses say which.

    It replaces Keras' own `__call__` because that one divides by all elements,
    void ones too. Arithmetic is float32 whatever the precision policy.

    Args:
        from_logits: Whether `y_pred` holds logits. Defaults to False:
            probabilities.
        ignore_class: The label of void pixels. Defaults to None: no label is.
        reduction: `"sum_over_batch_size"` (the default: the mean over valid
            pixels), `"sum"`, `"none"` or None.
        name: Name of the loss.

    Attributes:
        is_by_image: Whether it has one value an image, and none a pixel.
    """

    is_by_image: bool = False

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        check_reduction(reduction)
        super().__init__(reduction=reduction or "none", name=name)
        self.from_logits = from_logits
        self.ignore_class = ignore_class

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
        pixels = flatten(y_true, y_pred, self.ignore_class)
        return self.reduced(pixels, None, "none")

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
            pixels = flatten(y_true, y_pred, self.ignore_class)
            return self.reduced(pixels, sample_weight, self.reduction)

    def reduced(
        self, pixels: Pixels, sample_weight: Any, reduction: str | None
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
            "reduction": self.reduction,
            "name": self.name,
        }
