import keras
import numpy as np
import pytest
import tensorflow as tf

from wseg_tf.models import build
from wseg_tf.models.dropout import ChannelDropout, Dropout, generators

IMAGE = tf.constant(
    np.random.default_rng(0).normal(size=[1, 2, 2, 8]).astype("float32")
)


def test_dropout_drops_whole_channels_and_keeps_the_mean() -> None:
    keras.utils.set_random_seed(0)
    output = ChannelDropout(0.25)(tf.ones([64, 2, 3, 64]), training=True)
    output = output.numpy()
    assert (output == output[:, :1, :1]).all()
    np.testing.assert_allclose(np.unique(output), [0, 4 / 3], rtol=1e-6)
    assert abs(output.mean() - 1) < 0.05  # 3.7 standard deviations.


def test_dropout_drops_single_values_and_keeps_the_mean() -> None:
    keras.utils.set_random_seed(0)
    output = Dropout(0.25)(tf.ones([8, 8, 8, 8]), training=True).numpy()
    np.testing.assert_allclose(np.unique(output), [0, 4 / 3], rtol=1e-6)
    assert abs(output.mean() - 1) < 0.05  # 5.5 standard deviations.
    assert not (output == output[:, :1, :1]).all()


@pytest.mark.parametrize("layer", [Dropout, ChannelDropout])
def test_dropout_rests_outside_training(layer: type[Dropout]) -> None:
    np.testing.assert_array_equal(layer(0.9)(IMAGE), IMAGE)


def test_dropout_refuses_a_rate_of_one() -> None:
    with pytest.raises(ValueError, match=r"0 <= rate < 1.*rate=1"):
        ChannelDropout(1)


def test_the_seed_decides_what_is_dropped() -> None:
    def drop(seed: int) -> np.ndarray:
        keras.utils.set_random_seed(seed)
        layers = Dropout(0.5), Dropout(0.5)
        ones = tf.ones([1, 64])
        return np.stack([layer(ones, training=True) for layer in layers])

    np.testing.assert_array_equal(drop(3), drop(3))
    assert (drop(3) != drop(4)).any()
    assert (drop(3)[0] != drop(3)[1]).any()


def test_a_restored_state_repeats_what_is_dropped() -> None:
    model = keras.Sequential(
        [keras.layers.Input([2, 2, 8]), ChannelDropout(0.5)]
    )
    (generator,) = generators(model)
    drop = tf.function(lambda image: model(image, training=True))
    drop(IMAGE)
    state = generator.state.numpy()
    first, second = drop(IMAGE).numpy(), drop(IMAGE).numpy()
    generator.reset(state)
    np.testing.assert_array_equal(drop(IMAGE), first)
    np.testing.assert_array_equal(drop(IMAGE), second)


def test_no_generator_becomes_a_weight() -> None:
    fcn = build("fcn32s", 2, width=0.05)
    assert len(generators(fcn)) == 2
    assert not any("generator" in weight.name for weight in fcn.weights)
