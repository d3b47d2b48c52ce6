import keras
import numpy as np
import pytest
import tensorflow as tf

from wseg_tf.adaptation.objectives import RegularisedLoss, UniformityLoss
from wseg_tf.losses import CrossEntropyLoss

VOID = 9


def softmax(z):
    powers = np.exp(z)
    return powers / powers.sum(axis=-1, keepdims=True)


def test_uniformity_is_the_divergence_over_valid_pixels():
    z = np.random.default_rng(0).normal(size=(2, 3, 4))
    y = np.array([[0, 1, VOID], [2, 3, 3]])
    s = softmax(z)
    each = (0.25 * np.log(0.25 / s)).sum(axis=-1)
    found = UniformityLoss(from_logits=True, ignore_class=VOID)(y, z)
    assert float(found) == pytest.approx(each[y != VOID].mean(), rel=1e-5)


def test_uniformity_is_zero_where_nothing_is_said_and_saves():
    loss = UniformityLoss(from_logits=True, ignore_class=VOID)
    assert float(loss([0, 1], [[2.0, 2.0]] * 2)) == pytest.approx(0, abs=1e-6)
    text = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(text)
    assert again.get_config() == loss.get_config()


def test_the_penalty_is_on_the_target_alone():
    random = np.random.default_rng(1)
    z = random.normal(size=(2, 2, 2, 3))
    y = random.integers(0, 3, (2, 2, 2))
    y[1, 0, 0] = VOID
    s = softmax(z)
    valid = y != VOID
    chosen = np.take_along_axis(s, np.where(valid, y, 0)[..., None], -1)[..., 0]
    penalty = (np.log(1 / 3) - np.log(s)).mean(axis=-1)
    total = -np.log(chosen)[valid].sum() + 0.1 * penalty[1][valid[1]].sum()
    base = CrossEntropyLoss(from_logits=True, ignore_class=VOID)
    loss = RegularisedLoss(base, 0.1)
    found = loss((tf.constant(y), tf.constant([0.0, 1.0])), tf.constant(z))
    assert float(found) == pytest.approx(total / valid.sum(), rel=1e-5)
