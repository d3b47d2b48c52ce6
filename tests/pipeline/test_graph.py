"""What each step's key holds: the table of docs/pipeline.md, row by row."""

import json
from pathlib import Path

import pytest
import yaml

from pipeline.config.loading import load
from pipeline.graph import Engine
from pipeline.runners.prepared import prepare
from wseg_tf.classes import CAMVID
from wseg_tf.ground import GroundMatrix

TEXT = """
name: keys
schema: schema.pbtxt
data: {dataset: camvid, path: data, drift_limit: 9, drift_reference: known.json}
training: {model: enet, ground: {file: d.csv}}
gate: {rules: [{metric: mean_iou, floor: 0.1}]}
"""
JUDGES = {"Evaluator", "Reporter"}


@pytest.fixture
def config(tmp_path: Path, street_folder: Path) -> Path:
    (tmp_path / "data").symlink_to(street_folder)
    for kind in ("", "annot"):
        (street_folder / f"more{kind}").mkdir()
        # It is listed, not read.
        path = street_folder / f"more{kind}" / "D_1.png"
        path.write_bytes(b"another image")
    (tmp_path / "schema.pbtxt").write_text("# One.")
    rows = dict.fromkeys(("pixels", "present", "frames"), [1] * 11)
    count = {**rows, "pixels": [1] * 12, "images": 1, "sizes": [[6, 8, 1]]}
    (tmp_path / "known.json").write_text(json.dumps({"train": {"A": count}}))
    GroundMatrix.severity_aware(CAMVID).to_csv(tmp_path / "d.csv")
    path = tmp_path / "run.yaml"
    path.write_text(TEXT)
    return path


def keys(config: Path, *overrides: str) -> dict[str, str]:
    """What each step is told, apart from what others made."""
    given = [f"root={config.parent}/runs", *overrides]
    pipeline = prepare(load(str(config), given)).build(Engine())
    return {
        each.id: str(sorted(each.exec_properties.items()))
        for each in pipeline.components
    }


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert {*before} == {*after}
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("override", "steps"),
    [
        ("data.allowed_failures=0.5", {"Ingest", "Reporter"}),
        ("data.limit=1", {"Ingest", "Reporter"}),
        ("data.drift_limit=8", {"StopOnDrift", "Reporter"}),
        ("training.seed=1", {"Trainer", "Reporter"}),
        ("training.ground.map=step", {"Trainer", *JUDGES}),
        # The Trainer is told which split it is evaluated on.
        ("data.validation=more", {"Ingest", "Trainer", "Reporter"}),
        ("gate.rules.0.floor=0.2", JUDGES),
        ("gate.seed=1", JUDGES),
        ("kubeflow.namespace=other", {"Reporter"}),
        # The same numbers as in the file.
        ("training.ground.file=null", {"Reporter"}),
    ],
)
def test_a_field_is_in_the_key_of_what_depends_on_it(
    config: Path, override: str, steps: set[str]
) -> None:
    assert changed(keys(config), keys(config, override)) == steps


def test_a_file_is_in_the_keys_by_what_it_holds(config: Path) -> None:
    place = config.parent

    def edited(file: str, text: str) -> set[str]:
        before = keys(config)
        (place / file).write_text(text)
        return changed(before, keys(config))

    numbers = (place / "d.csv").read_text()
    assert edited("d.csv", numbers) == set()
    GroundMatrix(2 * GroundMatrix.severity_aware(CAMVID).values, CAMVID).to_csv(
        place / "e.csv"
    )
    doubled = (place / "e.csv").read_text()
    assert edited("d.csv", doubled) == {"Trainer", *JUDGES}
    assert edited("schema.pbtxt", "# Two.") == {"ImportSchemaGen", "Reporter"}
    known = (place / "known.json").read_text().replace("[1", "[2")
    assert edited("known.json", known) == {"StopOnDrift", "Reporter"}
    (label, *_) = sorted((place / "data" / "trainannot").glob("*.png"))
    before = keys(config)
    label.write_bytes(label.read_bytes() + b" ")
    assert changed(before, keys(config)) == {"Ingest", "Reporter"}


def test_classes_are_in_the_key_of_all_that_reads_labels(config: Path) -> None:
    before = keys(config)
    values = yaml.safe_load(TEXT)
    groups = [
        {"name": name, "group": 2 if name == "sky" else 1}
        for name in CAMVID.names
    ]
    values["data"]["classes"] = {"void": CAMVID.void, "classes": groups}
    config.write_text(yaml.safe_dump(values))
    assert changed(before, keys(config)) == {
        "Ingest", "StopOnDrift", "Trainer", "Evaluator", "ServingCheck",
        "Reporter",
    }  # fmt: skip
