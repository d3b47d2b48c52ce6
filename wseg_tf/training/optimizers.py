"""Optimisers by name, averages of weights, and what a checkpoint keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from wseg_tf.models import finetuning
from wseg_tf.training.recipe import Stage
from wseg_tf.training.schedules import Times, build_schedule, rate_at

KERAS_2 = keras.__version__.startswith("2.")
ADDONS_AVERAGES = ("moving_average", "swa", "lookahead")


def check_optimizer(stage: Stage) -> None:
    """Refuses what this version of Keras cannot do.

    Args:
        stage: The stage.

    Raises:
        ValueError: If its average of weights needs another one.
    """
    if stage.average in ADDONS_AVERAGES and not KERAS_2:
        raise ValueError(
            "Invalid value for argument `average`. Expected 'none' or 'ema' "
            f"on Keras {keras.__version__}, since tensorflow-addons needs "
            f"Keras 2. Received: average={stage.average!r}."
        )
    if stage.average == "ema" and stage.optimizer == "lamb" and KERAS_2:
        raise ValueError(
            "Invalid value for argument `average`. Expected 'moving_average' "
            "in place of Keras' 'ema' for tensorflow-addons' LAMB. Received: "
            "average='ema'."
        )


def build_optimizer(
    stage: Stage, steps: int, model: keras.Model | None = None
) -> Any:
    """Returns the optimiser of a stage under its schedule.

    Args:
        stage: The stage.
        steps: Batches of one epoch.
        model: What it will train, so that multipliers fit the models in it,
            too. Defaults to None: they go by the weights' own names.

    Returns:
        A Keras optimiser; for the averages of tensorflow-addons and, on Keras
        2, for `"lamb"`, a legacy one.

    Raises:
        ValueError: If its average of weights needs Keras 2, or a multiplier
            fits no weight.

    Example:

    >>> type(build_optimizer(Stage(optimizer="sgd"), steps=10)).__name__
    'SGD'
    """
    check_optimizer(stage)
    rate = build_schedule(stage, steps)
    if stage.average in ADDONS_AVERAGES:
        return _averaging(stage, _legacy(stage, rate), steps)
    if stage.optimizer == "lamb" and KERAS_2:
        return _legacy(stage, rate)
    options: dict[str, Any] = {"learning_rate": rate}
    if stage.clip_norm is not None:
        options["global_clipnorm"] = stage.clip_norm
    if stage.average == "ema":
        options |= {"use_ema": True, "ema_momentum": stage.average_decay}
    if stage.optimizer != "adam":
        options["weight_decay"] = stage.weight_decay
    if stage.optimizer == "sgd":
        options |= {"momentum": stage.momentum, "nesterov": stage.momentum > 0}
    if stage.multipliers:
        classes: Mapping[str, Callable[..., Any]] = {
            "adamw": finetuning.LayerwiseAdamW,
            "adam": finetuning.LayerwiseAdam,
            "sgd": finetuning.LayerwiseSGD,
        }
        own = dict(stage.multipliers)
        if model is not None:
            own = finetuning.own_multipliers(model, own)
        options["multipliers"] = own
        return classes[stage.optimizer](**options)
    names = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "lamb": "Lamb"}
    return getattr(keras.optimizers, names[stage.optimizer])(**options)


def _addons() -> Any:
    try:
        import tensorflow_addons
    except ImportError as error:
        raise ModuleNotFoundError(
            f"average: {' or '.join(ADDONS_AVERAGES)}, and lamb on Keras 2, "
            "need tensorflow-addons: install `wseg_tf[addons]`.",
            name="tensorflow_addons",
        ) from error
    return tensorflow_addons


def _legacy(stage: Stage, rate: Any) -> Any:
    """Returns one of the optimisers that tensorflow-addons builds on."""
    tfa = _addons()
    options: dict[str, Any] = {"learning_rate": rate}
    if stage.clip_norm is not None:
        options["global_clipnorm"] = stage.clip_norm
    if stage.optimizer == "adam":
        return keras.optimizers.legacy.Adam(**options)
    if stage.optimizer == "lamb":
        return tfa.optimizers.LAMB(weight_decay=stage.weight_decay, **options)
    # Unlike Keras', their decay is not multiplied by the learning rate.
    decay = Times(rate, stage.weight_decay)
    if stage.optimizer == "sgd":
        options |= {"momentum": stage.momentum, "nesterov": stage.momentum > 0}
        return tfa.optimizers.SGDW(weight_decay=decay, **options)
    return tfa.optimizers.AdamW(weight_decay=decay, **options)


def _averaging(stage: Stage, optimizer: Any, steps: int) -> Any:
    tfa = _addons()
    if stage.average == "lookahead":
        return tfa.optimizers.Lookahead(optimizer)
    if stage.average == "swa":
        return tfa.optimizers.SWA(
            optimizer,
            # Its first snapshot is taken at this step, counted from 0.
            start_averaging=round((stage.average_start + 1) * steps) - 1,
            average_period=steps,
        )
    return tfa.optimizers.MovingAverage(
        optimizer, average_decay=stage.average_decay
    )


def prepare(optimizer: Any, variables: list[Any]) -> None:
    """Creates all of an optimiser's own variables now.

    So that a checkpoint can be restored before the first step, and a step is
    traced only once.

    Args:
        optimizer: What `build_optimizer` returned.
        variables: The model's trainable variables.
    """
    if hasattr(optimizer, "build"):
        optimizer.build(variables)
        return
    inner = getattr(optimizer, "_optimizer", None)
    if inner is not None:
        inner._iterations = optimizer.iterations
        inner._create_all_weights(variables)
    optimizer._create_all_weights(variables)


def optimizer_variables(optimizer: Any) -> list[Any]:
    """Returns everything an optimiser remembers, in a fixed order.

    Args:
        optimizer: A prepared optimiser.

    Returns:
        Variables: iterations, slots, averages, the scale of the loss.
    """
    if not hasattr(optimizer, "build"):  # A legacy one.
        return list(optimizer.weights)
    found = list(optimizer.variables)
    scale = getattr(optimizer, "_loss_scale", None)
    if scale is not None and not isinstance(scale, float):
        # Keras 2 leaves the dynamic scale and its counter out.
        found += list(scale._weights.values())
    return found


def learning_rate(optimizer: Any) -> float:
    """Returns the learning rate of the next step.

    Args:
        optimizer: Any optimiser.

    Example:

    >>> round(learning_rate(build_optimizer(Stage(), steps=2)), 6)
    0.0005
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    # Keras 2's property is the rate of the last step.
    rate = getattr(optimizer, "_learning_rate", None)
    if rate is None:
        rate = optimizer.learning_rate
    if hasattr(rate, "numpy"):  # A variable, which may be callable.
        return float(rate.numpy())
    return float(rate_at(rate, optimizer.iterations))


