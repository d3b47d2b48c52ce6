"""What Keras masks, as the padding of a sequence, is void."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.losses.every import LOSSES, VOID, batch
from wseg_tf import CrossEntropyLoss
from wseg_tf.metrics import Confusion


def masked(logits: Any, mask: Any) -> tf.Tensor:
    """Logits as a layer of Keras leaves them."""
    found = tf.identity(logits)
    found._keras_mask = mask
    return found


@pytest.mark.parametrize("is_soft", [False, True], ids=["ids", "soft"])
@pytest.mark.parametrize("name", LOSSES)
def test_what_is_masked_is_void_in_every_loss(name: str, is_soft: bool) -> None:
    logits, labels, soft = batch()
    mask = np.random.default_rng(1).random(labels.shape) > 0.4
    target = soft if is_soft else labels
    shape = (*labels.shape, 1)
    void = 0.0 if is_soft else VOID
    keep = mask.reshape(shape) if is_soft else mask
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    found = []
    for given, leaves_mask in (
        (target, True),
        (np.where(keep, target, void), False),
    ):
        x = tf.constant(logits)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(given, masked(x, mask) if leaves_mask else x)
        found.append((value.numpy(), tape.gradient(value, x).numpy()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-6)
    assert not found[0][1][~mask].any()
    assert found[0][1].any()


def test_padding_of_sequences_counts_neither_in_a_loss_nor_in_a_metric() -> (
    None
):
    steps = np.array(
        [[[1.0], [2.0], [0.0], [0.0]], [[3.0], [4.0], [5.0], [6.0]]]
    )
    labels = np.array([[0, 1, 0, 0], [0, 1, 2, 1]])
    keras.utils.set_random_seed(0)
    sequence = keras.Input((4, 1))
    hidden = keras.layers.Masking()(sequence)
    hidden = keras.layers.SimpleRNN(5, return_sequences=True)(hidden)
    model = keras.Model(sequence, keras.layers.Dense(3)(hidden))
    scores = model.predict(steps, verbose=0)
    model.compile(
        "sgd", CrossEntropyLoss(from_logits=True), metrics=[Confusion(3)]
    )
    found = model.evaluate(steps, labels, verbose=0, return_dict=True)
    there = steps[..., 0] > 0
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    own = np.take_along_axis(shares, labels[..., None], -1)[..., 0]
    assert found["loss"] == pytest.approx(-np.log(own[there]).mean(), rel=1e-5)
    right = (scores.argmax(-1) == labels)[there].mean()
    assert found["pixel_accuracy"] == pytest.approx(right)
