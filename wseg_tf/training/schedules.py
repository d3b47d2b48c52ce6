"""Learning-rate schedules: how the rate falls, and a warm-up before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.training.recipe import Stage


def build_schedule(stage: Stage, steps: int) -> Any:
    """Returns the learning rate of a stage.

    With t the step, w the steps of warm-up and T those after them:

    ```
    constant   peak
    poly       peak (1 - (t - w) / T)^power
    cosine     peak (1 + cos(pi (t - w) / T)) / 2
    step       peak drop^k, k the number of `drops` that are behind
    warm-up    peak (t + 1) / w, where t < w
    ```

    Args:
        stage: The stage.
        steps: Batches of one epoch.

    Returns:
        A number, or a Keras schedule over the optimiser's own steps.

    Example:

    >>> stage = Stage(epochs=2, learning_rate=1.0, warmup=1.0, power=1.0)
    >>> schedule = build_schedule(stage, steps=4)
    >>> [round(float(schedule(step)), 2) for step in (0, 3, 4, 6, 8)]
    [0.25, 1.0, 1.0, 0.5, 0.0]
    """
    warmup = round(stage.warmup * steps)
    after = _falling(stage, steps, warmup)
    if warmup == 0:
        return after
    return WarmUp(after, warmup)


def _falling(stage: Stage, steps: int, warmup: int) -> Any:
    total = max(round(stage.epochs * steps) - warmup, 1)
    peak = stage.learning_rate
    schedules = keras.optimizers.schedules
    if stage.schedule == "poly":
        return schedules.PolynomialDecay(
            peak, total, end_learning_rate=0.0, power=stage.power
        )
    if stage.schedule == "cosine":
        return schedules.CosineDecay(peak, total)
    if stage.schedule == "step" and stage.drops:
        # Keras still takes the value before at the boundary itself.
        boundaries = [round(at * steps) - 1 - warmup for at in stage.drops]
        values = [
            peak * stage.drop**count for count in range(len(boundaries) + 1)
        ]
        return schedules.PiecewiseConstantDecay(boundaries, values)
    return peak


@keras.saving.register_keras_serializable(package="wseg_tf")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Rises in a line to the first rate of the schedule that follows.

    Args:
        after: The schedule that follows, or a number.
        steps: Steps of the rise, 1 or more.

    Example:

    >>> schedule = WarmUp(0.4, steps=4)
    >>> [round(float(schedule(step)), 1) for step in range(6)]
    [0.1, 0.2, 0.3, 0.4, 0.4, 0.4]
    """

    def __init__(self, after: Any, steps: int) -> None:
        super().__init__()
        self.after = after
        self.steps = steps

    def __call__(self, step: Any) -> tf.Tensor:
        """Returns the rate at a step, a float32 scalar."""
        step = tf.cast(step, tf.float32)
        risen = tf.minimum((step + 1) / self.steps, 1.0)
        return risen * rate_at(self.after, tf.maximum(step - self.steps, 0.0))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        after = keras.saving.serialize_keras_object(self.after)
        return {"after": after, "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:
        """Returns what `get_config` described."""
        return cls(_schedule(config["after"]), config["steps"])


@keras.saving.register_keras_serializable(package="wseg_tf")
class Times(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule multiplied by a constant.

    Args:
        schedule: A schedule.
        factor: The constant.

    Example:

    >>> float(Times(WarmUp(0.5, 2), 4.0)(0))
    1.0
    """

    def __init__(self, schedule: Any, factor: float) -> None:
        super().__init__()
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step: Any) -> tf.Tensor:
        """Returns the product at a step, a float32 scalar."""
        return self.factor * rate_at(self.schedule, step)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "factor": self.factor}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Times:
        """Returns what `get_config` described."""
        return cls(_schedule(config["schedule"]), config["factor"])


# Of an `.h5` file Keras 2 looks for schedules by their plain names.
keras.saving.get_custom_objects().update(WarmUp=WarmUp, Times=Times)


def _schedule(value: Any) -> Any:
    """Returns a schedule or a number that was saved; Keras 2 leaves it so."""
    if isinstance(value, Mapping):
        return keras.optimizers.schedules.deserialize(value)
    return value


def rate_at(rate: Any, step: Any) -> tf.Tensor:
    """Returns what a number or a schedule gives at a step.

    Example:

    >>> float(rate_at(0.5, 7))
    0.5
    """
    return tf.cast(rate(step) if callable(rate) else rate, tf.float32)
