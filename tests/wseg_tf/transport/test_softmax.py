import numpy as np
import pytest
import tensorflow as tf

from wseg_tf.transport.softmax import exponentials, log_softmax, surprise


def by_hand(logits):
    powers = np.exp(np.float64(logits) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


EVERY_SHIFT = [0.0, -60.0, -500.0, 80.0, 3e4, "mixed"]


def shifted_logits(shift):
    logits = 5 * np.random.default_rng(0).normal(size=(6, 7))
    if shift == "mixed":
        shift = np.array([0, 300, -300, 88, -104, 1])[:, None]
    return np.float32(logits + shift)


# Sums of powers that are fine, vanish, overflow, and that vanish in one row
# while they overflow in another.
@pytest.mark.parametrize("shift", EVERY_SHIFT)
@pytest.mark.parametrize("jit", [False, True])
def test_it_is_a_softmax_in_every_range(shift, jit):
    logits = shifted_logits(shift)
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


@pytest.mark.parametrize("shift", EVERY_SHIFT)
@pytest.mark.parametrize("jit", [False, True])
def test_surprise_is_exact_in_every_range(shift, jit):
    logits = shifted_logits(shift)
    # Confident, right and wrong: to the last digit, and beyond any power.
    logits[0] = logits[1] = [40, 1, 2, 3, 4, 5, 6]
    logits[2, 3] -= 120
    labels = np.array([0, 1, 3, 0, 2, 6])
    run = tf.function(surprise, jit_compile=jit)
    losses, powers, scale = run(logits, tf.constant(labels), labels < 7)
    softmax = by_hand(logits)
    np.testing.assert_allclose(powers * scale, softmax, rtol=1e-5, atol=1e-30)
    chosen = np.take_along_axis(softmax, labels[:, None], 1)[:, 0]
    np.testing.assert_allclose(losses, -np.log(chosen), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf])
def test_what_void_pixels_hold_is_nowhere(garbage):
    logits = np.float32([[1, 2, 3], [garbage] * 3, [0, garbage, 1]])
    valid = np.array([True, False, False])
    found = [
        *exponentials(tf.constant(logits), valid),
        log_softmax(tf.constant(logits), valid),
        *surprise(tf.constant(logits), tf.constant([0, 2, 2]), valid),
    ]
    for each in found:
        assert not np.isnan(each).any()
    expected = np.log(by_hand(logits[:1]))
    np.testing.assert_allclose(found[2][:1], expected, rtol=1e-6)
