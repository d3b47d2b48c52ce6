from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from wseg_tf import metrics
from wseg_tf.classes import class_set

# Class 2 is absent; class 3 is predicted but never true.
COUNTS = np.array([[6, 2, 0, 1], [1, 3, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def test_scores_worked_by_hand() -> None:
    nan = float("nan")
    np.testing.assert_allclose(
        metrics.iou_per_class(COUNTS), [6 / 10, 3 / 6, nan, 0]
    )
    np.testing.assert_allclose(
        metrics.recall_per_class(COUNTS), [6 / 9, 3 / 4, nan, nan]
    )
    np.testing.assert_allclose(
        metrics.precision_per_class(COUNTS), [6 / 7, 3 / 5, nan, 0]
    )
    assert metrics.mean_iou(COUNTS) == pytest.approx(1.1 / 3)
    assert metrics.minimum_iou(COUNTS) == 0
    assert metrics.minimum_iou(COUNTS, [0, 1, 2]) == 0.5
    assert metrics.pixel_accuracy(COUNTS) == pytest.approx(9 / 13)
    assert metrics.mean_recall(COUNTS) == pytest.approx((6 / 9 + 3 / 4) / 2)
    assert metrics.mean_precision(COUNTS) == pytest.approx(
        (6 / 7 + 3 / 5 + 0) / 3
    )
    assert metrics.frequency_weighted_iou(COUNTS) == pytest.approx(
        (9 * 0.6 + 4 * 0.5) / 13
    )


def test_a_group_is_the_mean_of_its_present_classes() -> None:
    assert metrics.mean_iou(COUNTS, [0, 1, 2]) == pytest.approx(0.55)
    assert metrics.mean_iou(COUNTS, [3]) == 0
    assert np.isnan(metrics.mean_iou(COUNTS, [2]))


def test_merged_a_group_forgives_confusion_within_it() -> None:
    # One pixel of 13 left the group.
    assert metrics.merged_recall(COUNTS, [0, 1, 2]) == pytest.approx(12 / 13)
    assert np.isnan(metrics.merged_recall(COUNTS, [3]))
    assert metrics.merged_recall(COUNTS, [0]) == pytest.approx(6 / 9)
    # The order of the classes is that of ids, and no pixel counts twice.
    assert metrics.merged_recall(COUNTS, [1, 3]) == pytest.approx(3 / 4)


def test_a_class_that_is_missed_altogether_is_there() -> None:
    """Absence of data and absence of predictions are different things."""
    missed = np.array([[5, 0], [3, 0]])
    np.testing.assert_array_equal(
        metrics.precision_per_class(missed), [5 / 8, 0]
    )
    assert metrics.mean_precision(missed) == 5 / 16
    assert metrics.minimum_iou(missed) == 0


def test_severity_reads_rows_as_truth() -> None:
    ground = np.zeros((4, 4))
    ground[1, 0] = 13.0  # Truth 1 taken for 0: one pixel.
    assert metrics.expected_severity(COUNTS, ground) == 1.0
    assert metrics.expected_severity(COUNTS, ground.T) == 2.0


def test_severity_of_the_step_matrix_is_the_error_rate() -> None:
    step = 1 - np.eye(4)
    error = 1 - metrics.pixel_accuracy(COUNTS)
    assert metrics.expected_severity(COUNTS, step) == pytest.approx(error)


@given(st.integers(0, 2**31), st.integers(2, 12))
def test_laws(seed: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    counts = random.integers(0, 50, (classes, classes))
    counts[random.random((classes, classes)) < 0.3] = 0
    order = random.permutation(classes)
    permuted = counts[np.ix_(order, order)]
    iou = metrics.iou_per_class(counts)
    np.testing.assert_array_equal(metrics.iou_per_class(permuted), iou[order])
    # IoU treats truth and predictions alike; recall and precision swap, but
    # for a class that is true and never predicted.
    np.testing.assert_array_equal(metrics.iou_per_class(counts.T), iou)
    swapped = metrics.recall_per_class(counts.T)
    missed = np.isnan(swapped) & (counts.sum(axis=-1) > 0)
    np.testing.assert_array_equal(
        metrics.precision_per_class(counts), np.where(missed, 0, swapped)
    )
    np.testing.assert_allclose(metrics.iou_per_class(7 * counts), iou)


def test_nothing_counted_is_nan_everywhere() -> None:
    nothing = np.zeros((3, 3), int)
    for score in (
        metrics.mean_iou,
        metrics.minimum_iou,
        metrics.pixel_accuracy,
        metrics.mean_recall,
        metrics.mean_precision,
        metrics.frequency_weighted_iou,
    ):
        assert np.isnan(score(nothing))
    assert np.isnan(metrics.expected_severity(nothing, np.ones((3, 3))))


def test_refuses_wrong_shapes() -> None:
    with pytest.raises(ValueError, match="square"):
        metrics.mean_iou(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="`ground`"):
        metrics.expected_severity(COUNTS, np.zeros((3, 3)))


@pytest.mark.parametrize("as_given", [np.asarray, tf.constant])
def test_scores_of_no_class_are_absent(as_given: Any) -> None:
    counts = as_given(np.eye(3)[None] * [[[1.0]], [[2.0]]])
    for formula in (
        metrics.minimum_iou,
        metrics.mean_iou,
        metrics.mean_recall,
        metrics.mean_precision,
    ):
        found = np.asarray(formula(counts, []))
        assert found.shape == (2,)
        assert np.isnan(found).all()


def test_a_set_without_critical_classes_has_all_other_scores() -> None:
    found = metrics.scores(np.eye(2), class_set(["floor", "wall"]))
    assert found["mean_iou"] == 1
    assert np.isnan(found["critical_iou"])
    assert np.isnan(found["critical_minimum_iou"])
