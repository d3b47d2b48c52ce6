"""Each optimiser's first steps by hand, and what averages give."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from wseg_tf.training.optimizers import (
    KERAS_2,
    averaged_weights,
    build_optimizer,
    has_average,
    learning_rate,
    optimizer_variables,
    prepare,
)
from wseg_tf.training.recipe import AVERAGES, OPTIMIZERS, Stage

RATE, DECAY = 0.1, 0.5
# Far from zero, so that Adam's epsilon is nothing beside it.
GRADIENT = np.array([3.0, -4.0], np.float32)
START = np.array([1.0, 2.0], np.float32)
ADDONS = ("moving_average", "swa", "lookahead")


def line() -> keras.Model:
    """A model whose weights' gradient is what is fed."""
    image = keras.Input([2])
    scaled = keras.layers.Dense(1, use_bias=False, name="head")(image)
    model = keras.Model(image, scaled)
    model.set_weights([START[:, None]])
    return model


def trained(steps: int, **options: Any) -> tuple[keras.Model, Any]:
    """Takes steps along a constant gradient."""
    options = {"schedule": "constant", "epochs": 9} | options
    stage = Stage(learning_rate=RATE, weight_decay=DECAY, **options)
    needs_addons = stage.average in ADDONS
    if needs_addons and not KERAS_2:
        pytest.skip("tensorflow-addons needs Keras 2")
    model = line()
    optimizer = build_optimizer(stage, steps=2)
    prepare(optimizer, model.trainable_variables)
    before = len(optimizer_variables(optimizer))

    @tf.function
    def step() -> None:
        optimizer.apply_gradients(
            [(tf.constant(GRADIENT[:, None]), model.trainable_variables[0])]
        )

    for _ in range(steps):
        step()
    # Nothing appears late that a checkpoint would have missed.
    assert len(optimizer_variables(optimizer)) == before
    assert int(optimizer.iterations) == steps
    return model, optimizer


def weights(model: keras.Model) -> np.ndarray:
    return np.ravel(model.get_weights()[0])


FIRST_STEP = {
    # Adam's first step has length 1 in each weight; the decay is decoupled.
    "adamw": START - RATE * (np.sign(GRADIENT) + DECAY * START),
    "adam": START - RATE * np.sign(GRADIENT),
    # Nesterov's first step: 1 + momentum times the gradient.
    "sgd": START - RATE * (1.9 * GRADIENT + DECAY * START),
}


@pytest.mark.parametrize("name", FIRST_STEP)
@pytest.mark.parametrize("average", ["none", "lookahead"])
def test_the_first_step_by_hand(name: str, average: str) -> None:
    model, _ = trained(1, optimizer=name, average=average)
    # The order of decay and step differs: by DECAY x RATE of the step.
    tolerance = RATE * RATE * DECAY * 8 if name != "adam" else 1e-6
    np.testing.assert_allclose(weights(model), FIRST_STEP[name], atol=tolerance)


def test_lamb_steps_by_the_length_of_the_weights() -> None:
    model, _ = trained(1, optimizer="lamb")
    update = np.sign(GRADIENT) + (DECAY * START if KERAS_2 else 0)
    ratio = np.linalg.norm(START) / np.linalg.norm(update)
    expected = START - RATE * ratio * update
    if not KERAS_2:  # Keras' own decays apart from the ratio.
        expected = START * (1 - RATE * DECAY)
        ratio = np.linalg.norm(expected) / np.linalg.norm(update)
        expected = expected - RATE * ratio * update
    np.testing.assert_allclose(weights(model), expected, rtol=1e-3)


def test_clipping_shortens_all_gradients_together() -> None:
    model, _ = trained(
        1, optimizer="sgd", momentum=0.0, clip_norm=1.0, average="none"
    )
    decayed = START - RATE * DECAY * START
    np.testing.assert_allclose(
        weights(model), decayed - RATE * GRADIENT / 5, rtol=1e-5
    )


def test_multipliers_reach_their_layers() -> None:
    plain, _ = trained(1, optimizer="adam")
    fast, _ = trained(1, optimizer="adam", multipliers={"head": 10.0})
    np.testing.assert_allclose(
        weights(fast) - START, 10 * (weights(plain) - START), rtol=1e-4
    )


def path(steps: int, **options: Any) -> list[np.ndarray]:
    """The weights after each step."""
    return [
        weights(trained(done, **options)[0]) for done in range(1, steps + 1)
    ]


def averaged(steps: int, **options: Any) -> np.ndarray:
    model, optimizer = trained(steps, **options)
    assert has_average(optimizer)
    last = weights(model)
    with averaged_weights(model, optimizer):
        inside = weights(model)
    np.testing.assert_array_equal(weights(model), last)
    return inside


def test_swa_is_the_mean_of_the_weights_after_each_epoch() -> None:
    # Two steps an epoch.
    after = path(6, optimizer="sgd", average="swa")
    found = averaged(6, optimizer="sgd", average="swa")
    np.testing.assert_allclose(
        found, np.mean([after[1], after[3], after[5]], axis=0), rtol=1e-5
    )
    late = averaged(6, optimizer="sgd", average="swa", average_start=1.0)
    np.testing.assert_allclose(
        late, np.mean([after[3], after[5]], axis=0), rtol=1e-5
    )


def test_swa_is_the_last_weights_before_its_start() -> None:
    after = path(1, optimizer="sgd", average="swa", average_start=1.0)
    found = averaged(1, optimizer="sgd", average="swa", average_start=1.0)
    np.testing.assert_array_equal(found, after[0])


def test_a_moving_average_by_hand() -> None:
    options = {
        "optimizer": "sgd",
        "average": "moving_average",
        "average_decay": 0.75,
    }
    first, second = path(2, **options)
    expected = 0.75 * (0.75 * START + 0.25 * first) + 0.25 * second
    np.testing.assert_allclose(averaged(2, **options), expected, rtol=1e-5)


def test_keras_own_average_by_hand() -> None:
    options = {"optimizer": "sgd", "average": "ema", "average_decay": 0.75}
    first, second = path(2, **options)
    # Keras 2 begins with the start, Keras 3 with the first step.
    begun = 0.75 * START + 0.25 * first if KERAS_2 else first
    expected = 0.75 * begun + 0.25 * second
    np.testing.assert_allclose(averaged(2, **options), expected, rtol=1e-5)


def test_the_learning_rate_is_that_of_the_next_step() -> None:
    for name in OPTIMIZERS:
        _, optimizer = trained(1, optimizer=name, schedule="poly", epochs=2)
        expected = RATE * (1 - 1 / 4) ** 0.9
        assert learning_rate(optimizer) == pytest.approx(expected, rel=1e-5)


@pytest.mark.skipif(KERAS_2, reason="tensorflow-addons works on Keras 2")
@pytest.mark.parametrize("average", ADDONS)
def test_keras_3_lacks_the_averages_of_addons(average: str) -> None:
    assert average in AVERAGES
    with pytest.raises(ValueError, match="tensorflow-addons needs Keras 2"):
        build_optimizer(Stage(average=average), steps=1)


@pytest.mark.skipif(not KERAS_2, reason="Keras 3 has a LAMB that averages")
def test_the_lamb_of_addons_has_its_own_average() -> None:
    with pytest.raises(ValueError, match="'moving_average' in place of"):
        build_optimizer(Stage(optimizer="lamb", average="ema"), steps=1)
