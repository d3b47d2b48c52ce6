import numpy as np
import pytest
import tensorflow as tf

from wseg_tf.transport.softmax import exponentials


def by_hand(logits):
    powers = np.exp(np.float64(logits) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# Sums of powers that are fine, vanish, overflow, and that vanish in one row
# while they overflow in another.
@pytest.mark.parametrize("shift", [0.0, -60.0, -500.0, 80.0, 3e4, "mixed"])
@pytest.mark.parametrize("jit", [False, True])
def test_it_is_a_softmax_in_every_range(shift, jit):
    logits = 5 * np.random.default_rng(0).normal(size=(6, 7))
    if shift == "mixed":
        shift = np.array([0, 300, -300, 88, -104, 1])[:, None]
    logits = np.float32(logits + shift)
    run = tf.function(exponentials, jit_compile=jit)
    powers, totals = run(logits)
    np.testing.assert_allclose(powers / totals, by_hand(logits), rtol=1e-5)


def test_masked_classes_and_nan_are_as_in_a_softmax():
    masked = tf.constant([[1.0, -np.inf, 1.0]])
    powers, totals = exponentials(masked)
    assert (powers / totals).numpy().tolist() == [[0.5, 0.0, 0.5]]
    powers, totals = exponentials(tf.constant([[1.0, np.nan], [3.0, 3.0]]))
    shares = (powers / totals).numpy()
    assert np.isnan(shares[0]).all()
    assert shares[1].tolist() == [0.5, 0.5]
