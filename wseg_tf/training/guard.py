"""The guard against NaN: stops, and says where and what is left."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np


class DivergedError(RuntimeError):
    """A training whose loss or weights are not finite; says at which step."""


def check_loss(loss: float, step: int, place: str, kept: str | None) -> None:
    """Refuses a loss that is not finite.

    Args:
        loss: The loss of a batch.
        step: The batch's number since the stage began, from 1.
        place: Stage and epoch, for the sentence.
        kept: Where the last good checkpoint is, or None.

    Raises:
        DivergedError: If it is NaN or infinite.

    Example:

    >>> check_loss(float("nan"), 7, "train, epoch 2", None)
    Traceback (most recent call last):
        ...
    wseg_tf.training.guard.DivergedError: The loss is nan at step 7 (train,
    epoch 2). No checkpoint was kept.
    """
    if not math.isfinite(loss):
        raise DivergedError(
            f"The loss is {loss} at step {step} ({place}). {_last(kept)}"
        )


def check_weights(
    variables: Iterable[Any], step: int, place: str, kept: str | None
) -> None:
    """Refuses weights that are not finite.

    Args:
        variables: The model's variables.
        step: The number of the batch before, from 1.
        place: Stage and epoch, for the sentence.
        kept: Where the last good checkpoint is, or None.

    Raises:
        DivergedError: If one is NaN or infinite; names its variable.
    """
    for variable in variables:
        values = np.asarray(variable)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            name = getattr(variable, "path", getattr(variable, "name", ""))
            raise DivergedError(
                f"The weights of `{name}` are not finite after step {step} "
                f"({place}). {_last(kept)}"
            )


def _last(kept: str | None) -> str:
    if kept is None:
        return "No checkpoint was kept."
    return f"The last good checkpoint is {kept}."
