import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wseg_tf.metrics import confusion_count

VOID = 255


def test_counts_worked_by_hand() -> None:
    labels = [[0, 0, 1], [1, 2, VOID]]
    predictions = [[0, 1, 1], [2, 2, 0]]
    expected = [[1, 1, 0], [0, 1, 1], [0, 0, 1]]
    counts = confusion_count(labels, predictions, 3, VOID)
    assert counts.tolist() == expected
    assert counts.dtype == np.int64


@given(
    st.integers(2, 300),
    st.sampled_from(["uint8", "int16", "int32", "int64", "uint32"]),
    st.sampled_from(["uint8", "int32", "int64"]),
    st.sampled_from([None, 255, -1, 0, 1]),
    st.integers(0, 2**31),
)
def test_agrees_with_a_loop_over_pixels(
    classes: int, label_type: str, prediction_type: str, void: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    classes = min(classes, 255 if void == 255 else 256)
    if "uint8" not in (label_type, prediction_type):
        classes += 50 if void != 255 else 0
    labels = random.integers(0, classes, 40).astype(label_type)
    predictions = random.integers(0, classes, 40).astype(prediction_type)
    if void is not None and (void >= 0 or "u" not in label_type):
        labels[::7] = void
    expected = np.zeros((classes, classes), int)
    for label, prediction in zip(labels, predictions, strict=True):
        if label != void:
            expected[label, prediction] += 1
    counts = confusion_count(labels, predictions, classes, void)
    np.testing.assert_array_equal(counts, expected)


def test_predictions_at_void_pixels_may_hold_anything() -> None:
    counts = confusion_count([VOID, 1], [77, 1], 2, VOID)
    assert counts.tolist() == [[0, 0], [0, 1]]


def test_all_void_counts_nothing() -> None:
    void = np.full((2, 3), VOID, np.uint8)
    assert confusion_count(void, void * 0, 4, VOID).sum() == 0


def test_exact_beyond_what_float32_can_hold() -> None:
    counts = np.zeros((2, 2), np.int64)
    counts[0, 0] = 2**24
    counts += confusion_count([0], [0], 2)
    assert counts[0, 0] == 2**24 + 1


@pytest.mark.parametrize(
    ("labels", "predictions", "named"),
    [
        ([0, 7], [0, 0], r"`labels`.*\[7\]"),
        ([0, -1], [0, 0], r"`labels`.*\[-1\]"),
        ([0, 1], [0, 3], r"`predictions`.*\[3\]"),
        ([0, 1], [0, -2], r"`predictions`.*\[-2\]"),
        ([0, 1], [0, 1, 1], r"`predictions`.*shape"),
        ([0.0, 1.0], [0, 1], r"`labels`.*float64"),
    ],
)
def test_refuses_what_it_cannot_count(
    labels: list[int], predictions: list[int], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        confusion_count(np.array(labels), np.array(predictions), 3, VOID)


def test_imports_numpy_alone() -> None:
    code = (
        "import sys, wseg_tf.metrics as m; m.confusion_count([0], [0], 2);"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
