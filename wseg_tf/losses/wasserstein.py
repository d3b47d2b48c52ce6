"""The Wasserstein loss: what mistakes cost, by a ground matrix."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wseg_tf.ground import ClassNames, GroundMatrix
from wseg_tf.losses import log_link
from wseg_tf.losses.reduction import reduction_weights
from wseg_tf.losses.targets import PixelLoss, Pixels
from wseg_tf.transport import Sinkhorn, choose_solver, one_hot, wasserstein
from wseg_tf.transport.soft import total_cost_from_logits
from wseg_tf.transport.solve import check_solver

LINKS = ("linear", "log")
SETTINGS = tuple(each.name for each in dataclasses.fields(Sinkhorn))


def _sinkhorn(given: Sinkhorn | Mapping[str, Any] | None) -> Sinkhorn:
    if isinstance(given, Sinkhorn):
        return given
    given = {} if given is None else given
    if not isinstance(given, Mapping) or not {*given} <= {*SETTINGS}:
        raise ValueError(
            "Invalid value for argument `sinkhorn`. Expected a `Sinkhorn`, or "
            f"a dictionary of {SETTINGS}. Received: sinkhorn={given!r}."
        )
    return Sinkhorn(**given)


@keras.saving.register_keras_serializable(package="wseg_tf")
class WassersteinLoss(PixelLoss):
    """The cost of moving the predicted masses to the target's, by D.

    For class ids it is exact in O(N) a pixel, `sum(s * D[j])` (Eq. 2); for
    distributions, exact in closed form where D has a structure (`ground.kind`
    is `"star"`, `"tree"` or `"line"`), and otherwise Sinkhorn's potentials
    followed by the simplex method, which is exact too, at two hundred times the
    cost (see `wseg_tf.transport.general`). XLA compiles the closed forms, once
    for each number of pixels. The mean is over valid pixels; void ones have no
    loss, no gradient and no count. Arithmetic is float32 whatever the precision
    policy, and saving keeps the matrix.

    Gradients with respect to logits, `s * (D[j] - L)` for class ids, vanish
    where the prediction is confident, even if wrong. So fine-tune from
    cross-entropy, add it to cross-entropy, or use `link="log"`.

    Args:
        ground: D `[N, N]`, rows truth: a `GroundMatrix`, or an array or nested
            list that makes one. Apply a map first: `D.power(2)`.
        from_logits: Whether `y_pred` holds logits. Defaults to False:
            probabilities.
        ignore_class: The label of void pixels. Defaults to None: no label is.
            Distributions without mass are void either way.
        reduction: `"sum_over_batch_size"` (the default: the mean over valid
            pixels), `"sum"`, `"none"` or None.
        name: Name of the loss.
        link: `"linear"` (the default) is W itself; `"log"` is
            `-w log(1 - W / w)`, w the largest entry of the row of the truth:
            cross-entropy if D is the step matrix, importance-weighted
            cross-entropy if D is a star. A soft target takes the mean of its
            classes' losses (see `wseg_tf.losses.log_link`).
        solver: For distributions: `"auto"` (the default) takes the exact
            solver of D's structure; `"tree"`, `"line"`, `"sinkhorn"` and
            `"pot"` (for more than some 60 classes without structure; it needs
            POT, and no XLA) are taken by name.
        partial: Whether prediction and target may have different masses, as in
            Eq. 1: only the smaller mass moves, see `wseg_tf.transport.solve`.
            Defaults to False: both must sum to 1.
        sinkhorn: How hard the general solver tries, a `Sinkhorn` of
            `wseg_tf.transport` or a dictionary of its arguments. Defaults to
            None: enough for an exact result.
        classes: A `ClassSet` or the classes' names in order; D is reordered to
            them. Defaults to None: those of D.

    Raises:
        ValueError: If an argument is out of range, D is no ground matrix, or it
            has not the structure that `solver` needs.

    Source: Liu et al. (AAAI 2020), Eqs. 1-5.

    Example:

    >>> D = GroundMatrix([[0, 1, 4], [1, 0, 1], [4, 1, 0]])
    >>> loss = WassersteinLoss(D, ignore_class=255)
    >>> y_pred = [[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]]
    >>> float(loss([[0, 255]], y_pred))
    1.25
    >>> float(loss([[[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]], y_pred))
    0.25
    """

    def __init__(
        self,
        ground: Any,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "wasserstein",
        link: str = "linear",
        solver: str = "auto",
        partial: bool = False,
        sinkhorn: Sinkhorn | Mapping[str, Any] | None = None,
        classes: ClassNames = None,
    ) -> None:
        ground = GroundMatrix.of(ground, classes)
        names = ground.classes
        super().__init__(from_logits, ignore_class, reduction, name, names)
        if link not in LINKS:
            raise ValueError(
                f"Invalid value for argument `link`. Expected one of {LINKS}. "
                f"Received: link={link!r}."
            )
        self.ground = ground
        self.link = link
        self.partial = partial
        self.sinkhorn = _sinkhorn(sinkhorn)
        check_solver(ground, solver)
        self._asked_solver = solver
        self._costs = one_hot.label_table(ground.values)
        shares, largest = log_link.saved_share(ground.values)
        self._shares = one_hot.label_table(shares)
        self._weights = np.append(largest, [np.nan, 0.0]).astype(np.float32)
        with np.errstate(divide="ignore"):
            logarithms = np.maximum(np.log(shares), log_link.LOG_ZERO)
        self._log_shares = one_hot.label_table(logarithms)

    @property
    def solver(self) -> str:
        """The solver for distributions, see `choose_solver`."""
        return choose_solver(self.ground, self._asked_solver)

    def pixel_losses(self, pixels: Pixels) -> tf.Tensor:
        """Returns the losses of a batch."""
        if self.link == "log":
            return self._log_losses(pixels)
        if pixels.labels is not None:
            costs = pixels.look_up(self._costs)
            if pixels.from_logits:
                return one_hot.expected_cost_from_logits(
                    pixels.predictions,
                    costs,
                    pixels.valid,
                    float(self.ground.values.max()),
                )
            return one_hot.expected_cost(pixels.predictions, costs)
        # Whatever void pixels hold, it is kept from the others.
        source = tf.where(pixels.valid[:, None], pixels.predictions, 0.0)
        if pixels.from_logits:
            source = tf.nn.softmax(source)
        return wasserstein(
            source,
            pixels.distributions,
            self.ground,
            self._asked_solver,
            self.partial,
            self.sinkhorn,
        )

    def _log_losses(self, pixels: Pixels) -> tf.Tensor:
        if pixels.labels is None:
            soft = (
                log_link.soft_from_logits
                if pixels.from_logits
                else log_link.soft_from_probabilities
            )
            return soft(
                pixels.predictions, pixels.distributions, self.ground.values
            )
        weights = pixels.look_up(self._weights)
        if pixels.from_logits:
            shares = pixels.look_up(self._log_shares)
            return log_link.from_logits(pixels.predictions, shares, weights)
        shares = pixels.look_up(self._shares)
        return log_link.from_probabilities(pixels.predictions, shares, weights)

    def reduced(
        self, pixels: Pixels, sample_weight: Any, reduction: str
    ) -> tf.Tensor:
        """Returns the reduced loss, by a shortcut from logits where one is."""
        self._check_classes(pixels)
        if (
            pixels.labels is not None
            or not pixels.from_logits
            or reduction == "none"
            or self.link != "linear"
            or self.partial
            or self.solver in ("sinkhorn", "pot")
        ):
            return super().reduced(pixels, sample_weight, reduction)
        weights = reduction_weights(pixels, sample_weight, reduction)
        return total_cost_from_logits(
            pixels.predictions, pixels.distributions, weights, self.ground
        )

    def _check_classes(self, pixels: Pixels) -> None:
        received = pixels.predictions.shape[-1]
        if received != len(self.ground):
            raise ValueError(
                "Invalid shape for argument `y_pred`. Expected a last axis of "
                f"{len(self.ground)}, the classes of the ground matrix. "
                f"Received: {received} classes."
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, for saving.

        Returns:
            A dictionary for `from_config`.
        """
        return {
            "ground": self.ground.get_config(),
            **super().get_config(),
            "link": self.link,
            "solver": self._asked_solver,
            "partial": self.partial,
            "sinkhorn": dataclasses.asdict(self.sinkhorn),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WassersteinLoss:
        """Rebuilds a loss.

        Args:
            config: What `get_config` returned. Earlier versions saved the
                arguments of `sinkhorn` as the loss' own.

        Returns:
            A loss with an equal matrix and the same settings.
        """
        own = {k: v for k, v in config.items() if k not in SETTINGS}
        own["ground"] = GroundMatrix.from_config(config["ground"])
        if earlier := {k: config[k] for k in SETTINGS if k in config}:
            own["sinkhorn"] = earlier
        return cls(**own)
