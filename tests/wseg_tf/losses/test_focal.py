import numpy as np
import pytest

from wseg_tf.losses import CrossEntropyLoss, FocalLoss


def test_worked_by_hand() -> None:
    loss = FocalLoss(gamma=3.0, reduction="sum")
    value = loss([0, 1], [[0.5, 0.5], [0.75, 0.25]])
    expected = 0.5**3 * np.log(2) + 0.75**3 * np.log(4)
    assert float(value) == pytest.approx(expected)


def test_gamma_zero_is_cross_entropy() -> None:
    logits = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    labels = np.arange(9) % 5
    focal = FocalLoss(gamma=0.0, from_logits=True)
    plain = CrossEntropyLoss(from_logits=True)
    assert float(focal(labels, logits)) == float(plain(labels, logits))
