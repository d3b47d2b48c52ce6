import doctest

import numpy as np
import pytest

from benchmarks import calibration


def test_the_worked_examples_hold() -> None:
    assert doctest.testmod(calibration).failed == 0


def test_the_temperature_of_drawn_labels_is_found() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, [40000, 3]).astype(np.float32)
    p = np.exp(logits / 1.7)
    p /= p.sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) > random.random([40000, 1])).argmax(axis=1)
    found = calibration.temperature(logits, labels)
    assert found == pytest.approx(1.7, rel=0.03)
    assert calibration.calibration_error(logits, labels, found) < 0.01
    assert calibration.calibration_error(logits, labels) > 0.05


def test_a_temperature_changes_no_likeliest_class_but_the_one_by_cost() -> None:
    logits = np.array([[3.0, 0.0]], np.float32)  # Road, pedestrian.
    ground = np.array([[0.0, 1.0], [10.0, 0.0]])
    assert calibration.decided(logits, None) == [0]
    assert calibration.decided(logits / 3, None) == [0]
    # p of a pedestrian is .047, then .269: 10 p against 1 - p.
    assert calibration.decided(logits, ground) == [0]
    assert calibration.decided(logits / 3, ground) == [1]
