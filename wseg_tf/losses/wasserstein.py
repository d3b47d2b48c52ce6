"""The Wasserstein loss over a ground matrix, for one-hot targets."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from wseg_tf.ground import GroundMatrix
from wseg_tf.losses.targets import PixelLoss, Pixels, reduction_scale
from wseg_tf.transport import one_hot


@keras.saving.register_keras_serializable(package="wseg_tf")
class WassersteinLoss(PixelLoss):
    """The expected cost of moving predicted masses to the target's."""

    def __init__(
        self,
        ground: Any,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "wasserstein",
    ) -> None:
        super().__init__(from_logits, ignore_class, reduction, name)
        if not isinstance(ground, GroundMatrix):
            ground = GroundMatrix(ground)
        self.ground = ground

    def pixel_losses(self, pixels: Pixels) -> tf.Tensor:
        """Returns the losses of a batch; see `PixelLoss`."""
        if pixels.labels is None:
            raise NotImplementedError("soft targets")
        table = one_hot.label_table(self.ground.values)
        costs = tf.gather(table, pixels.labels)
        if self.from_logits:
            return one_hot.expected_cost_from_logits(pixels.predictions, costs)
        return one_hot.expected_cost(pixels.predictions, costs)

    def reduced(self, pixels: Pixels, sample_weight: Any) -> tf.Tensor:
        """Returns the reduced loss; see `PixelLoss`."""
        if (
            pixels.labels is None
            or not self.from_logits
            or sample_weight is not None
            or self.reduction == "none"
        ):
            return super().reduced(pixels, sample_weight)
        table = one_hot.label_table(self.ground.values)
        table = table * reduction_scale(pixels, self.reduction)
        costs = tf.gather(table, pixels.labels)
        return one_hot.total_cost_from_logits(pixels.predictions, costs)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, for saving."""
        config = super().get_config()
        return {"ground": self.ground.get_config(), **config}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WassersteinLoss:
        """Rebuilds a loss from `get_config`'s dictionary."""
        ground = GroundMatrix.from_config(config["ground"])
        return cls(**{**config, "ground": ground})
