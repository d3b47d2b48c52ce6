import keras
import numpy as np
import pytest

from wseg_tf import GroundMatrix, severity_loss
from wseg_tf.classes import CAMVID
from wseg_tf.losses import CrossEntropyLoss, MixtureLoss, WassersteinLoss

SEVERITY = GroundMatrix.severity_aware(CAMVID)


def batch():
    random = np.random.default_rng(0)
    labels = random.integers(0, 12, (2, 5, 6))
    return labels, random.normal(size=(2, 5, 6, 11)).astype(np.float32)


def test_it_is_what_the_documents_recommend():
    labels, logits = batch()
    options = {"from_logits": True, "ignore_class": 11}
    loss = severity_loss(SEVERITY, **options)
    apart = MixtureLoss(
        [
            (1.0, CrossEntropyLoss(**options)),
            (0.2, WassersteinLoss(SEVERITY.power(2), **options)),
        ]
    )
    assert float(loss(labels, logits)) == pytest.approx(
        float(apart(labels, logits)), rel=1e-6
    )


def test_by_hand_and_the_unit_of_d_does_not_matter():
    # Class 1 as 0 with 1/2: CE log 2, and D is [[0, 1], [4, 0]] squared.
    expected = 3 * (np.log(2) + 0.5 * 0.5 * 16)
    for unit in (1.0, 1e-6, 1e30):
        D = unit * np.array([[0, 1], [4, 0]])
        loss = severity_loss(D, weight=0.5, class_weights={1: 3.0})
        assert float(loss([1], [[0.5, 0.5]])) == pytest.approx(expected)
    nothing = severity_loss(np.zeros((2, 2)))
    assert float(nothing([1], [[0.5, 0.5]])) == pytest.approx(np.log(2))


@pytest.mark.parametrize("unit", [1e-310, 1e-38, 1e31, 1e300])
def test_d_in_any_unit(unit):
    costs = np.array([[0.0, 1.0], [4.0, 0.0]])
    expected = float(severity_loss(costs)([0], [[0.25, 0.75]]))
    if unit > 1e38:
        with pytest.raises(ValueError, match="of float32"):
            severity_loss(unit * costs)
        return
    found = float(severity_loss(unit * costs)([0], [[0.25, 0.75]]))
    assert found == pytest.approx(expected, rel=1e-5)


def test_names_order_d_and_weights():
    D = GroundMatrix([[0, 1], [4, 0]], ["sky", "car"])
    weights = {"car": 3.0}
    turned = severity_loss(D, classes=["car", "sky"], class_weights=weights)
    plain = severity_loss(D, class_weights=weights)
    value = float(plain([1], [[0.25, 0.75]]))
    assert float(turned([0], [[0.75, 0.25]])) == pytest.approx(value)


def test_it_is_saved():
    labels, logits = batch()
    loss = severity_loss(SEVERITY, True, 11, class_weights={"car": 2.0})
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    )
    assert again.get_config() == loss.get_config()
    assert float(again(labels, logits)) == float(loss(labels, logits))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="exponent"):
        severity_loss(SEVERITY, exponent=0.5)
    with pytest.raises(ValueError, match="a finite number >= 0"):
        severity_loss(SEVERITY, weight=-1.0)
