import html
import html.parser
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.gate.rules import Rule
from pipeline.report.facts import costliest, facts
from pipeline.report.pages import to_json, to_markdown, to_model_card
from pipeline.report.pictures import typical_images, worst_images
from pipeline.report.schema import SCHEMA
from tests.pipeline.report.sample import (
    EVIL,
    GROUND,
    STARTED,
    images,
    page,
    run,
    with_files,
)
from wseg_tf.classes import CAMVID, class_set

LINKS = ("#verdict", "#rules", "#classes", "#slices", "#missed", "#signature")


def report(
    floor: float = 0.1, baseline: bool = False, fault: str = ""
) -> dict[str, Any]:
    rules = [
        Rule("iou/car", floor=floor),
        Rule("iou/pedestrian", floor=0.1, every="drive", absent="skip"),
        Rule("iou/pedestrian", allowed_loss=0.0),
    ]
    changes: dict[str, Any] = {"pushed": None} if fault else {}
    return with_files(
        facts(
            run(
                rules,
                images(baseline),
                baseline="older" if baseline else None,
                serving_fault=fault,
                decisions=[
                    {
                        "when": "w",
                        "what": "rollback",
                        "reason": "r",
                        "withdrawn": [4],
                    }
                ],
                **changes,
            )
        )
    )


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


def test_a_typical_image_is_of_the_median_iou_and_not_of_the_worst() -> None:
    own = images().chosen([0] * 5)
    names = tuple("abcde")
    own = type(own)(names, own.drives, own.candidate)
    car = CAMVID.index("car")
    for place, wrong in enumerate([0, 1, 2, 3, 4]):
        own.candidate[place, car, 0] = wrong
    found = {e.class_name: e for e in typical_images(own, CAMVID)}
    assert {e.name for e in worst_images(own, CAMVID)} == {"d", "e"}
    # IoU 1, 5 / 6 and 5 / 7 are left.
    assert (found["car"].name, found["car"].iou) == ("b", 5 / 6)
    assert found["pedestrian"].iou == 1.0  # none of its images is bad


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
    assert {*LINKS} <= {*found.references}
    assert all(
        each.startswith(("data:image/", "#")) for each in found.references
    )
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


def test_every_form_says_who_made_it_and_what_no_rule_says() -> None:
    found = report(baseline=True)
    for text in (page(found), to_markdown(found)):
        plain = html.unescape(text)
        for fact in (
            "2026-01-02T03:00:00.000001",
            "somebody on a machine",
            "wseg run configs/demo.yaml",
            "0123456789abcdef0123456789abcdef01234567",
            "clean tree",
            "a processor",
            "precision",
            "Signature",
            "I have read this report",
            "1 of 4 regions are missed",
            "pedestrian taken for sky",
            "must be 0.1 or more",
            "d" * 64,
            "e" * 64,
        ):
            assert fact in plain
        for remark in found["remarks"]:
            assert remark["text"].split("`")[0] in plain
    assert "No image judged shows tree" in to_model_card(found)


def test_a_tree_that_was_changed_is_told() -> None:
    changed = STARTED | {"clean": False, "changed": 3}
    found = with_files(facts(run(started=changed)))
    assert "tree changed: 3 files" in page(found)
    assert "tree changed (3 files)" in to_markdown(found)
    unknown = STARTED | {"commit": None, "clean": None, "changed": None}
    assert "is no checkout" in page(with_files(facts(run(started=unknown))))


