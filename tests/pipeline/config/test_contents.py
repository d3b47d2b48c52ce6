"""What a configuration is, by value: files may change, runs may not."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.config.adaptation_config import AdaptationConfig
from pipeline.config.contents import keep_config, resolved
from pipeline.config.loading import load, load_pipeline
from wseg_tf import configuration
from wseg_tf.classes import CAMVID
from wseg_tf.configuration import ConfigurationError
from wseg_tf.filesystems import keep
from wseg_tf.ground import GroundMatrix
from wseg_tf.training.objectives import build_ground

CONFIGS = Path(__file__).parents[3] / "configs"
TEXT = """
name: a
schema: schema.pbtxt
data: {dataset: camvid, drift_limit: 3, drift_reference: known.json}
training: {initial: start.weights.h5, ground: {file: d.yaml}}
gate: {rules: [{metric: mean_iou, floor: 0.1}]}
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "run.yaml").write_text(TEXT)
    (tmp_path / "schema.pbtxt").write_text("# One.")
    (tmp_path / "known.json").write_text("{}")
    (tmp_path / "start.weights.h5").write_bytes(b"weights")
    GroundMatrix.severity_aware(CAMVID).to_yaml(tmp_path / "d.yaml")
    return str(tmp_path / "run.yaml")


def by_value(path: str, root: Path) -> str:
    config = resolved(load_pipeline(path, [f"root={root}/runs"]))
    return configuration.dump(config)


def test_a_resolved_config_names_no_file_that_a_user_edits(
    path: str, tmp_path: Path
) -> None:
    text = by_value(path, tmp_path)
    values = yaml.safe_load(text)
    for each in ("d.yaml", "start.weights.h5", "schema.pbtxt", "known.json"):
        assert str(tmp_path / each) not in text
    copy = Path(values["training"]["initial"])
    assert copy.is_relative_to(tmp_path / "runs")
    assert copy.read_bytes() == b"weights"
    assert values["training"]["ground"]["file"] is None
    ground = np.array(values["training"]["ground"]["matrix"])
    np.testing.assert_array_equal(
        ground, GroundMatrix.severity_aware(CAMVID).values
    )
    assert values["data"]["classes"] == CAMVID.as_dict()
    # And it is read back as it was, and is its own resolution.
    assert by_value_again(text, tmp_path) == text


def by_value_again(text: str, folder: Path) -> str:
    (folder / "again.yaml").write_text(text)
    return by_value(str(folder / "again.yaml"), folder)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("schema.pbtxt", b"# Two."),
        ("known.json", b"{ }"),
        ("start.weights.h5", b"others."),
        ("d.yaml", None),
    ],
)
def test_an_edited_file_is_another_run_and_the_old_one_stays(
    path: str, tmp_path: Path, file: str, content: bytes | None
) -> None:
    before = by_value(path, tmp_path)
    kept = {
        each: each.read_bytes()
        for each in (tmp_path / "runs").rglob("*")
        if each.is_file()
    }
    if content is None:
        GroundMatrix.importance_aware(CAMVID).to_yaml(tmp_path / file)
    else:
        (tmp_path / file).write_bytes(content)
    assert by_value(path, tmp_path) != before
    assert all(each.read_bytes() == text for each, text in kept.items())


def test_the_same_content_elsewhere_is_the_same_run(
    path: str, tmp_path: Path
) -> None:
    before = by_value(path, tmp_path)
    other = tmp_path / "elsewhere"
    other.mkdir()
    for each in [each for each in tmp_path.iterdir() if each.is_file()]:
        each.rename(other / each.name)
    assert by_value(str(other / "run.yaml"), tmp_path) == before


def test_a_copy_that_somebody_changed_is_made_anew(
    path: str, tmp_path: Path
) -> None:
    """A copy is named by what it holds; no name stands for something else."""
    text = by_value(path, tmp_path)
    kept = {
        each: each.read_bytes()
        for each in (tmp_path / "runs").rglob("*")
        if each.is_file()
    }
    assert len(kept) == 3
    for each in kept:
        each.write_bytes(b"others.")
    assert by_value(path, tmp_path) == text
    assert {each: each.read_bytes() for each in kept} == kept


def test_words_that_mean_the_same_d_are_the_same_run(
    path: str, tmp_path: Path
) -> None:
    values = yaml.safe_load(TEXT)
    values["training"]["ground"] = {"preset": "severity_aware", "within": 0.5}
    Path(path).write_text(yaml.safe_dump(values))
    words = by_value(path, tmp_path)
    Path(path).write_text(TEXT)
    assert by_value(path, tmp_path) == words


def test_the_classes_that_are_judged_may_have_other_groups(
    path: str, tmp_path: Path
) -> None:
    rows = [
        {"name": name, "group": 2 if name == "sky" else 1}
        for name in CAMVID.names
    ]
    values = yaml.safe_load(TEXT)
    values["data"]["classes"] = {"void": 11, "classes": rows}
    Path(path).write_text(yaml.safe_dump(values))
    config = load_pipeline(path)
    assert config.data.class_set.critical == ("sky",)
    values["data"]["classes"]["classes"].reverse()
    Path(path).write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigurationError, match=r"`classes`\. Expected the"):
        load_pipeline(path)


def test_domains_are_resolved_too(tmp_path: Path) -> None:
    path = str(CONFIGS / "day_to_dusk.yaml")
    config = load(path, [f"root={tmp_path}"])
    assert isinstance(config, AdaptationConfig)
    found = resolved(config)
    for domain in (found.source, found.target):
        assert domain.classes == CAMVID.as_dict()
    ground = build_ground(found.training.ground, CAMVID)
    assert ground == build_ground(config.training.ground, CAMVID)


def test_what_is_not_there_is_one_sentence(path: str, tmp_path: Path) -> None:
    for file, said in (
        ("start.weights.h5", r"start\.weights\.h5.*does not exist"),
        ("schema.pbtxt", r"`schema`.*schema\.pbtxt \(no such file\)"),
        ("known.json", r"`data\.drift_reference`.*known\.json \(no such"),
    ):
        content = (tmp_path / file).read_bytes()
        (tmp_path / file).unlink()
        with pytest.raises(ConfigurationError, match=said) as caught:
            by_value(path, tmp_path)
        assert "\n" not in str(caught.value)
        (tmp_path / file).write_bytes(content)


def test_what_is_kept_has_a_name_of_its_content(tmp_path: Path) -> None:
    one = keep(str(tmp_path), "a.txt", "one")
    assert keep(str(tmp_path), "a.txt", "one") == one
    assert keep(str(tmp_path), "a.txt", "two") != one
    assert Path(one).read_text() == "one"
    Path(one).write_text("two")
    with pytest.raises(ConfigurationError, match=r"a\.txt\. Expected the text"):
        configuration.kept_text(one)
    assert configuration.kept_text(keep(str(tmp_path), "a.txt", "one")) == "one"
    config = load_pipeline(
        str(CONFIGS / "demo.yaml"), [f"root={tmp_path}/runs"]
    )
    assert "name: demo" in Path(keep_config(config)).read_text()
