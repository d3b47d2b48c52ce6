import json
import math

import numpy as np
import pytest
import tensorflow as tf

from wseg_tf import metrics
from wseg_tf.classes import CAMVID, CITYSCAPES, ClassSet, class_set
from wseg_tf.metrics.table import (
    TABLE,
    classes_of,
    expand,
    iou_rows,
    score,
    score_names,
    scores,
)

YARD = class_set(
    {
        "classes": [
            "ground",
            {"name": "person", "group": 7},
            {"name": "forklift", "group": 3},
        ]
    }
)
RANDOM = np.random.default_rng(3)


def counts_of(**hits: int) -> np.ndarray:
    """A perfect count over the named classes alone."""
    counts = np.zeros([len(CAMVID), len(CAMVID)], np.int64)
    for name, pixels in hits.items():
        counts[CAMVID.index(name), CAMVID.index(name)] = pixels
    return counts


GROUND = np.ones([11, 11]) - np.eye(11)


def test_names_figures_by_hand() -> None:
    counts = counts_of(car=3, pedestrian=4, bicyclist=5, sky=1)
    counts[CAMVID.index("pedestrian"), CAMVID.index("pole")] = 4
    found = scores(counts, CAMVID, 2 * GROUND)
    assert found["iou/pedestrian"] == pytest.approx(4 / 8)
    assert found["recall/pedestrian"] == pytest.approx(4 / 8)
    assert found["precision/pedestrian"] == 1
    assert found["iou/pole"] == 0
    assert found["critical_minimum_iou"] == pytest.approx(0.5)
    assert found["critical_iou"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert found["iou_group/4"] == found["critical_iou"]
    assert found["merged_recall/4"] == pytest.approx(12 / 16)
    assert found["merged_recall/1"] == 1
    assert found["mean_iou"] == pytest.approx((1 + 1 + 0.5 + 1 + 0) / 5)
    assert found["expected_severity"] == pytest.approx(2 * 4 / 17)
    assert math.isnan(found["iou/tree"])


def test_absent_classes_take_no_part_in_means_and_minima() -> None:
    found = scores(counts_of(car=3, bicyclist=5), CAMVID, GROUND)
    assert found["critical_minimum_iou"] == found["critical_iou"] == 1
    found = scores(counts_of(sky=3), CAMVID, GROUND)
    assert math.isnan(found["critical_iou"])
    assert math.isnan(found["critical_minimum_iou"])


def test_every_class_set_has_the_names_that_scores_gives() -> None:
    for classes in (CAMVID, CITYSCAPES, YARD):
        size = len(classes)
        found = scores(np.eye(size, dtype=int), classes, np.zeros([size, size]))
        assert score_names(classes) == list(found)
        assert f"iou/{classes.critical[0]}" in found


@pytest.mark.parametrize("classes", [CAMVID, YARD])
def test_many_counts_at_once_are_each_alone_on_tensors_too(
    classes: ClassSet,
) -> None:
    size = len(classes)
    many = RANDOM.integers(0, 50, (6, size, size))
    many[1, 1] = 0  # Predicted, never true.
    many[2, :, 0] = many[2, 0] = 0  # Absent.
    many[3] = 0
    ground = RANDOM.random((size, size))
    for name in score_names(classes):
        alone = [scores(each, classes, ground)[name] for each in many]
        np.testing.assert_array_equal(score(name, many, classes, ground), alone)
        tensor = tf.constant(many, tf.float64)
        np.testing.assert_allclose(
            np.asarray(score(name, tensor, classes, ground)), alone
        )


def test_summary_holds_every_score_and_is_json() -> None:
    counts = RANDOM.integers(1, 90, (11, 11))
    counts[10] = counts[:, 10] = 0  # No bicyclist anywhere.
    ground = RANDOM.random((11, 11))
    found = metrics.summary(counts, CAMVID, ground)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [*found] == score_names(CAMVID)
    assert found["critical_iou"] == metrics.mean_iou(counts, [8, 9, 10])
    assert found["critical_minimum_iou"] == metrics.minimum_iou(counts, [8, 9])
    assert found["iou/bicyclist"] is None
    assert metrics.summary(counts, CAMVID)["expected_severity"] is None
    with pytest.raises(ValueError, match="camvid"):
        metrics.summary(np.eye(19), CAMVID)


def test_names_that_stand_for_several() -> None:
    assert expand("mean_iou", CAMVID) == ["mean_iou"]
    assert expand("recall/critical", YARD) == ["recall/person"]
    assert expand("iou", YARD) == ["iou/ground", "iou/person", "iou/forklift"]
    assert expand("iou_group", YARD) == [
        "iou_group/1",
        "iou_group/3",
        "iou_group/7",
    ]
    assert classes_of("merged_recall/3", YARD) == [2]
    assert classes_of("critical_iou", YARD) == [1]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("iou/pedestrain", "iou/pedestrian"),
        ("critical_iou/minimum", "critical_minimum_iou"),
        ("mean_ious", "mean_iou"),
        ("iou_group/5", "iou_group/4"),
        ("mean_iou/car", "mean_iou"),
        ("", ""),
    ],
)
def test_another_name_is_refused_with_the_near_one(
    name: str, near: str
) -> None:
    said = f"did you mean `{near}`" if near else "Expected one of"
    with pytest.raises(ValueError, match=said):
        expand(name, CAMVID)
    with pytest.raises(ValueError, match="Invalid score"):
        score(name, np.eye(11), CAMVID)


def test_rows_of_ious_are_those_of_any_groups() -> None:
    rows = iou_rows(scores(np.eye(3, dtype=int), YARD), YARD)
    assert [row[0] for row in rows] == [
        "group 7",
        "person",
        "group 3",
        "forklift",
        "group 1",
        "ground",
        "mean",
    ]


def test_only_the_severity_is_better_when_lower() -> None:
    lower = [name for name, row in TABLE.items() if row.lower_is_better]
    assert lower == ["expected_severity"]
