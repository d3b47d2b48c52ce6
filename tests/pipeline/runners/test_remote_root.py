"""The whole pipeline with its data and its root in an object store."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.gate.digests import digest
from pipeline.release.lineage import latest_run
from pipeline.release.model_files import versions
from tests.pipeline.runners.object_store import object_store
from tests.pipeline.runners.small import SHORT
from wseg_tf import models
from wseg_tf.classes import CAMVID
from wseg_tf.ground import GroundMatrix
from wseg_tf.training.checkpoints import Checkpoints, Progress

CONFIG = str(Path(__file__).parents[3] / "configs" / "demo.yaml")
TINY = [*SHORT, "training.execution.checkpoint_steps=1"]
# tensorflow-io, which opens s3://, follows TensorFlow up to 2.16.
pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 11), reason="s3:// takes Python 3.10's packages"
)


def wseg(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with object_store("streets") as path:
        yield path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where commands are called; the metadata and the log are below it."""
    place, before = tmp_path_factory.mktemp("here"), Path.cwd()
    os.chdir(place)
    yield place
    os.chdir(before)


@pytest.fixture(scope="module")
def ground(bucket: str, folder: Path) -> str:
    """A ground matrix of one's own, in the store too."""
    path = f"{bucket}/ground.csv"
    wseg("models")  # Nothing remote so far.
    GroundMatrix.severity_aware(CAMVID).to_csv(path)
    return path


@pytest.fixture(scope="module")
def pushed(bucket: str, folder: Path, ground: str) -> str:
    """The screen of a run that draws, trains and pushes in the store."""
    own = [f"training.ground={{file: '{ground}'}}"]
    return wseg("run", CONFIG, f"root={bucket}/runs", *TINY, *own)


def test_a_run_pushes_a_model_and_only_metadata_and_log_are_local(
    bucket: str, folder: Path, pushed: str
) -> None:
    (version,) = versions(f"{bucket}/runs/demo/serving")
    assert f"{bucket}/runs/demo/serving/{version}" in pushed
    steps = latest_run("runs/demo/metadata.sqlite")
    assert {step.state for step in steps.values()} == {"complete"}
    local = {str(each.relative_to(folder)) for each in folder.rglob("*.*")}
    assert local == {
        "runs/demo/.lock",
        "runs/demo/logs/latest.log",
        "runs/demo/metadata.sqlite",
    }
    for step in steps.values():
        for artifacts in step.outputs.values():
            assert all(each.uri.startswith(bucket) for each in artifacts)


def test_the_report_is_in_the_store_and_found(bucket: str, pushed: str) -> None:
    path = wseg("report", CONFIG, f"root={bucket}/runs").split()[-1]
    assert path.startswith(f"{bucket}/runs/demo/pipeline/Reporter")
    with tf.io.gfile.GFile(path.replace(".html", ".json")) as file:
        assert json.load(file)["images"] == 3


def test_a_model_and_data_in_the_store_are_judged(
    bucket: str, pushed: str
) -> None:
    (version,) = versions(f"{bucket}/runs/demo/serving")
    wseg(
        "evaluate",
        f"{bucket}/runs/demo/serving/{version}",
        f"{bucket}/runs/demo/streets",
        "--dataset=streets",
        f"--json={bucket}/scores.json",
    )
    with tf.io.gfile.GFile(f"{bucket}/scores.json") as file:
        assert "mean_iou" in file.read()


def test_records_are_converted_in_the_store_or_not_at_all(
    bucket: str, pushed: str
) -> None:
    streets, out = f"{bucket}/runs/demo/streets", f"{bucket}/records"
    wseg("data", "check", streets, "--dataset=streets")
    wseg("data", "convert", streets, out, "--dataset=streets")
    assert tf.io.gfile.glob(f"{out}/Split-train/data_tfrecord-*")
    assert tf.io.gfile.exists(f"{out}/statistics.json")
    assert sorted(tf.io.gfile.listdir(f"{bucket}/")) == [
        "ground.csv",
        "records",
        "runs",
        "scores.json",
    ]
    with tf.io.gfile.GFile(f"{bucket}/bad/trainannot/A_1.png", "w") as file:
        file.write("no picture")
    with tf.io.gfile.GFile(f"{bucket}/bad/train/A_1.png", "w") as file:
        file.write("no picture")
    arguments = ["data", "convert", f"{bucket}/bad", f"{bucket}/none"]
    done = CliRunner().invoke(app, [*arguments, "--split=train"])
    assert done.exit_code == 2, done.output
    assert not tf.io.gfile.exists(f"{bucket}/none")


def test_a_rollback_moves_whole_versions(bucket: str, pushed: str) -> None:
    serving = f"{bucket}/runs/demo/serving"
    (version,) = versions(serving)
    before = digest(f"{serving}/{version}")
    for path in (f"{version}/saved_model.pb", f"{version}/fingerprint.pb"):
        target = path.replace(str(version), str(version + 1))
        tf.io.gfile.copy(f"{serving}/{path}", f"{serving}/{target}")
    wseg("rollback", CONFIG, f"root={bucket}/runs", "--reason=test")
    assert versions(serving) == [version]
    assert versions(f"{bucket}/runs/demo/withdrawn") == [version + 1]
    wseg("rollback", CONFIG, f"root={bucket}/runs", f"--to={version + 1}")
    assert versions(serving) == [version, version + 1]
    assert digest(f"{serving}/{version}") == before
    said = wseg("baseline", CONFIG, f"root={bucket}/runs")
    assert len(said.splitlines()) == 2


def test_checkpoints_and_weights_come_back(bucket: str, folder: Path) -> None:
    import tensorflow_io  # noqa: F401

    model = models.build("enet", len(CAMVID))
    optimizer = tf.keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    kept = Checkpoints(f"{bucket}/checkpoints")
    for step in range(3):
        kept.save(Progress(step=step), model, optimizer)
    found = Checkpoints(f"{bucket}/checkpoints").latest()
    assert found is not None
    assert found.progress.step == 2
    names = tf.io.gfile.listdir(f"{bucket}/checkpoints")
    assert len([each for each in names if each.endswith(".npz")]) == 2
    kept.remove()
    assert not tf.io.gfile.exists(f"{bucket}/checkpoints")

    local = folder / "enet.weights.h5"
    model.save_weights(local)
    tf.io.gfile.copy(str(local), f"{bucket}/enet.weights.h5")
    local.unlink()
    other = models.build(
        "enet", len(CAMVID), weights=f"{bucket}/enet.weights.h5"
    )
    for one, two in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_program_ends_with_its_own_code(bucket: str) -> None:
    """What opens S3 aborts where Python unloads it."""
    code = (
        "import sys; from pipeline.cli import main; sys.argv[1:] = "
        f"['gate', '{bucket}/none', '{bucket}/none', '{CONFIG}']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert "none" in done.stderr
