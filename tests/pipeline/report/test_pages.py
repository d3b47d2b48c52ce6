import html.parser
import json
import re
from typing import Any

import numpy as np
import pytest

from pipeline.gate.image_counts import ImageCounts
from pipeline.gate.judge import judge
from pipeline.gate.rules import Gate, Rule
from pipeline.report.facts import Run, costliest, facts
from pipeline.report.pages import to_html, to_json, to_markdown, to_model_card
from pipeline.report.pictures import worst_images
from wseg_tf.classes import CAMVID

GROUND = np.arange(121.0).reshape(11, 11) * (1 - np.eye(11))
CAR, PEDESTRIAN, SKY = 8, 9, 0
EVIL = "<script>alert(1)</script>"


def images(baseline: bool) -> ImageCounts:
    """Three images; a tree is nowhere, and in the second pedestrians lack."""
    counts = np.stack([5 * np.eye(11, dtype=np.int64)] * 3)
    counts[:, 5] = 0
    counts[1, PEDESTRIAN] = [5, *[0] * 10]
    counts[2, SKY, CAR] = 7
    other = counts.copy()
    other[0, PEDESTRIAN, PEDESTRIAN] = 1
    return ImageCounts(
        ("a", "b", EVIL), ("A", "A", "B"), counts, other if baseline else None
    )


def report(
    floor: float = 0.1, baseline: bool = False, fault: str = ""
) -> dict[str, Any]:
    own = images(baseline)
    gate = Gate(
        [
            Rule("iou/car", floor=floor),
            Rule("iou/pedestrian", floor=0.1, every="drive", absent="skip"),
            Rule("iou/pedestrian", allowed_loss=0.0),
        ]
    )
    findings = judge(gate, own, CAMVID, GROUND)
    blessed = all(each.holds for each in findings)
    shares = dict.fromkeys(CAMVID.names, 1 / 11)
    split = {"images": 3, "drives": ["A", "B"], "void": 0.01, "shares": shares}
    found = facts(
        Run(
            name="test",
            classes=CAMVID,
            ground=GROUND,
            images=own,
            findings=findings,
            blessed=blessed,
            serving_fault=fault,
            pushed="serving/1" if blessed and not fault else None,
            model="model",
            baseline="older" if baseline else None,
            worst=worst_images(own, CAMVID),
            data={"dataset": "camvid", "splits": {"eval": split}},
            quarantine=[{"split": "train", "name": "x", "reason": EVIL}],
            lineage={
                "code": {"wseg_tf": "0", "tensorflow": "2"},
                "model": {
                    "digest": "d",
                    "network": "enet",
                    "input": "1x1",
                    "training": "none",
                },
            },
            config="name: test\n",
            decisions=[
                {
                    "when": "w",
                    "what": "rollback",
                    "reason": "r",
                    "withdrawn": [4],
                }
            ],
        )
    )
    for row in found["worst"]:
        row["files"] = {"truth": "truth.jpg"}
    found["legend"] = {"car": "#123456"}
    return found


def page(found: dict[str, Any]) -> str:
    pictures = ("truth.jpg", "severity.png", "confusion.png", "ground.png")
    return to_html(found, dict.fromkeys(pictures, b"picture"))


def test_a_refusal_names_every_rule_that_fails() -> None:
    refused = report(0.9)
    assert "iou/car is 0.6818; the rule wants at least 0.9" in refused["reason"]
    assert to_markdown(refused).startswith("# test: refused\n")
    assert "FAILS: iou/car is 0.6818" in to_model_card(refused)


def test_a_good_model_that_cannot_be_served_is_refused_with_the_reason() -> (
    None
):
    found = report(fault="it cannot be served (no file)")
    assert found["verdict"] == "refused"
    assert found["reason"].endswith("failed: it cannot be served (no file)")


def test_the_table_lists_the_most_important_group_first() -> None:
    rows = report()["table"]
    assert [row["name"] for row in rows[:4]] == [
        "group 4",
        "car",
        "pedestrian",
        "bicyclist",
    ]
    assert len(rows) == 4 + 11 + 1
    (tree,) = [row["iou"] for row in rows if row["name"] == "tree"]
    assert tree is None


def test_json_is_strict_and_keeps_exact_counts() -> None:
    found = json.loads(
        to_json(report(baseline=True)),
        parse_constant=lambda constant: 1 / 0,
    )
    assert found["scores"]["iou/tree"] is None
    counts = images(True).candidate.sum(axis=0)
    assert np.array_equal(found["confusion"], counts)
    rule = found["rules"][3]
    assert (rule["rule"], rule["value"], rule["holds"]) == (
        "iou/car: at least 0.1",
        15 / 22,
        True,
    )
    assert found["rules"][4]["slices"][0]["slice"] == "drive A"
    assert found["rules"][5]["judged"] == pytest.approx(6 / 11 - 10 / 15)


def test_the_costliest_confusions_come_first() -> None:
    counts = images(False).candidate.sum(axis=0)
    rows = costliest(counts, GROUND, CAMVID)
    # 5 pedestrians for sky at 99; 7 sky for car at 8.
    assert [(row["true"], row["predicted"]) for row in rows] == [
        ("pedestrian", "sky"),
        ("sky", "car"),
    ]
    assert rows[0]["share"] == 5 * 99 / (5 * 99 + 7 * 8)


def test_worst_images_are_those_with_most_wrong_pixels() -> None:
    found = worst_images(images(True), CAMVID)
    assert [(each.class_name, each.name) for each in found] == [
        ("car", EVIL),
        ("pedestrian", "b"),
    ]
    car, pedestrian = found
    assert (car.missed, car.invented, car.iou) == (0, 7, 5 / 12)
    assert (pedestrian.missed, pedestrian.invented) == (5, 0)
    assert pedestrian.baseline == 0.0


class Balance(html.parser.HTMLParser):
    """Checks that every element is closed, and collects what is referred to."""

    VOID = ("meta", "img", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.references += [v for k, v in attrs if k in ("src", "href", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("baseline", [True, False])
def test_the_page_needs_no_other_file_and_is_whole(baseline: bool) -> None:
    text = page(report(baseline=baseline))
    found = Balance()
    found.feed(text)
    assert found.open == []
    assert found.references
    assert all(each.startswith("data:image/") for each in found.references)
    assert not re.search(r"https?://|url\(|@import", text)


def test_names_and_reasons_cannot_break_the_page() -> None:
    text = page(report())
    assert "<script" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("baseline", [True, False])
def test_the_twins_say_the_same(baseline: bool) -> None:
    found = report(baseline=baseline)
    for text in (page(found), to_markdown(found)):
        for fact in (
            "0.682",
            "pedestrian",
            "rollback",
            "serving/1",
            "name: test",
        ):
            assert fact in text
        assert ("older" in text or "last blessed model" in text) is baseline
