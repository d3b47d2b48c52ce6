"""Decisions by least expected severity."""

import keras
import numpy as np
import pytest

from wseg_tf import GroundMatrix
from wseg_tf.decisions import LeastRisk, decide, ground_of, least_risk

RANDOM = np.random.default_rng(0)
GROUND = GroundMatrix(RANDOM.uniform(0, 4, [5, 5]) * (1 - np.eye(5)))
LOGITS = RANDOM.normal(size=[3, 4, 5]).astype("float32") * 3


def test_each_output_is_the_severity_its_decision_risks():
    found = LeastRisk(GROUND)(LOGITS).numpy()
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    for place in np.ndindex(3, 4):
        for decision in range(5):
            risk = sum(
                p[place][truth] * GROUND.values[truth, decision]
                for truth in range(5)
            )
            assert -found[place][decision] == pytest.approx(risk, rel=1e-5)


def test_equal_costs_decide_for_the_likeliest_class():
    found = LeastRisk(1 - np.eye(5))(LOGITS).numpy()
    np.testing.assert_array_equal(found.argmax(-1), LOGITS.argmax(-1))


def test_costs_of_rows_are_those_of_misses():
    # An even bet: the miss of class 1 costs more, so 1 it is.
    layer = LeastRisk([[0, 1], [3, 0]])
    assert layer(np.zeros([1, 2])).numpy().argmax() == 1


def test_a_deciding_model_is_saved_and_loaded(tmp_path):
    image = keras.Input([None, None, 3])
    logits = keras.layers.Conv2D(5, 1, dtype="mixed_float16")(image)
    decided = least_risk(keras.Model(image, logits), GROUND)
    decided.save(tmp_path / "decided.keras")
    loaded = keras.models.load_model(tmp_path / "decided.keras")
    frame = RANDOM.normal(size=[1, 4, 6, 3]).astype("float32")
    assert decided(frame).dtype == "float32"
    np.testing.assert_array_equal(loaded(frame), decided(frame))


def test_ids_are_those_of_the_largest_output():
    by_risk = LeastRisk(GROUND)(LOGITS).numpy().argmax(-1)
    likeliest = LOGITS.argmax(-1)
    assert (by_risk != likeliest).any()
    np.testing.assert_array_equal(decide(LOGITS, GROUND), by_risk)
    np.testing.assert_array_equal(decide(LOGITS), likeliest)


def test_a_rule_names_its_matrix():
    assert ground_of("likeliest", GROUND) is None
    assert ground_of("least_risk", GROUND) is GROUND
    with pytest.raises(ValueError, match="Expected a ground matrix"):
        ground_of("least_risk", None)
    with pytest.raises(ValueError, match="luckiest"):
        ground_of("luckiest", GROUND)


@pytest.mark.parametrize("classes", [2, 10])
def test_a_matrix_of_other_classes_is_refused(classes):
    """Of ten, a pixel's logits would be read as those of two pixels."""
    logits = np.zeros([3, 4, classes], np.float32)
    for each in (lambda: decide(logits, GROUND), lambda: _deciding(classes)):
        with pytest.raises(ValueError, match=r"`logits`.*last axis of 5"):
            each()


def _deciding(classes):
    image = keras.Input([None, None, 3])
    logits = keras.layers.Conv2D(classes, 1)(image)
    return least_risk(keras.Model(image, logits), GROUND)
