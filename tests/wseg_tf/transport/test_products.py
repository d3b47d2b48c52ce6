"""Products hold float32's precision where a GPU rounds factors to TF32."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from wseg_tf.ground import GroundMatrix
from wseg_tf.losses import WassersteinLoss
from wseg_tf.transport import products, soft, wasserstein
from wseg_tf.transport.products import multiply, row_sum

MATMUL = tf.linalg.matmul


def as_tensor_cores(values):
    """Rounds float32 to TF32's 10 bits of fraction, ties to even."""
    values = tf.convert_to_tensor(values)
    if values.dtype != tf.float32:
        return values
    bits = tf.bitcast(values, tf.uint32)
    last = tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, 13), 1)
    rounded = tf.bitwise.bitwise_and(bits + 0xFFF + last, 0xFFFFE000)
    return tf.bitcast(rounded, tf.float32)


@pytest.fixture
def tensor_cores(monkeypatch):
    """Multiplies as the tensor cores of a GPU do."""

    def rounded(left, right, transpose_b=False):
        return MATMUL(
            as_tensor_cores(left), as_tensor_cores(right), False, transpose_b
        )

    monkeypatch.setattr(tf.linalg, "matmul", rounded)
    monkeypatch.setattr(products, "are_rounded", lambda: True)
    soft._compiled.cache_clear()
    yield
    soft._compiled.cache_clear()


def masses(seed, classes=12, pixels=50):
    random = np.random.default_rng(seed)
    rows = random.dirichlet(np.full(classes, 0.3), pixels)
    return rows.astype(np.float32)


def test_rounding_is_what_tensor_cores_do():
    given_values = [1.0, 1 + 2**-10, 1 + 2**-11, 1 + 3 * 2**-11, -1 - 2**-12]
    rounded = as_tensor_cores(tf.constant(given_values)).numpy().tolist()
    assert rounded == [1.0, 1 + 2**-10, 1.0, 1 + 2**-9, -1.0]


@pytest.mark.usefixtures("tensor_cores")
@pytest.mark.parametrize("factor", ["any", "zeros and ones", "zeros"])
def test_products_are_those_of_float32(factor):
    random = np.random.default_rng(0)
    left = random.normal(size=(40, 19)).astype(np.float32)
    right = {
        "any": random.normal(size=(19, 7)),
        "zeros and ones": random.integers(0, 2, (19, 7)).astype(float),
        "zeros": np.zeros((19, 7)),
    }[factor]
    right = right.astype(np.float32)
    exact = left.astype(np.float64) @ right.astype(np.float64)
    size = np.abs(left).astype(np.float64) @ np.abs(right) + 1e-30
    found = multiply(tf.constant(left), right).numpy()
    assert np.max(np.abs(found - exact) / size) < 1e-6
    plain = tf.linalg.matmul(left, right).numpy()
    assert factor == "zeros" or np.max(np.abs(plain - exact) / size) > 1e-5


@pytest.mark.usefixtures("tensor_cores")
def test_the_gradient_of_a_product():
    random = np.random.default_rng(1)
    left = tf.constant(random.normal(size=(5, 4)).astype(np.float32))
    right = random.normal(size=(4, 3)).astype(np.float32)
    upstream = random.normal(size=(5, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(left)
        value = tf.reduce_sum(multiply(left, right) * upstream)
    found = tape.gradient(value, left).numpy()
    exact = upstream.astype(np.float64) @ right.T
    np.testing.assert_allclose(found, exact, rtol=3e-6, atol=1e-6)


@given(st.integers(0, 2**16), st.booleans())
def test_row_sums(seed, is_rounded):
    rows = masses(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "are_rounded", lambda: is_rounded)
        found = row_sum(tf.constant(rows)).numpy()
    exact = rows.astype(np.float64).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, exact, rtol=1e-6)


GROUNDS = {
    "line": GroundMatrix.from_line(np.linspace(0, 3.3, 12)),
    "squared line": GroundMatrix.from_line(np.linspace(0, 3.3, 12)).power(2),
    "tree": GroundMatrix.from_groups(
        [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3], within=0.3, across=1.7
    ),
    "star": GroundMatrix.from_importance(np.linspace(1, 4.1, 12)),
}


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("name", GROUNDS)
def test_transport_on_tensor_cores(name, partial, monkeypatch, request):
    source, target = masses(0), masses(1)
    if partial:
        source *= np.float32(0.7)
    arguments = (tf.constant(source), tf.constant(target), GROUNDS[name])
    plain = wasserstein(*arguments, partial=partial).numpy()
    request.getfixturevalue("tensor_cores")
    found = wasserstein(*arguments, partial=partial).numpy()
    np.testing.assert_allclose(found, plain, rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize("link", ["linear", "log"])
@pytest.mark.parametrize("is_soft", [False, True])
@pytest.mark.parametrize("name", GROUNDS)
def test_losses_on_tensor_cores(name, is_soft, link, request):
    random = np.random.default_rng(2)
    logits = tf.constant(3 * random.normal(size=(50, 12)).astype(np.float32))
    target = tf.constant(masses(3) if is_soft else np.arange(50) % 12)
    loss = WassersteinLoss(GROUNDS[name], from_logits=True, link=link)

    def both():
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(target, logits)
        return value, tape.gradient(value, logits)

    plain = both()
    request.getfixturevalue("tensor_cores")
    for found, expected in zip(both(), plain, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
