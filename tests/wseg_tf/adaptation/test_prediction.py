import keras
import numpy as np
import pytest
import tensorflow as tf

from wseg_tf.adaptation.prediction import averaged_probabilities, predictor


@pytest.fixture(scope="module")
def model():
    """Sees a pixel and its right neighbour: a mirror changes what it says."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.layers.Input([None, None, 3]),
            keras.layers.Conv2D(4, (1, 2), padding="same"),
        ]
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((2, 6, 8, 3)).astype(np.float32)


def probabilities(model, images):
    logits = np.asarray(model(images)).astype(np.float64)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_the_mirror_is_mirrored_back(model, images):
    plain = probabilities(model, images)
    mirrored = probabilities(model, images[:, :, ::-1])[:, :, ::-1]
    found = averaged_probabilities(model, tf.constant(images)).numpy()
    np.testing.assert_allclose(found, (plain + mirrored) / 2, atol=1e-6)
    assert np.abs(plain - mirrored).max() > 0.05


def test_an_even_model_says_the_same_of_an_image_and_its_mirror(images):
    even = keras.Sequential(
        [keras.layers.Input([None, None, 3]), keras.layers.Conv2D(4, 1)]
    )
    found = averaged_probabilities(even, images).numpy()
    np.testing.assert_allclose(found, probabilities(even, images), atol=1e-6)


def test_scales_are_averaged_and_stay_distributions(model, images):
    scales = (0.5, 1.0, 1.75)
    found = averaged_probabilities(model, images, False, scales).numpy()
    parts = []
    for scale in scales:
        size = [round(6 * scale), round(8 * scale)]
        view = tf.image.resize(images, size, antialias=True)
        each = probabilities(model, view.numpy()).astype(np.float32)
        parts.append(tf.image.resize(each, [6, 8]).numpy())
    np.testing.assert_allclose(found, np.mean(parts, axis=0), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)


def test_the_compiled_predictor_is_the_function(model, images):
    compiled = predictor(model, True, [0.5, 1.0])(tf.constant(images))
    plain = averaged_probabilities(model, images, True, [0.5, 1.0])
    np.testing.assert_allclose(compiled, plain, atol=1e-6)
