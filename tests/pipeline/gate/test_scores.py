import math

import numpy as np
import pytest

from pipeline.gate.scores import score_names, scores
from wseg_tf.classes import CAMVID, CITYSCAPES


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
    assert found["critical_iou/minimum"] == pytest.approx(0.5)
    assert found["critical_iou/mean"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert found["iou_group/4"] == found["critical_iou/mean"]
    assert found["merged_recall/4"] == pytest.approx(12 / 16)
    assert found["merged_recall/1"] == 1
    assert found["mean_iou"] == pytest.approx((1 + 1 + 0.5 + 1 + 0) / 5)
    assert found["expected_severity"] == pytest.approx(2 * 4 / 17)
    assert math.isnan(found["iou/tree"])


def test_an_absent_critical_class_leaves_no_critical_figure() -> None:
    found = scores(counts_of(car=3, bicyclist=5), CAMVID, GROUND)
    assert math.isnan(found["critical_iou/minimum"])
    assert math.isnan(found["critical_iou/mean"])


def test_every_class_set_has_the_names_that_scores_gives() -> None:
    for classes in (CAMVID, CITYSCAPES):
        size = len(classes)
        found = scores(np.eye(size, dtype=int), classes, np.zeros([size, size]))
        assert score_names(classes) == list(found)
        assert f"iou/{classes.critical[0]}" in found
