"""What `wseg init` writes is read, checked and could be run as it is."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from pipeline.config.contents import resolved
from pipeline.config.loading import load_pipeline
from pipeline.ingest.first_config import first_files
from pipeline.ingest.listing import find_splits
from tests.wseg_tf.data.discovery.folders import areas, ids, photograph
from wseg_tf.classes import class_set
from wseg_tf.data.discovery import discover


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, str]:
    """A folder called `Höfe: 2`, and the configuration of it."""
    folder = tmp_path / "Höfe: 2"
    for split, drive, n in (
        ("train", "a", 1),
        ("train", "b", 2),
        ("val", "a", 3),
        ("val", "a", 4),
    ):
        path = folder / split
        photograph(path / f"{drive}_{n}.png", seed=n, size=(200, 400))
        rows = areas(0, 7, 24, 24) if split == "train" else areas(7, 26)
        label = folder / f"{split}_labels" / f"{drive}_{n}_labelIds.png"
        ids(label, rows.repeat(17, 0)[:200].repeat(25, 1))
    found = discover(str(folder))
    out = str(tmp_path / "configs" / "yard.yaml")
    Path(out).parent.mkdir()
    for path, text in first_files(found, out).items():
        Path(path).write_text(text)
    return folder, out


def test_what_is_written_is_a_whole_configuration(
    written: tuple[Path, str], tmp_path: Path
) -> None:
    folder, out = written
    config = load_pipeline(out, [f"root={tmp_path}/runs"])
    assert config.data.path == str(folder)
    assert config.name == "hofe_2"
    # Resolving it reads classes and D.
    values = resolved(config)
    classes = class_set(values.data.classes)
    # Of the critical classes of Cityscapes, `val` shows cars alone.
    assert classes.critical == ("car",)
    assert values.training.ground.matrix is not None
    pairs = find_splits(config)
    assert [len(pairs[split]) for split in ("train", "eval")] == [2, 2]
    # 200 x 400 at most 512 long, in steps of 32.
    assert (config.training.height, config.training.width) == (192, 384)
    # Drive `a` is in both splits, and it says so.
    assert config.gate.allow_shared == ["drive"]
    assert "both splits, which flatters a model: a." in Path(out).read_text()


def test_a_floor_is_above_what_a_lazy_model_reaches(
    written: tuple[Path, str],
) -> None:
    _, out = written
    floor = load_pipeline(out).gate.rules[0]
    assert floor.metric == "mean_iou"
    # `val` is 10/13 road in the first rows of each label, two classes.
    text = Path(out).read_text()
    assert "everything `road`" in text
    reached = float(text.split("reaches ")[1].split(".\n")[0])
    assert 0.25 < reached < 0.5
    assert reached < (floor.floor or 0) < reached + 0.02


def test_edited_names_and_groups_are_taken(written: tuple[Path, str]) -> None:
    _, out = written
    data = Path(out.replace(".yaml", "-data.yaml"))
    text = data.read_text()
    text = text.replace("critical: [car]", "critical: [5]")
    text = text.replace(": road", ": tarmac").replace(
        "name: road", "name: tarmac"
    )
    text = text.replace("colour: [0, 0, 142], group: 4", "group: 5")
    data.write_text(text)
    config = load_pipeline(out)
    classes = config.data.class_set
    assert classes.critical == ("car",)
    assert classes.levels == (1, 2, 3, 4, 5)
    assert "tarmac" in classes.names
    data.write_text(text.replace("name: tarmac", "name: asphalt"))
    with pytest.raises(ValueError, match="tarmac"):
        load_pipeline(out)


def test_what_is_odd_in_the_data_leaves_a_gate_that_can_hold(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "one"
    for split, values in (("train", (0, 1)), ("val", (1,))):
        for n in range(2):
            photograph(folder / split / "a" / f"{n}.jpg", seed=n)
            ids(folder / split / "b" / f"{n}.png", areas(*values))
    found = discover(str(folder))
    out = str(tmp_path / "one.yaml")
    for path, text in first_files(found, out).items():
        Path(path).write_text(text)
    config = load_pipeline(out)
    assert all((r.floor or 0) < 1 for r in config.gate.rules)
    assert config.data.class_set.critical == ()
    named = dataclasses.replace(found, name="no")
    for text in first_files(named, out).values():
        assert "pbtxt" in text or "feature" in text or "dataset" in text
    values = yaml.safe_load(first_files(named, out)[out])
    assert values["name"] == "no"


def test_a_third_split_can_be_judged_on(tmp_path: Path) -> None:
    folder = tmp_path / "three"
    for split in ("train", "val", "test"):
        for n in range(2):
            photograph(folder / split / "a" / f"{split}{n}.jpg", seed=n)
            ids(folder / split / "b" / f"{split}{n}.png", areas(0, 1))
    out = tmp_path / "three.yaml"
    for path, text in first_files(discover(str(folder)), str(out)).items():
        Path(path).write_text(text)
    assert [*find_splits(load_pipeline(str(out)))] == ["train", "eval"]
    # As its comment says.
    text = out.read_text().replace('  eval: "val"\n', "")
    assert 'Nothing reads "test".' in text
    text = text.replace("# validation:", "validation:")
    out.write_text(text.replace("# eval:", "eval:"))
    config = load_pipeline(str(out), [f"root={tmp_path}/runs"])
    assert config.data.splits == {
        "train": "train",
        "eval": "test",
        "validation": "val",
    }
    assert all(len(each) == 2 for each in find_splits(config).values())
