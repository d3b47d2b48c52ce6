"""Trainings that are really killed, and such as really share a batch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.wseg_tf.training.processes import same_weights
from wseg_tf.training.history import read_history

ROOT = Path(__file__).parents[3]


def run(what: str, folder: Path) -> None:
    module = "tests.wseg_tf.training.processes"
    done = subprocess.run(
        [sys.executable, "-m", module, what, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_process_killed_within_an_epoch_ends_with_the_same_bits(
    tmp_path: Path,
) -> None:
    run("kill", tmp_path)
    kept = json.loads((tmp_path / "kept.json").read_text())
    # The kill fell within the second epoch of five steps.
    assert "checkpoint-000-00001-0000002.npz" in kept
    assert same_weights(tmp_path / "killed", tmp_path / "whole")
    epochs = [
        line["epoch"]
        for line in read_history(str(tmp_path / "killed" / "history.csv"))
    ]
    assert epochs == ["1", "2", "3"]


def test_two_workers_and_two_replicas_do_what_one_device_does(
    tmp_path: Path,
) -> None:
    run("workers", tmp_path)
    names = ("alone", "worker0", "worker1", "mirrored")
    weights = {name: np.load(tmp_path / name / "weights.npz") for name in names}
    assert same_weights(tmp_path / "worker0", tmp_path / "worker1")
    for name in ("worker0", "mirrored"):
        for array in weights["alone"].files:
            np.testing.assert_allclose(
                weights[name][array],
                weights["alone"][array],
                rtol=1e-4,
                atol=1e-6,
            )
    # The first worker alone writes.
    assert (tmp_path / "worker0" / "history.csv").exists()
    assert not (tmp_path / "worker1" / "history.csv").exists()
    alone, worker = (
        read_history(str(tmp_path / name / "history.csv"))
        for name in ("alone", "worker0")
    )
    for one, two in zip(alone, worker, strict=True):
        np.testing.assert_allclose(
            float(one["loss"]), float(two["loss"]), rtol=1e-5
        )
        assert one["mean_iou"][:6] == two["mean_iou"][:6]
    assert alone[-1]["mean_iou"]
    assert (tmp_path / "exported" / "saved_model.pb").exists()
