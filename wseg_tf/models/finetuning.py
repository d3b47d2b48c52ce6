"""What fine-tuning holds still, and what it moves faster.

Layers are named by their part: `encoder...`, `decoder...`, `head...`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

ENCODER = "encoder"
HEAD_TEN_TIMES = {"head": 10.0}


def freeze_encoder(model: keras.Model) -> list[str]:
    """Makes the encoder's layers untrainable.

    Their batch normalisation then keeps its statistics, too.

    Args:
        model: A model from `build`. Compile it after this, not before.

    Returns:
        Names of the frozen layers that have weights.

    Example:

    >>> from wseg_tf.models import build
    >>> freeze_encoder(build("fcn32s", 2, width=0.05))[:2]
    ['encoder_block1_conv1', 'encoder_block1_conv2']
    """
    frozen = [layer for layer in model.layers if layer.name.startswith(ENCODER)]
    for layer in frozen:
        layer.trainable = False
    return [layer.name for layer in frozen if layer.weights]


def freeze_batch_norm(model: keras.Model) -> list[str]:
    """Makes batch normalisation use and keep the statistics it has.

    Args:
        model: A model from `build`. Compile it after this, not before.

    Returns:
        Names of the frozen layers.

    Example:

    >>> from wseg_tf.models import build
    >>> len(freeze_batch_norm(build("segnet", 2, width=0.125)))
    25
    """
    frozen = [
        layer
        for layer in all_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in frozen:
        layer.trainable = False
    return [layer.name for layer in frozen]


def unfreeze(model: keras.Model) -> None:
    """Makes every layer trainable again.

    Args:
        model: A model from `build`. Compile it after this, not before.

    Example:

    >>> from wseg_tf.models import build
    >>> model = build("fcn32s", 2, width=0.05)
    >>> frozen = freeze_encoder(model)
    >>> unfreeze(model)
    >>> len(model.trainable_variables) == len(model.variables)
    True
    """
    model.trainable = True
    for layer in all_layers(model):
        layer.trainable = True


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a model and of the models in it.

    Args:
        model: Any model.
    """
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)


def own_multipliers(
    model: keras.Model, multipliers: Mapping[str, float]
) -> dict[str, float]:
    """Returns multipliers that fit the models inside a model, too.

    The weights of a nested model do not have its name in theirs; here they get
    their factors by their own names.

    Args:
        model: Any model.
        multipliers: Factor by the beginning of a layer's name.

    Returns:
        What `LayerwiseRates` takes.

    Raises:
        ValueError: If a beginning fits no weight that is trained.

    Example:

    >>> from wseg_tf.models import build
    >>> own_multipliers(build("fcn32s", 2, width=0.05), {"encoder": 0.1})
    {'encoder': 0.1}
    """
    own: dict[str, float] = {}
    paths: list[str] = []
    for layer in model.layers:
        for variable in layer.trainable_variables:
            path = _path(variable)
            # Keras 3 puts the name of a `Sequential` before its layers'.
            inside = not path.startswith(f"{layer.name}/")
            if inside:
                factor = _fitting(multipliers, f"{layer.name}/{path}")
                own |= {} if factor is None else {path: factor}
            paths.append(f"{layer.name}/{path}" if inside else path)
    _refuse_unmatched(multipliers, paths)
    plain = [path for path in paths if path.partition("/")[2] not in own]
    return own | {
        start: factor
        for start, factor in multipliers.items()
        if any(path.startswith(start) for path in plain)
    }


def _path(variable: Any) -> str:
    """Returns the name of a weight, that of its layer first."""
    path: str = getattr(variable, "path", variable.name)
    return path


def _fitting(multipliers: Mapping[str, float], path: str) -> float | None:
    """Returns the factor of the longest beginning that fits, or None."""
    fitting = [start for start in multipliers if path.startswith(start)]
    return multipliers[max(fitting, key=len)] if fitting else None


def _refuse_unmatched(starts: Iterable[str], paths: list[str]) -> None:
    """Refuses a beginning that fits no weight; names those that are near."""
    for start in starts:
        if any(path.startswith(start) for path in paths):
            continue
        parts = [path.partition("/")[0].split("_") for path in paths]
        known = {"_".join(p[:n]) for p in parts for n in range(1, len(p) + 1)}
        near = difflib.get_close_matches(start, sorted(known), 3)
        words = " or ".join(map(repr, near))
        hint = (
            f"did you mean {words}?"
            if near
            else (f"there are {sorted({part[0] for part in parts})}.")
        )
        raise ValueError(
            "Invalid value for argument `multipliers`. Expected beginnings of "
            "layers' names, each of one that is trained. Received: "
            f"{start!r}; {hint}"
        )


class LayerwiseRates:
    """Makes an optimizer's steps larger or smaller by part of the network.

    The optimizer's own step of a weight is multiplied, and not its gradient,
    which Adam would undo. Decoupled weight decay stays as it is. Mix it in
    before an optimizer of Keras and register the result to save it:
    `LayerwiseSGD`, `LayerwiseAdam` and `LayerwiseAdamW` are.

    Args:
        *args: Those of the optimizer.
        multipliers: Factor by the beginning of a layer's name; the longest
            that fits counts; 1 where none does. One that fits no weight is
            refused at the first step. The weights of a model in the model go
            by their own names: see `own_multipliers`. Defaults to 10 for the
            classifier, `{"head": 10}`, as DeepLab-v2 is trained.
        **kwargs: Those of the optimizer.

    Example:

    >>> optimizer = LayerwiseSGD(0.1, multipliers={"head": 10.0, "encoder": 0})
    >>> optimizer.get_config()["multipliers"]
    {'head': 10.0, 'encoder': 0}
    """

    def __init__(
        self,
        *args: Any,
        multipliers: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        given = HEAD_TEN_TIMES if multipliers is None else multipliers
        self.multipliers = dict(given)

    def multiplier(self, variable: Any) -> float:
        """Returns the factor of a weight's steps."""
        factor = _fitting(self.multipliers, _path(variable))
        return 1.0 if factor is None else factor

    def build(self, variables: list[Any]) -> None:
        """Makes what is remembered of each weight, if every factor has one."""
        # Of an `.h5` file Keras 3 builds it first without any.
        if variables:
            _refuse_unmatched(self.multipliers, [*map(_path, variables)])
        super().build(variables)  # type: ignore[misc]

    def update_step(self, gradient: Any, variable: Any, *args: Any) -> None:
        """Moves a weight by the optimizer's step times its factor."""
        factor = self.multiplier(variable)
        before = tf.identity(tf.convert_to_tensor(variable))
        super().update_step(gradient, variable, *args)  # type: ignore[misc]
        if factor != 1:
            after = tf.convert_to_tensor(variable)
            variable.assign(before + factor * (after - before))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        config: dict[str, Any] = super().get_config()  # type: ignore[misc]
        return {**config, "multipliers": dict(self.multipliers)}


@keras.saving.register_keras_serializable(package="wseg_tf")
class LayerwiseSGD(LayerwiseRates, keras.optimizers.SGD):
    """`keras.optimizers.SGD` with a multiplier by part of the network."""


@keras.saving.register_keras_serializable(package="wseg_tf")
class LayerwiseAdam(LayerwiseRates, keras.optimizers.Adam):
    """`keras.optimizers.Adam` with a multiplier by part of the network."""


@keras.saving.register_keras_serializable(package="wseg_tf")
class LayerwiseAdamW(LayerwiseRates, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` with a multiplier by part of the network."""
