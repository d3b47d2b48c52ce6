import json
import math

import numpy as np
import pytest
import tensorflow as tf

from wseg_tf import metrics
from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.metrics.table import expand, kind_of

GROUND = np.ones([11, 11]) - np.eye(11)


def counts_of(**hits: int) -> np.ndarray:
    """A perfect count over the named classes alone."""
    counts = np.zeros([len(CAMVID), len(CAMVID)], np.int64)
    for name, pixels in hits.items():
        counts[CAMVID.index(name), CAMVID.index(name)] = pixels
    return counts


def test_names_figures_by_hand() -> None:
    counts = counts_of(car=3, pedestrian=4, bicyclist=5, sky=1)
    counts[CAMVID.index("pedestrian"), CAMVID.index("pole")] = 4
    found = metrics.scores(counts, CAMVID, 2 * GROUND)
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
    assert found["minimum_iou"] == 0
    # The pole is invented: no true pixel, so no recall, but no precision.
    assert found["mean_recall"] == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert found["mean_precision"] == pytest.approx((1 + 1 + 1 + 1 + 0) / 5)
    assert found["expected_severity"] == pytest.approx(2 * 4 / 17)
    assert math.isnan(found["iou/tree"])


def test_absent_never_predicted_and_never_true_are_three_things() -> None:
    counts = counts_of(car=3, bicyclist=5)
    counts[CAMVID.index("sign"), CAMVID.index("road")] = 4
    found = metrics.summary(counts, CAMVID, GROUND)

    def of(name: str) -> list[float | None]:
        return [found[f"{kind}/{name}"] for kind in ("iou", "recall")] + [
            found[f"precision/{name}"]
        ]

    assert of("pedestrian") == [None, None, None]
    assert of("sign") == [0, 0, 0]
    assert of("road") == [0, None, 0]
    # What is absent is left out, of the critical classes as of all.
    assert found["critical_iou"] == found["iou_group/4"] == 1
    assert found["critical_minimum_iou"] == 1
    assert found["mean_iou"] == pytest.approx(2 / 4)
    assert found["iou_group/1"] is None


def test_every_name_is_of_one_count_of_many_and_of_a_tensor() -> None:
    random = np.random.default_rng(0)
    total = random.integers(0, 50, (6, 11, 11))
    total[1, 9] = 0  # Predicted, never true.
    total[2, :, 4] = total[2, 4] = 0  # Absent.
    total[3] = 0
    total[4, :, 10] = 0  # True, never predicted.
    ground = random.random((11, 11))
    single = [metrics.scores(each, CAMVID, ground) for each in total]
    for name in metrics.score_names(CAMVID):
        expected = [each[name] for each in single]
        many = metrics.score(name, total, CAMVID, ground)
        np.testing.assert_allclose(many, expected, rtol=1e-12, err_msg=name)
        tensor = tf.constant(total, tf.float64)
        found = metrics.score(name, tensor, CAMVID, ground)
        assert tf.is_tensor(found)
        np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=name)


def test_every_class_set_has_the_names_that_scores_gives() -> None:
    for classes in (CAMVID, CITYSCAPES):
        size = len(classes)
        found = metrics.scores(np.eye(size, dtype=int), classes)
        assert metrics.score_names(classes) == list(found)
        assert f"iou/{classes.critical[0]}" in found
        assert math.isnan(found["expected_severity"])  # There is no D.


def test_a_name_may_stand_for_several() -> None:
    assert expand("iou", CAMVID) == [f"iou/{name}" for name in CAMVID.names]
    assert expand("recall/critical", CAMVID) == [
        "recall/car",
        "recall/pedestrian",
        "recall/bicyclist",
    ]
    assert expand("merged_recall", CAMVID)[0] == "merged_recall/1"
    assert expand("mean_iou", CAMVID) == ["mean_iou"]
    several = {
        name
        for kind in ("iou", "recall", "precision", "iou_group", "merged_recall")
        for name in expand(kind, CAMVID)
    }
    names = metrics.score_names(CAMVID)
    assert several == {name for name in names if "/" in name}
    assert [n for n in names if kind_of(n).lower_is_better] == [
        "expected_severity"
    ]


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("critical_iou/minimum", "critical_minimum_iou"),
        ("critical_iou/mean", "critical_iou"),
        ("mean_iuo", "mean_iou"),
        ("iou/pedestrain", "iou/pedestrian"),
        ("iou/crtical", "iou/critical"),
        ("iou_group_4", "iou_group/4"),
        ("iou_car", "iou/car"),
        ("mean_iou/car", "mean_iou"),
    ],
)
def test_a_wrong_name_suggests_the_near_one(wrong: str, near: str) -> None:
    said = f"did you mean `{near}`.*Received: name='{wrong}'"
    with pytest.raises(ValueError, match=said):
        expand(wrong, CAMVID)
    with pytest.raises(ValueError, match=said):
        metrics.score(wrong, np.eye(11), CAMVID)


def test_one_score_is_not_several() -> None:
    with pytest.raises(ValueError, match="Expected one of"):
        metrics.score("iou", np.eye(11), CAMVID)


def test_a_summary_is_json_and_wrong_sizes_are_refused() -> None:
    counts = np.random.default_rng(3).integers(1, 90, (11, 11))
    counts[10] = counts[:, 10] = 0  # No bicyclist anywhere.
    found = metrics.summary(counts, CAMVID)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["iou/bicyclist"] is None
    with pytest.raises(ValueError, match="camvid"):
        metrics.summary(np.eye(19), CAMVID)
