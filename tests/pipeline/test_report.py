import json
import math

import numpy as np

from pipeline.image_counts import ImageCounts
from pipeline.judge import judge
from pipeline.report import Report, to_json, to_markdown
from pipeline.rules import Gate, Rule
from pipeline.scores import iou_rows, scores
from wseg_tf.classes import CAMVID

COUNTS = np.diag([5, 5, 5, 5, 5, 0, 5, 5, 5, 5, 5])
GROUND = np.ones([11, 11]) - np.eye(11)
VALUES = scores(COUNTS, CAMVID, GROUND)
IMAGES = ImageCounts(("a",), ("A",), COUNTS[None])


def report(floor: float, blessed: bool) -> Report:
    gate = Gate([Rule("iou/car", floor=floor), Rule("iou/tree", floor=0.1)])
    return Report(
        name="test",
        blessed=blessed,
        findings=judge(gate, IMAGES, CAMVID, GROUND),
        values=VALUES,
        confusion=COUNTS,
        images=3,
        classes=CAMVID,
        model="model",
        pushed="serving/1" if blessed else None,
    )


def test_a_refusal_names_every_rule_that_fails() -> None:
    refused = report(1.1, blessed=False)
    assert "iou/car is 1.0000; the rule wants at least 1.1" in refused.reason
    assert "iou/tree is not measured" in refused.reason
    assert to_markdown(refused).startswith("# test: refused\n")


def test_the_table_lists_the_most_important_group_first() -> None:
    rows = iou_rows(VALUES, CAMVID)
    assert [name for name, _, _ in rows[:4]] == [
        "group 4",
        "car",
        "pedestrian",
        "bicyclist",
    ]
    assert rows[-1] == ("mean", "mean", 1.0)
    assert len(rows) == 4 + 11 + 1
    (tree,) = [value for name, _, value in rows if name == "tree"]
    assert math.isnan(tree)


def test_json_is_strict_and_keeps_exact_counts() -> None:
    found = json.loads(
        to_json(report(0.5, blessed=True)),
        parse_constant=lambda constant: 1 / 0,
    )
    assert found["scores"]["iou/tree"] is None
    assert np.array_equal(found["confusion"], COUNTS)
    assert found["rules"][3] == {
        "metric": "iou/car",
        "rule": "iou/car: at least 0.5",
        "value": 1.0,
        "holds": True,
    }
