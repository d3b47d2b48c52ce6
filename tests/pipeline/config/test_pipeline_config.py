from pathlib import Path

import pytest

from pipeline.config.adaptation_config import AdaptationConfig
from pipeline.config.contents import schema_file
from pipeline.config.loading import load, load_pipeline
from wseg_tf.classes import CITYSCAPES
from wseg_tf.configuration import ConfigurationError
from wseg_tf.ground import GroundMatrix

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
    adapts = path.stem in ("day_to_dusk", "gta5_to_cityscapes")
    folders = ["source.path=a", "target.path=b"] if adapts else []
    config = load(str(path), folders)
    assert isinstance(config, AdaptationConfig) == adapts
    assert config.gate.rules
    if adapts:
        with pytest.raises(ConfigurationError, match="a single data set"):
            load_pipeline(str(path), folders)


def test_paths_in_a_file_are_of_its_folder_and_typed_ones_of_here(
    tmp_path: Path,
) -> None:
    (tmp_path / "yard.yaml").write_text("images: a/{name}\nlabels: b/{name}")
    GroundMatrix.severity_aware(CITYSCAPES).to_yaml(tmp_path / "d.yaml")
    text = """
name: a
data: {dataset: yard.yaml, path: frames}
training: {initial: start.npz, ground: {file: d.yaml}}
gate: {rules: [{metric: mean_iou, floor: 0.1}]}
"""
    path = write(tmp_path, text)
    config = load_pipeline(path)
    here = str(tmp_path)
    assert config.data.dataset == f"{here}/yard.yaml"
    assert config.data.path == f"{here}/frames"
    assert config.training.initial == f"{here}/start.npz"
    assert config.training.ground.file == f"{here}/d.yaml"
    typed = load_pipeline(path, ["training.initial=b.npz"], data="other")
    assert typed.training.initial == "b.npz"
    assert typed.data.path == "other"
    blessed = load_pipeline(path, ["training.initial=blessed"])
    assert blessed.training.initial == "blessed"
    remote = text.replace("frames", "gs://bucket/frames")
    assert load_pipeline(write(tmp_path, remote)).data.path == (
        "gs://bucket/frames"
    )


def test_data_for_drawn_streets_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, f"name: a\n{GATE}")
    with pytest.raises(ConfigurationError, match=r"`--data`.*data\.dataset"):
        load(path, data="camvid")
    assert load_pipeline(path, ["data.dataset=camvid"], "x").data.path == "x"


def test_a_schema_of_ones_own_lies_beside_the_file(tmp_path: Path) -> None:
    config = load(write(tmp_path, f"name: a\nschema: own.pbtxt\n{GATE}"))
    assert config.schema == schema_file(config) == str(tmp_path / "own.pbtxt")
    config = load(write(tmp_path, f"name: a\n{GATE}"))
    assert config.schema is None
    assert 'name: "label/encoded"' in Path(schema_file(config)).read_text()


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
            r"argument `training.stages.0.loss`.*'mse'",
        ),
        (
            f"name: a\ntraining: {{ground: {{severities: [1, 2]}}}}\n{GATE}",
            r"run.yaml: .*`ground.severities`.*\[1, 2, 3, 4\].*\[1.0, 2.0\]",
        ),
        (
            f"name: a\ntraining: {{ground: {{factors: {{dog: 2}}}}}}\n{GATE}",
            r"run.yaml: .*`ground.factors`.*'dog'",
        ),
        (
            f"name: a\ntraining: {{ground: {{file: no.csv}}}}\n{GATE}",
            r"`ground.file`.*no\.csv",
        ),
        (
            "name: a\ngate: {rules: [{metric: expected_severity, ceiling: 9}]}",
            r"`expected_severity` in `gate.rules.0` of .*below 4, the largest",
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
