import keras
import numpy as np
import pytest

from wseg_tf.losses import CrossEntropyLoss


def test_worked_by_hand() -> None:
    loss = CrossEntropyLoss([1.0, 3.0], ignore_class=255, reduction="sum")
    value = loss([0, 1, 255], [[0.5, 0.5], [0.75, 0.25], [0.1, 0.9]])
    assert float(value) == pytest.approx(np.log(2) + 3 * np.log(4))


def test_agrees_with_keras_where_keras_is_right() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 6, (2, 7, 5))
    logits = random.normal(size=(2, 7, 5, 6)).astype(np.float32)
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ours = CrossEntropyLoss(from_logits=True)
    assert float(ours(labels, logits)) == pytest.approx(
        float(theirs(labels, logits)), rel=1e-5
    )


def test_doubling_the_weights_doubles_the_loss() -> None:
    labels, s = [0, 1], [[0.3, 0.7], [0.4, 0.6]]
    once = float(CrossEntropyLoss([1.0, 2.0])(labels, s))
    twice = float(CrossEntropyLoss([2.0, 4.0])(labels, s))
    assert twice == pytest.approx(2 * once)
