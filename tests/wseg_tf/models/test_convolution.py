import keras
import numpy as np
import pytest
import tensorflow as tf

from wseg_tf.models import convolution
from wseg_tf.models.convolution import DilatedConv2D, PReLU


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def outputs_and_gradients(layer, image, upstream):
    with tf.GradientTape() as tape:
        tape.watch(image)
        output = layer(image)
    gradients = tape.gradient(
        output, [image, *tape.watched_variables()], upstream
    )
    return [np.asarray(each) for each in (output, *gradients)]


@pytest.mark.parametrize("is_native", [True, False])
@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_dilated_convolution_is_that_of_keras(dilation, is_native, monkeypatch):
    monkeypatch.setattr(convolution, "has_dilated_gradient", lambda: is_native)
    image, upstream = tf.constant(random(2, 7, 9, 3)), random(2, 7, 9, 4)
    arguments = {"padding": "same", "dilation_rate": dilation}
    ours = DilatedConv2D(4, 3, **arguments)
    keras_layer = keras.layers.Conv2D(4, 3, **arguments)
    ours.build(image.shape)
    keras_layer.build(image.shape)
    keras_layer.set_weights(ours.get_weights())
    for our_value, expected in zip(
        outputs_and_gradients(ours, image, upstream),
        outputs_and_gradients(keras_layer, image, upstream),
        strict=True,
    ):
        np.testing.assert_allclose(our_value, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_prelu_is_that_of_keras(training):
    image, upstream = tf.constant(random(2, 3, 5, 4)), random(2, 3, 5, 4)
    slopes = np.array([-0.5, 0.0, 0.25, 1.5], np.float32)
    ours = PReLU()
    expected = keras.layers.PReLU(shared_axes=[1, 2])
    ours.build(image.shape)
    expected.build(image.shape)
    ours.set_weights([slopes])
    expected.set_weights([slopes.reshape(1, 1, 4)])
    for our_value, value in zip(
        outputs_and_gradients(
            lambda x: ours(x, training=training), image, upstream
        ),
        outputs_and_gradients(expected, image, upstream),
        strict=True,
    ):
        np.testing.assert_allclose(
            our_value, value.reshape(our_value.shape), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize(("training", "rounding"), [(True, 0), (False, 2**-23)])
def test_prelu_rounds_by_no_more_than_its_input(training, rounding):
    values = random(100, 4)
    slopes = np.array([-0.5, 0.0, 0.3, 1.5], np.float32)
    layer = PReLU()
    layer.build(values.shape)
    layer.set_weights([slopes])
    expected = np.where(values > 0, values, slopes * values)
    error = np.abs(layer(values, training=training) - expected)
    assert (error <= rounding * np.abs(values)).all()
