"""A weighted sum of losses: cross-entropy + lambda Wasserstein."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.class_values import checked_number
from wseg_tf.losses.reduction import MEAN, keras_share
from wseg_tf.losses.targets import PixelLoss


def _is_pair(term: Any) -> bool:
    return isinstance(term, list | tuple) and len(term) == 2


@keras.saving.register_keras_serializable(package="wseg_tf")
class MixtureLoss(PixelLoss):
    """A weighted sum of losses of the same predictions.

    Formula:

    ```
    loss = sum_m weight_m loss_m
    ```

    The pure Wasserstein loss has no gradient on confident mistakes; mixed
    with cross-entropy it has. Each member is computed and reduced by its own
    settings; a mixture may be a member.

    Args:
        terms: Pairs of a weight >= 0 and a loss of this package.
        name: Name of the loss.

    Raises:
        ValueError: If there is no term, a weight is negative, two members
            have other classes or another order of them, or one gives a map of
            losses (`reduction="none"`) and another does not.

    Example:

    >>> from wseg_tf.losses import CrossEntropyLoss, FocalLoss
    >>> loss = MixtureLoss([(1.0, CrossEntropyLoss()), (0.5, FocalLoss())])
    >>> round(float(loss([0], [[0.5, 0.5]])), 4)
    0.7798
    """

    def __init__(
        self,
        terms: Sequence[tuple[float, PixelLoss]],
        name: str | None = "mixture",
    ) -> None:
        pairs = [*terms]
        if not pairs or not all(_is_pair(each) for each in pairs):
            raise ValueError(
                "Invalid value for argument `terms`. Expected pairs of a "
                f"weight and a loss. Received: terms={terms}."
            )
        for position, (_, loss) in enumerate(pairs):
            if not isinstance(loss, PixelLoss):
                raise ValueError(
                    "Invalid value for argument `terms`. Expected losses of "
                    f"wseg_tf.losses. Received: terms[{position}]={loss}."
                )
        self.terms = tuple(
            (checked_number("terms", weight, f"[{position}]"), loss)
            for position, (weight, loss) in enumerate(pairs)
        )
        super().__init__(
            ignore_class=self._shared("ignore_class", None),
            reduction=self._shared("own_reduction", MEAN),
            name=name,
        )
        self.from_logits = self._shared("from_logits", None)
        named = {
            loss.class_names: loss.name
            for _, loss in self.terms
            if loss.class_names is not None
        }
        if len(named) > 1:
            raise ValueError(
                "Invalid value for argument `terms`. Expected losses with the "
                f"same classes in the same order. Received: {named}."
            )
        self.class_names = next(iter(named), None)
        self.is_by_image = any(loss.is_by_image for _, loss in self.terms)
        maps = {
            loss.own_reduction == "none" and (loss.is_by_image, "map")
            for _, loss in self.terms
        }
        if len(maps) > 1:
            received = [
                (loss.name, loss.own_reduction) for _, loss in self.terms
            ]
            raise ValueError(
                "Invalid value for argument `terms`. Expected losses that all "
                "give a number, or all a value a pixel, or all one an image. "
                f"Received: {received}."
            )

    def call(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """Returns the weighted sum of the members' unreduced losses."""
        return tf.add_n(
            [weight * loss.call(y_true, y_pred) for weight, loss in self.terms]
        )

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> tf.Tensor:
        """Returns the weighted sum of the members' losses.

        Args:
            y_true: Class ids or distributions, see `flatten`.
            y_pred: Logits or probabilities `[..., N]`.
            sample_weight: See `reduce`. Defaults to None.

        Returns:
            A float32 scalar, or for `"none"` a map `[...]`.
        """
        own = keras_share(self.own_reduction)
        with tf.name_scope(self.name or type(self).__name__):
            return tf.add_n(
                [
                    weight
                    * (keras_share(loss.own_reduction) / own)
                    * loss(y_true, y_pred, sample_weight)
                    for weight, loss in self.terms
                ]
            )

    def _shared(self, attribute: str, default: Any) -> Any:
        """Returns what all members say, or a default where they differ."""
        values = {getattr(loss, attribute) for _, loss in self.terms}
        return values.pop() if len(values) == 1 else default

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, for saving."""
        return {
            "terms": [
                [weight, keras.saving.serialize_keras_object(loss)]
                for weight, loss in self.terms
            ],
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MixtureLoss:
        """Builds the loss from what `get_config` returned.

        Args:
            config: Its members' reductions give way to a `reduction` of the
                mixture, which earlier versions saved.
        """
        own = {k: v for k, v in config.items() if k == "reduction"}
        terms = []
        for weight, loss in config["terms"]:
            # Not Keras' own deserialisation: from .h5 it takes another form.
            known = loss.get("registered_name") or loss["class_name"]
            made = keras.saving.get_registered_object(known)
            if made is None:
                raise ValueError(
                    "Invalid member of a mixture. Expected a registered loss. "
                    f"Received: {known!r}."
                )
            terms.append((weight, made.from_config({**loss["config"], **own})))
        return cls(terms, config["name"])
