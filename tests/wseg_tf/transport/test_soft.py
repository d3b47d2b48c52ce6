import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.transport import oracle
from wseg_tf.classes import CAMVID
from wseg_tf.ground import GroundMatrix
from wseg_tf.transport import wasserstein
from wseg_tf.transport.soft import total_cost_from_logits

PLACES = np.random.default_rng(7).normal(size=11)
GROUNDS = {
    "star": GroundMatrix.importance_aware(CAMVID),
    "tree": GroundMatrix.severity_aware(CAMVID).power(2),
    # A tree of many large parts, which is summed another way.
    "path": GroundMatrix.from_line(PLACES),
    "line": GroundMatrix.from_line(PLACES).power(2),
}


def step_by_step(logits, target, weights, ground):
    costs = wasserstein(tf.nn.softmax(logits), target, ground)
    return tf.reduce_sum(weights * costs)


def value_and_gradient(function, logits, *rest):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = function(logits, *rest)
    return value.numpy(), tape.gradient(value, logits).numpy()


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize("name", GROUNDS)
def test_one_pass_is_the_same_as_step_by_step(name, scale):
    random, ground = np.random.default_rng(1), GROUNDS[name]
    logits = np.float32(scale * random.normal(size=(40, 11)))
    target = oracle.histograms(random, 40, 11, "dense")
    weights = np.float32(random.random(40))
    weights[:5] = 0.0
    found = value_and_gradient(
        total_cost_from_logits, logits, target, weights, ground
    )
    expected = value_and_gradient(step_by_step, logits, target, weights, ground)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-5)
    assert np.all(found[1][:5] == 0.0)


def test_equal_matrices_share_what_was_compiled():
    zeros, target = tf.zeros([1, 2]), tf.constant([[1.0, 0.0]])
    for cost in (1.0, 3.0, 1.0):
        ground = GroundMatrix([[0.0, cost], [cost, 0.0]])
        total = total_cost_from_logits(zeros, target, tf.ones([1]), ground)
        assert float(total) == cost / 2


def test_a_matrix_without_structure_is_refused():
    values = np.random.default_rng(0).random((5, 5)) * (1 - np.eye(5))
    row = tf.fill([1, 5], 0.2)
    with pytest.raises(ValueError, match=r"tree or a line.*kind 'none'"):
        total_cost_from_logits(row, row, tf.ones([1]), GroundMatrix(values))
