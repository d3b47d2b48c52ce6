"""When XLA compiles a step, and how often."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from wseg_tf.training.step import Step, compile_step, uses_xla

SAID = "XLA compiled the training step"


def net() -> keras.Model:
    keras.utils.set_random_seed(1)
    image = keras.Input([None, None, 3])
    return keras.Model(image, keras.layers.Conv2D(3, 3, padding="same")(image))


def step_of(
    model: keras.Model, xla: bool | str, loss: keras.losses.Loss | None = None
) -> Step:
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    return compile_step(
        model,
        loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer,
        tf.distribute.get_strategy(),
        xla=xla,
    )


def batch(size: int) -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(size)
    images = random.normal(size=[size, 6, 7, 3]).astype(np.float32)
    return tf.constant(images), tf.constant(random.integers(0, 3, [size, 6, 7]))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow says that it has a GPU."""
    device = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    monkeypatch.setattr(
        tf.config,
        "list_physical_devices",
        lambda kind=None: [device] if kind in (None, "GPU") else [],
    )


def test_auto_is_xla_where_there_is_a_gpu(gpu: None) -> None:
    assert uses_xla("auto")
    assert not uses_xla(False)


def test_auto_is_no_xla_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert not uses_xla("auto")
    assert uses_xla(True)


def test_it_compiles_once_and_says_how_long_it_took(
    gpu: None, caplog: pytest.LogCaptureFixture
) -> None:
    plain, compiled = net(), net()
    sizes = (2, 4, 4, 3, 4, 1)  # A resumed epoch may begin with its last batch.
    with caplog.at_level(logging.INFO, "wseg_tf"):
        for model, xla in ((plain, False), (compiled, "auto")):
            step = step_of(model, xla)
            for size in sizes:
                step(*batch(size))
    said = [each.getMessage() for each in caplog.records]
    assert sum(SAID in each for each in said) == 2  # For 2, then for 4.
    for a, b in zip(plain.get_weights(), compiled.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def unknown_to_xla(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    said = tf.strings.length(tf.strings.as_string(y_pred))
    return tf.reduce_mean(y_pred**2) + 0.0 * tf.reduce_sum(
        tf.cast(said, tf.float32)
    )


def test_what_xla_cannot_compile_runs_without(
    gpu: None, caplog: pytest.LogCaptureFixture
) -> None:
    model = net()
    before = model.get_weights()[0]
    step = step_of(model, "auto", unknown_to_xla)
    values = [float(step(*batch(2))) for _ in range(3)]
    assert values == sorted(values, reverse=True)
    assert (model.get_weights()[0] != before).any()
    assert sum("cannot compile" in r.getMessage() for r in caplog.records) == 1
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.OpError)):
        step_of(net(), True, unknown_to_xla)(*batch(2))
