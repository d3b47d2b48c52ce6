"""`wseg experiment` by hand: other data, two at once, one that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.screen import USER_ERROR
from pipeline.experiments import results, run
from tests.pipeline.experiments import small
from wseg_tf.data.streets import write_streets
from wseg_tf.locks import held

RUN = [sys.executable, "-m", "tests.pipeline.experiments.small", "experiment"]


@pytest.fixture(autouse=True)
def small_trainings(monkeypatch):
    monkeypatch.setattr(run, "build_model", small.build)
    monkeypatch.setattr(run, "train", small.train)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A plan of three trainings, its data, and what came of it once."""
    folder = tmp_path_factory.mktemp("experiment")
    write_streets(str(folder / "streets"), {"train": 6, "val": 2}, (32, 40))
    plan = {
        "name": "tiny",
        "root": str(folder / "runs"),
        "data": {"dataset": "camvid", "path": "streets"},
        "start": {"height": 32, "width": 40, "batch": 2},
        "methods": [{"name": "A"}, {"name": "B", "stage": {"loss": "focal"}}],
        "reference": "A",
        "seeds": [0],
        "metrics": ["mean_iou", "iou/critical"],
        "tested": ["mean_iou"],
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    return folder


def wseg(*arguments):
    return CliRunner().invoke(app, ["experiment", *map(str, arguments)])


def trained(folder):
    return {
        path.parent.name: path.stat().st_mtime_ns
        for path in Path(folder).glob("tiny/*/run.json")
    }


def test_a_killed_comparison_goes_on_and_another_waits_for_its_turn(place):
    log = place / "log"
    root = place / "runs"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*RUN, str(place / "plan.yaml")],
            stdout=file,
            stderr=file,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "SLOW": "1",
            },
        )
        while len(trained(root)) < 2:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        # While it works, a second one is told so.
        second = wseg(place / "plan.yaml")
        assert second.exit_code == USER_ERROR
        assert f"in use by an experiment (process {process.pid}" in (
            second.stderr
        )
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = trained(root)
    done = wseg(place / "plan.yaml")
    assert done.exit_code == 0, done.output
    after = trained(root)
    assert len(before) == 2
    assert {name: after[name] for name in before} == before
    assert len(after) == 3
    assert "### val" in done.stdout
    again = wseg(place / "plan.yaml")
    assert trained(root) == after
    assert again.stdout.split("### val")[1] == done.stdout.split("### val")[1]


def test_tables_are_shown_again_from_the_file(place):
    first = wseg(place / "plan.yaml")
    saved = place / "runs" / "tiny" / "results.json"
    assert wseg(saved).stdout.strip() in first.stdout
    assert wseg(saved, "--summary").stdout.startswith("| method | mean IoU |")
    refused = wseg(saved, "--trained")
    assert refused.exit_code == USER_ERROR
    assert "Expected `--summary` beside it" in refused.stderr
    refused = wseg(saved, "seeds=[1]")
    assert refused.exit_code == USER_ERROR
    assert "Expected none beside a results.json" in refused.stderr


def test_another_data_set_is_another_table(place):
    def counted(*given):
        assert wseg(place / "plan.yaml", *given).exit_code == 0
        saved = results.read(str(place / "runs" / "tiny" / "results.json"))
        return [outcome.counts["val"].tolist() for outcome in saved.outcomes]

    first = counted()
    write_streets(
        str(place / "others"), {"train": 6, "val": 2}, (32, 40), seed=5
    )
    other = counted("--data", place / "others")
    assert all(old != new for old, new in zip(first, other, strict=True))
    assert len(trained(place / "runs")) == 6
    assert counted() == first
    assert len(trained(place / "runs")) == 6


def test_what_is_trained_on_is_not_reported_on(place):
    refused = wseg(place / "plan.yaml", "data.eval=train")
    assert refused.exit_code == USER_ERROR
    assert "allow_shared=[image]" in refused.stderr
    allowed = wseg(
        place / "plan.yaml", "data.eval=train", "allow_shared=[image]"
    )
    assert allowed.exit_code == 0
    assert "**Seen in training: 6 of the images judged on are" in allowed.stdout


def test_a_refusal_leaves_the_folder_to_others(place):
    assert wseg(place / "plan.yaml", "data.eval=train").exit_code != 0
    with held(str(place / "runs" / "tiny"), "a test"):
        pass
