import json

import numpy as np
import pytest

from wseg_tf import metrics
from wseg_tf.classes import CAMVID


def test_summary_holds_every_score_and_is_json() -> None:
    random = np.random.default_rng(3)
    counts = random.integers(1, 90, (11, 11))
    counts[10] = counts[:, 10] = 0  # No bicyclist anywhere.
    ground = random.random((11, 11))
    scores = metrics.summary(counts, CAMVID, ground)
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    assert scores["pixels"] == counts.sum()
    assert scores["mean_iou"] == metrics.mean_iou(counts)
    assert scores["critical_iou"] == metrics.mean_iou(counts, [8, 9, 10])
    assert scores["groups"]["4"] == scores["critical_iou"]
    assert scores["critical_minimum_iou"] == metrics.minimum_iou(counts, [8, 9])
    assert scores["expected_severity"] == metrics.expected_severity(
        counts, ground
    )
    assert scores["classes"]["car"]["iou"] == metrics.iou_per_class(counts)[8]
    assert scores["classes"]["bicyclist"] == {
        "iou": None,
        "recall": None,
        "precision": None,
        "pixels": 0,
    }


def test_without_ground_no_severity_and_wrong_size_is_refused() -> None:
    assert metrics.summary(np.eye(11), CAMVID)["expected_severity"] is None
    with pytest.raises(ValueError, match="camvid"):
        metrics.summary(np.eye(19), CAMVID)
