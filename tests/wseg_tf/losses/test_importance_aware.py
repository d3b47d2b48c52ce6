import numpy as np
import pytest

from wseg_tf.classes import CAMVID
from wseg_tf.losses import CrossEntropyLoss, ImportanceAwareLoss


def test_three_groups_worked_by_hand() -> None:
    # Pixels of groups 1, 2, 3, each predicted with s_true = 1/2.
    s = np.full((3, 3), 0.25) + 0.25 * np.eye(3)
    f2 = (0.5 * 0.25 + 1.5 * 0.25 + 1.5 * 0.25) / (2 * 3)
    f3 = (0.5 * 0.25 + 1.5 * 0.25) / (2 * 2)
    level2, level3 = f2 + 2, (f2 + 2) * (f3 + 2)
    weights = 1 + (1 + level2) + (1 + level2 + level3)
    value = ImportanceAwareLoss([1, 2, 3])([0, 1, 2], s.astype(np.float32))
    assert float(value) == pytest.approx(weights * np.log(2) / 3)


def test_one_group_is_cross_entropy() -> None:
    s = np.random.default_rng(0).dirichlet(np.ones(3), 5).astype(np.float32)
    labels = [0, 1, 2, 1, 0]
    value = float(ImportanceAwareLoss([1, 1, 1])(labels, s))
    assert value == pytest.approx(float(CrossEntropyLoss()(labels, s)))


def test_the_same_image_twice_is_that_image() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 11, (1, 6, 6))
    s = random.dirichlet(np.ones(11), (1, 6, 6)).astype(np.float32)
    loss = ImportanceAwareLoss(CAMVID, ignore_class=11)
    twice = loss(np.repeat(labels, 2, 0), np.repeat(s, 2, 0))
    assert float(twice) == pytest.approx(float(loss(labels, s)), rel=1e-5)


def test_an_empty_level_adds_nothing() -> None:
    s = np.array([[0.5, 0.25, 0.25]], np.float32)
    value = ImportanceAwareLoss([1, 2, 3])([0], s)
    assert float(value) == pytest.approx(np.log(2))


@pytest.mark.parametrize("groups", [[1, 3, 7], [2, 3, 4]])
def test_groups_count_by_their_order(groups: list[int]) -> None:
    s = np.random.default_rng(0).dirichlet(np.ones(3), 5).astype(np.float32)
    labels = [0, 1, 2, 1, 0]
    value = float(ImportanceAwareLoss(groups)(labels, s))
    expected = float(ImportanceAwareLoss([1, 2, 3])(labels, s))
    assert value == pytest.approx(expected)


def test_class_weights_multiply() -> None:
    s = np.full((1, 2), 0.5, np.float32)
    plain = float(ImportanceAwareLoss([1, 2])([1], s))
    weighted = float(ImportanceAwareLoss([1, 2], [1.0, 5.0])([1], s))
    assert weighted == pytest.approx(5 * plain)
