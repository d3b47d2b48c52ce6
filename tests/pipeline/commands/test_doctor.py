"""`wseg doctor`: what it finds is what is there."""

import json
import os
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from typer.testing import CliRunner

import wseg_tf
from pipeline.cli import app
from pipeline.commands import doctor


def wseg(*arguments):
    done = CliRunner().invoke(app, list(map(str, arguments)))
    return done.exit_code, " ".join(done.output.split())


def write(folder, split):
    for kind, shape in ((split, [4, 6, 3]), (f"{split}annot", [4, 6])):
        (folder / kind).mkdir(parents=True)
        Image.fromarray(np.zeros(shape, np.uint8)).save(folder / kind / "a.png")


def test_the_version_is_the_package_s():
    assert wseg("--version") == (0, wseg_tf.__version__)


def test_where_all_is_there_a_run_can_work(tmp_path):
    write(tmp_path / "camvid", "train")
    write(tmp_path / "camvid", "val")
    code, said = wseg(
        "doctor",
        "--root",
        tmp_path / "new" / "runs",
        "--data",
        tmp_path / "camvid",
    )
    assert code == 0
    assert f"tensorflow │ {tf.__version__}" in said
    assert "pairs: train 1, val 1" in said
    assert said.endswith("`wseg run` can work here.")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("version", "stops"),
    [("3.10.1", False), ("3.11.7", False), ("3.12.1", True)],
)
def test_other_pythons_than_those_tried_stop(monkeypatch, version, stops):
    monkeypatch.setattr(doctor.platform, "python_version", lambda: version)
    assert doctor.python().stops == stops


def test_what_stops_a_run_is_named_with_its_cure(tmp_path, monkeypatch):
    def missing(package):
        if package in ("tfx", "tf2onnx"):
            raise PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(doctor, "version", missing)
    (tmp_path / "file").write_text("")
    found = {each.name: each for each in doctor.packages()}
    assert found["tfx"].stops
    assert "pip install 'wseg_tf[pipeline]'" in found["tfx"].cure
    assert not found["tf2onnx"].stops
    assert "wseg export" in found["tf2onnx"].cure
    code, said = wseg(
        "doctor", "--root", tmp_path / "file" / "runs", "--data", tmp_path
    )
    assert code == 1
    assert said.endswith(
        "`wseg run` cannot work here: tfx, room for runs, data."
    )


def test_a_card_that_tensorflow_does_not_see_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(doctor, "NVIDIA", str(tmp_path / "none"))
    assert doctor.accelerators().cure == ""
    monkeypatch.setattr(doctor, "NVIDIA", os.fspath(tmp_path))
    assert "locks/gpu.txt" in doctor.accelerators().cure


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_stops(tmp_path):
    tmp_path.chmod(0o500)
    assert any(each.stops for each in doctor.machine(str(tmp_path / "runs")))


def test_the_findings_are_json_too(tmp_path, capsys):
    done = CliRunner().invoke(
        app, ["doctor", "--root", str(tmp_path), "--json", "-"]
    )
    found = {each["name"]: each for each in json.loads(done.stdout)}
    assert found["tensorflow"]["found"] == tf.__version__
    assert found["Python"]["stops"] is (done.exit_code == 1)
    assert "`wseg run` can" in done.stderr
