from pathlib import Path

import pytest

from pipeline.config import adaptation_config
from pipeline.config.pipeline_config import load
from wseg_tf.configuration import ConfigurationError

CONFIGS = Path(__file__).parents[3] / "configs"
GATE = "gate: {rules: [{metric: mean_iou, floor: 0.1}]}"


def write(folder: Path, text: str) -> str:
    path = folder / "run.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_config_of_the_project_loads(path: Path) -> None:
    adapts = adaptation_config.is_adaptation(str(path))
    assert adapts == (path.stem in ("day_to_dusk", "gta5_to_cityscapes"))
    if adapts:
        folders = ["source.path=a", "target.path=b"]
        assert adaptation_config.load(str(path), folders).gate.rules
    else:
        assert load(str(path)).gate.rules


def test_the_schema_is_looked_for_beside_the_file(tmp_path: Path) -> None:
    config = load(write(tmp_path, f"name: a\n{GATE}"))
    assert config.schema == str(tmp_path / "schema.pbtxt")


def test_folders_are_absolute_but_for_remote_roots(tmp_path: Path) -> None:
    path = write(tmp_path, f"name: a\n{GATE}")
    assert load(path).folder("serving") == str(
        Path.cwd() / "runs" / "a" / "serving"
    )
    remote = load(path, ["root=gs://bucket/x/"])
    assert remote.folder("serving") == "gs://bucket/x/a/serving"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"name: a\nepochs: 1\n{GATE}", r"Invalid key `epochs` in .*run.yaml"),
        (f"name: a b\n{GATE}", r"argument `name`.*'a b'"),
        ("name: a", r"`gate.rules`.*at least one rule"),
        (
            "name: a\ngate: {rules: [{metric: iou/dog, floor: 0.1}]}",
            r"Invalid metric `iou/dog` in `gate.rules.0`.*'iou/car'",
        ),
        (
            "name: a\ngate: {rules: [{metric: mean_iou}]}",
            r"Invalid rule on `mean_iou`.*floor=None",
        ),
        (
            f"name: a\ndata: {{dataset: kitti}}\n{GATE}",
            r"Invalid layout.*'kitti'",
        ),
        (
            f"name: a\ntraining: {{stages: [{{loss: mse}}]}}\n{GATE}",
            r"argument `loss`.*'mse'",
        ),
    ],
)
def test_refuses_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere.yaml \(no such"):
        load("nowhere.yaml")
