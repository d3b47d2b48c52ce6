"""Void is void, and a class that is switched off is off, in every loss."""

import numpy as np
import pytest

from tests.wseg_tf.losses.every import (
    LOSSES,
    VOID,
    N,
    batch,
    softmax,
    step_of,
)

every_loss = pytest.mark.parametrize("name", LOSSES)
every_mode = pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
GARBAGE = {
    "nan": [np.nan] * N,
    "infinite": [np.inf, 0, -np.inf, 1],
    "all infinite": [np.inf] * N,
    "switched off": [-np.inf] * N,
    "one nan": [0.0, np.nan, 0, 1],
}


@every_loss
@pytest.mark.parametrize(
    ("mode", "from_logits"),
    [("eager", True), ("eager", False), ("graph", False), ("xla", True)],
)
@pytest.mark.parametrize("target", ["labels", "soft"])
def test_what_void_pixels_hold_changes_nothing(
    name: str, mode: str, from_logits: bool, target: str
) -> None:
    logits, labels, soft = batch()
    y_true = labels if target == "labels" else soft
    y_pred = logits if from_logits else softmax(logits)
    loss = LOSSES[name](from_logits=from_logits, ignore_class=VOID)
    step = step_of(loss, mode)
    expected, slope = step(y_true, y_pred)
    assert expected > 0
    for garbage in GARBAGE.values():
        spoilt = y_pred.copy()
        spoilt[labels == VOID] = garbage
        value, gradient = step(y_true, spoilt)
        assert value == pytest.approx(expected, rel=1e-5)
        np.testing.assert_allclose(gradient, slope, atol=1e-6)
        assert not gradient[labels == VOID].any()


@every_loss
@pytest.mark.parametrize("target", ["labels", "soft"])
@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_what_void_pixels_weigh_changes_nothing(
    name: str, target: str, weight: float
) -> None:
    """Weights by class frequency are infinite where nothing is counted."""
    logits, labels, soft = batch()
    y_true = labels if target == "labels" else soft
    step = step_of(LOSSES[name](from_logits=True, ignore_class=VOID))
    weights = np.random.default_rng(1).random(labels.shape, np.float32)
    expected, slope = step(y_true, logits, weights)
    weights[labels == VOID] = weight
    value, gradient = step(y_true, logits, weights)
    assert value == pytest.approx(expected)
    np.testing.assert_allclose(gradient, slope, atol=1e-7)


@every_loss
@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_one_hot_targets_equal_ids_where_classes_are_off(
    name: str, mode: str
) -> None:
    if name == "uniformity":
        pytest.skip("it asks for every class")
    logits, labels, _ = batch()
    off = np.random.default_rng(1).random(logits.shape) < 0.4
    off &= np.eye(VOID + 1, dtype=bool)[labels][..., :N] == 0
    off[..., 0] = False
    logits[off] = -np.inf
    one_hot = np.eye(VOID + 1, dtype=np.float32)[labels][..., :N]
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    expected, slope = step_of(loss, mode)(labels, logits)
    value, gradient = step_of(loss, mode)(one_hot, logits)
    assert np.isfinite(expected)
    assert value == pytest.approx(expected, rel=1e-4)
    assert np.isfinite(gradient).all()
    assert not gradient[off].any()
    np.testing.assert_allclose(gradient, slope, rtol=1e-3, atol=1e-5)


@every_mode
def test_a_soft_target_of_the_classes_that_are_on_by_hand(mode: str) -> None:
    logits = np.float32([[0.0, np.log(3), -np.inf, -np.inf]])
    target = np.float32([[0.5, 0.5, 0.0, 0.0]])
    # s is 1/4 and 3/4. Class 2 and 3 hold nothing, so W moves 1/4 from 1 to 0.
    expected = {
        "cross_entropy": -(0.5 * np.log(0.25) + 0.5 * 0.5 * np.log(0.75)),
        "focal": -0.5 * (0.75**2 * np.log(0.25) + 0.25**2 * np.log(0.75)),
        "wasserstein_none": 0.25 * 1,
        "wasserstein_tree": 0.25 * 1,
        # Rows [0, 1, 2, 3] and [4, 0, 1, 2] of D.
        "wasserstein_log": -0.5
        * (3 * np.log(1 - 0.75 * 1 / 3) + 4 * np.log(1 - 0.25)),
    }
    for name, right in expected.items():
        loss = LOSSES[name](from_logits=True)
        value, gradient = step_of(loss, mode)(target, logits)
        assert value == pytest.approx(right, rel=1e-5)
        assert np.isfinite(gradient).all()