@contextlib.contextmanager
def averaged_weights(model: keras.Model, optimizer: Any) -> Iterator[None]:
    """Gives a model its averaged weights, for a while.

    Args:
        model: The model.
        optimizer: Its optimiser; without averages nothing changes.
    """
    if not has_average(optimizer):
        yield
        return
    kept = [np.array(value) for value in model.get_weights()]
    assign_average(model, optimizer)
    try:
        yield
    finally:
        model.set_weights(kept)


def has_average(optimizer: Any) -> bool:
    """Whether an optimiser keeps an average of the weights.

    Args:
        optimizer: Any optimiser.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if hasattr(optimizer, "assign_average_vars"):
        return True
    return bool(getattr(optimizer, "use_ema", False))


def assign_average(model: keras.Model, optimizer: Any) -> None:
    """Gives a model its averaged weights, for good.

    Args:
        model: The model.
        optimizer: Its optimiser, one that `has_average`.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if hasattr(optimizer, "assign_average_vars"):
        # SWA's average is of nothing before its first snapshot.
        if _has_snapshot(optimizer):
            optimizer.assign_average_vars(model.trainable_variables)
        return
    # Keras' own average starts with the first step, biased to the start.
    if int(optimizer.iterations) > 0:
        optimizer.finalize_variable_values(model.trainable_variables)


def is_snapshot_average(optimizer: Any) -> bool:
    """Whether the averaged weights are now those of distant snapshots.

    Batch normalisation then needs statistics of its own for them.

    Args:
        optimizer: Any optimiser.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not hasattr(optimizer, "assign_average_vars"):
        return False
    return "start_averaging" in optimizer.get_config() and _has_snapshot(
        optimizer
    )


def _has_snapshot(optimizer: Any) -> bool:
    start = optimizer.get_config().get("start_averaging")
    return start is None or int(optimizer.iterations) > int(start)
