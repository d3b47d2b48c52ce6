"""Low precision and compilation change rounding, not what is learned."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.training.small import (
    SIZE,
    batches_of,
    examples,
    small_net,
)
from wseg_tf import CrossEntropyLoss
from wseg_tf.classes import CAMVID
from wseg_tf.data.input import evaluation_batches
from wseg_tf.models.dropout import generators
from wseg_tf.training.fit import Judge, fit
from wseg_tf.training.loop import freeze
from wseg_tf.training.observers import Observer
from wseg_tf.training.optimizers import KERAS_2, build_optimizer
from wseg_tf.training.precision import policy, scaled
from wseg_tf.training.recipe import Stage

LOSS = CrossEntropyLoss(from_logits=True, ignore_class=CAMVID.void)


@pytest.fixture(scope="module")
def data() -> tf.data.Dataset:
    return examples(4)


def net() -> keras.Model:
    keras.utils.set_random_seed(0)
    return small_net("net", len(CAMVID))


class Losses(Observer):
    """Keeps the loss of each step."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def step(self, number: int, loss: float) -> None:
        self.values.append(loss)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_low_precision_learns_with_a_float32_loss(
    data: tf.data.Dataset, precision: str
) -> None:
    with policy(precision):
        model = net()
    assert model.layers[1].compute_dtype == precision.removeprefix("mixed_")
    assert model.layers[1].kernel.dtype == "float32"
    stage = Stage(epochs=3, learning_rate=1e-2)
    optimizer = scaled(build_optimizer(stage, 2), precision)
    is_scaled = type(optimizer).__name__.startswith("LossScaleOptimizer")
    assert is_scaled == (precision == "mixed_float16")
    losses = Losses()
    history = fit(
        model,
        batches_of(data),
        LOSS,
        optimizer,
        epochs=3,
        steps=2,
        judge=Judge(evaluation_batches(data, SIZE, 2), CAMVID),
        observers=[losses],
    )
    assert history[-1]["loss"] < history[0]["loss"]
    # A float16 loss would have three digits.
    assert all(np.float16(loss) != np.float32(loss) for loss in losses.values)


def test_a_float16_step_that_overflows_is_left_out(
    data: tf.data.Dataset,
) -> None:
    with policy("mixed_float16"):
        model = net()
    freeze(model, ["batch_norm"])
    inner = keras.optimizers.SGD(0.1)
    wrap = keras.mixed_precision.LossScaleOptimizer
    optimizer = wrap(inner, initial_scale=2.0**60)
    before = model.get_weights()
    fit(model, batches_of(data, 4), LOSS, optimizer, epochs=1, steps=1)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    scale = optimizer.loss_scale if KERAS_2 else optimizer.dynamic_scale
    assert float(scale) == 2.0**59


def test_xla_computes_the_same(data: tf.data.Dataset) -> None:
    plain, compiled = net(), net()
    for model, xla in ((plain, False), (compiled, True)):
        model.layers[-2].rate = 0.0  # XLA draws other numbers.
        fit(
            model,
            batches_of(data),
            LOSS,
            keras.optimizers.SGD(0.1),
            epochs=1,
            steps=2,
            xla=xla,
        )
    for a, b in zip(plain.get_weights(), compiled.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    assert len(generators(plain)) == 1