def test_names_are_text_in_markdown_too() -> None:
    names = [
        "<script>x", "*a*", "_b_", "`c`", "a|b", "[l](x)", "&lt;",
        "car", "# head", "snake_case",
    ]  # fmt: skip
    classes = class_set(
        {"classes": names[:-1] + [{"name": "snake_case", "group": 2}, "z"]}
    )
    found = with_files(facts(run([Rule("mean_iou", floor=0.1)],
                                 classes=classes)))  # fmt: skip
    twin, card = to_markdown(found), to_model_card(found)
    for text in (twin, card):
        assert "<script" not in text.replace("\\<script", "")
        assert not re.search(r"^# head", text, re.MULTILINE)
        assert "](x)" not in text.replace("\\](x)", "")
    rows = [
        re.split(r"(?<!\\)\|", line)
        for line in twin.partition("## IoU")[2].partition("##")[0].splitlines()
        if line.startswith("|")
    ]
    assert {len(row) for row in rows} == {8}
    assert "snake_case" in twin  # readable where nothing can go wrong
    # What is quoted ends where it should.
    assert "````yaml\nname: test\n```\n````\n" in twin


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """A small check of what the schema uses, without the package."""
    if "anyOf" in schema:
        return any(fits(value, each) for each in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    python = {
        "object": dict, "array": list, "string": str, "boolean": bool,
        "integer": int, "number": (int, float), "null": type(None),
    }  # fmt: skip
    if not any(
        isinstance(value, python[kind])
        and (kind == "boolean" or not isinstance(value, bool))
        for kind in kinds
    ):
        return False
    if isinstance(value, dict):
        known = schema.get("properties", {})
        others = schema.get("additionalProperties", {})
        return {*schema.get("required", [])} <= {*value} and all(
            fits(each, known[key]) if key in known
            else others is not False and (not others or fits(each, others))
            for key, each in value.items()
        )  # fmt: skip
    if isinstance(value, list):
        return all(fits(each, schema["items"]) for each in value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (
            schema.get("minimum", value)
            <= value
            <= schema.get("maximum", value)
        )
    return True


def violations(
    good: dict[str, Any],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Reports that a reader of the schema may not be given."""
    for key, value in (
        ("version", 2),
        ("verdict", "maybe"),
        ("images", -1),
        ("legend", {"car": 7}),
        ("confusion", [[0.5]]),
        ("more", 1),
    ):
        yield key, good | {key: value}
    commit = {k: v for k, v in good["started"].items() if k != "commit"}
    yield "started", good | {"started": commit}
    row = good["table"][0] | {"iou": 1.5}
    yield "iou", good | {"table": [row, *good["table"][1:]]}


@pytest.mark.parametrize("baseline", [True, False])
def test_json_is_what_its_schema_says(baseline: bool) -> None:
    found = json.loads(to_json(report(baseline=baseline)))
    assert found["version"] == SCHEMA["properties"]["version"]["const"]
    assert fits(found, SCHEMA)
    for key, bad in violations(found):
        assert not fits(bad, SCHEMA), key
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert [error.message for error in validator.iter_errors(found)] == []
    for key, bad in violations(found):
        assert not validator.is_valid(bad), key


def test_a_report_without_what_is_optional_fits_too() -> None:
    bare = facts(run(missed=None, started={}, history=(), worst=(), typical=()))
    assert fits(json.loads(to_json(bare)), SCHEMA)
    assert "#missed" not in page(bare)
    assert "#training" not in page(bare)
    assert bare["started"] is None


def test_what_belongs_to_another_run_is_refused() -> None:
    others = images().chosen([0, 1])
    with pytest.raises(ValueError, match="an image that was judged"):
        run(own=others, worst=worst_images(images(), CAMVID))
    with pytest.raises(ValueError, match=r"`images`.*19 classes"):
        replace(run(), classes=class_set("cityscapes"))


def test_slices_stand_side_by_side() -> None:
    slices = {"light": {"day": ["A"], "dusk": ["B"]}}
    found = with_files(facts(run(slices=slices)))
    rows = {(row["kind"], row["slice"]): row for row in found["slices"]}
    assert [*rows] == [
        ("drive", "A"), ("drive", "B"), ("light", "day"), ("light", "dusk"),
    ]  # fmt: skip
    assert rows["light", "dusk"]["iou"]["car"] == 5 / 12
    assert rows["light", "dusk"]["precision"]["car"] == 5 / 12
    assert rows["drive", "A"]["recall"]["pedestrian"] == 0.5
    text = re.sub(r"\s+", "", page(found))
    assert '<thclass="first"></th><th>day</th><th>dusk</th>' in text
