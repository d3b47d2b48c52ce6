"""Every path of a configuration has a kind, checked before a run starts."""

import os
from pathlib import Path

import pytest

from pipeline.config.loading import load, named_files
from wseg_tf.classes import CAMVID
from wseg_tf.configuration import ConfigurationError
from wseg_tf.ground import GroundMatrix

DEMO = str(Path(__file__).parents[3] / "configs" / "demo.yaml")
FILES = [
    "schema",
    "training.ground.file",
    "data.dataset",
    "data.classes",
    "data.drift_reference",
]


@pytest.fixture
def wrong(tmp_path: Path) -> dict[str, str]:
    """Paths that are no files that end."""
    for name in ("pipe", "pipe.yaml"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "folder.yaml").mkdir()
    for name in ("zero", "zero.yaml"):
        (tmp_path / name).symlink_to("/dev/zero")
    with (tmp_path / "sparse.yaml").open("wb") as file:
        file.truncate(50 * 2**30)
    return {
        kind: str(tmp_path / f"{kind}.yaml")
        for kind in ("pipe", "folder", "zero", "nowhere", "sparse")
    }


@pytest.mark.parametrize("kind", ["pipe", "folder", "zero"])
@pytest.mark.parametrize("field", FILES)
def test_a_file_is_a_file(wrong: dict[str, str], field: str, kind: str) -> None:
    changes = [f"{field}={wrong[kind]}", "data.drift_limit=2"]
    with pytest.raises(ConfigurationError, match=wrong[kind]) as caught:
        load(DEMO, changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "kind", ["pipe", "folder", "zero", "nowhere", "sparse"]
)
def test_so_is_the_configuration_itself(
    wrong: dict[str, str], kind: str
) -> None:
    with pytest.raises(ConfigurationError, match="Expected a YAML file"):
        load(wrong[kind])


def test_a_folder_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = tmp_path / "file"
    for change, key in (
        (f"data.path={file}", "data.path"),
        (f"root={file}", "root"),
    ):
        with pytest.raises(ConfigurationError, match=f"`{key}`.*a folder"):
            load(DEMO, [change])


def test_what_a_configuration_names_is_known(tmp_path: Path) -> None:
    assert named_files(load(DEMO)) == {}
    GroundMatrix.severity_aware(CAMVID).to_yaml(tmp_path / "D.yaml")
    named = named_files(load(DEMO, [f"training.ground.file={tmp_path}/D.yaml"]))
    assert named["training.ground.file"] == f"{tmp_path}/D.yaml"
