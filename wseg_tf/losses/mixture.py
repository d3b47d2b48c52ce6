"""A weighted sum of losses: cross-entropy + lambda Wasserstein."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.losses.targets import PixelLoss, Pixels


@keras.saving.register_keras_serializable(package="wseg_tf")
class MixtureLoss(PixelLoss):
    """A weighted sum of losses over the same pixels.

    Formula:

    ```
    loss = sum_m weight_m loss_m
    ```

    The pure Wasserstein loss has no gradient on confident mistakes; mixed
    with cross-entropy it has. What void is and whether predictions are logits
    is asked of the members, which must agree. The losses of a pixel are added
    before the reduction, so members' own reductions are not used; a Dice
    loss, which has one value an image, is added after its own.

    Args:
        terms: Pairs of a weight >= 0 and a loss of this package.
        reduction: See `PixelLoss`. Defaults to `"sum_over_batch_size"`.
        name: Name of the loss.

    Raises:
        ValueError: If there is no term, a weight is negative, or the losses
            disagree on `from_logits`, `ignore_class` or, for a loss by image,
            `reduction`.

    Example:

    >>> from wseg_tf.losses import CrossEntropyLoss, FocalLoss
    >>> loss = MixtureLoss([(1.0, CrossEntropyLoss()), (0.5, FocalLoss())])
    >>> round(float(loss([0], [[0.5, 0.5]])), 4)
    0.7798
    """

    def __init__(
        self,
        terms: Sequence[tuple[float, PixelLoss]],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mixture",
    ) -> None:
        self.terms = tuple((float(weight), loss) for weight, loss in terms)
        for position, (weight, loss) in enumerate(self.terms):
            if not isinstance(loss, PixelLoss):
                raise ValueError(
                    "Invalid value for argument `terms`. Expected losses of "
                    f"wseg_tf.losses. Received: terms[{position}]={loss}."
                )
            if not 0 <= weight < float("inf"):
                raise ValueError(
                    "Invalid value for argument `terms`. Expected finite "
                    f"weights >= 0. Received: terms[{position}]={weight}."
                )
        super().__init__(
            self._agreed("from_logits"),
            self._agreed("ignore_class"),
            reduction,
            name,
        )
        for _, loss in self._by_image:
            if loss.reduction != reduction or reduction in ("none", None):
                raise ValueError(
                    "Invalid value for argument `reduction`. Expected a sum "
                    f"or mean, and that of {loss.name}, which has one value "
                    f"an image. Received: reduction={reduction!r} with "
                    f"{loss.name}.reduction={loss.reduction!r}."
                )

    def pixel_losses(self, pixels: Pixels) -> tf.Tensor:
        """Returns the weighted sum of the members' losses of each pixel."""
        return tf.add_n(
            [w * loss.pixel_losses(pixels) for w, loss in self._by_pixel]
        )

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> tf.Tensor:
        """Returns the weighted sum, weighted by pixel and reduced.

        Args:
            y_true: Class ids or distributions, see `flatten`.
            y_pred: Logits or probabilities `[..., N]`.
            sample_weight: See `reduce`. Defaults to None.

        Returns:
            A float32 scalar, or for `"none"` a map `[...]`.
        """
        total = 0.0
        if self._by_pixel:
            total += super().__call__(y_true, y_pred, sample_weight)
        for weight, loss in self._by_image:
            total += weight * loss(y_true, y_pred, sample_weight)
        return total

    @property
    def _by_pixel(self) -> list[tuple[float, PixelLoss]]:
        return [term for term in self.terms if not _is_by_image(term[1])]

    @property
    def _by_image(self) -> list[tuple[float, PixelLoss]]:
        return [term for term in self.terms if _is_by_image(term[1])]

    def _agreed(self, attribute: str) -> Any:
        values = {getattr(loss, attribute) for _, loss in self.terms}
        if len(values) != 1:
            raise ValueError(
                "Invalid value for argument `terms`. Expected losses with the "
                f"same `{attribute}`. Received: {sorted(map(str, values))}."
            )
        return values.pop()

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, for saving."""
        return {
            "terms": [
                [weight, keras.saving.serialize_keras_object(loss)]
                for weight, loss in self.terms
            ],
            "reduction": self.reduction,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MixtureLoss:
        """Builds the loss from what `get_config` returned."""
        terms = [
            (weight, keras.saving.deserialize_keras_object(loss))
            for weight, loss in config["terms"]
        ]
        return cls(**{**config, "terms": terms})


def _is_by_image(loss: PixelLoss) -> bool:
    """Whether the loss has no values by pixel."""
    return type(loss).pixel_losses is PixelLoss.pixel_losses
