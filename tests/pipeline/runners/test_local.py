"""The whole pipeline, once, on a few drawn streets; then what a re-run does."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.screen import REFUSED, USER_ERROR
from pipeline.gate.evaluator import VerifyingExecutor
from pipeline.release.lineage import latest_run
from pipeline.runners import local
from tests.pipeline.report.test_pages import fits
from tests.pipeline.runners.small import LENIENT, SMALL
from wseg_tf.classes import CAMVID
from wseg_tf.ground import GroundMatrix
from wseg_tf.locks import held

CONFIG = Path(__file__).parents[3] / "configs" / "demo.yaml"
TINY = [*SMALL, "training.stages.0.epochs=1", "training.stages.1.epochs=1"]
STRICT = "gate.rules=[{metric: mean_iou, floor: 0.99}]"


def wseg(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def pushed(root: Path) -> str:
    """The screen of a run whose rules the model meets."""
    code, screen = wseg("run", str(CONFIG), f"root={root}", *TINY, LENIENT)
    assert code == 0, screen
    return screen


def steps(root: Path) -> dict[str, str]:
    run = latest_run(str(root / "demo" / "metadata.sqlite"))
    return {name: step.state for name, step in run.items()}


def contexts(database: str) -> set[str]:
    """The names of what ML Metadata has run."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT name FROM Context").fetchall()
    return {name for (name,) in rows}


def versions(root: Path) -> list[Path]:
    return sorted((root / "demo" / "serving").glob("*"))


def test_a_good_model_is_pushed_and_the_screen_says_so(
    root: Path, pushed: str
) -> None:
    (version,) = versions(root)
    assert "Verdict: pushed: all 4 rules hold" in pushed
    assert str(version) in pushed
    assert "[11/11]" in pushed
    assert "pedestrian" in pushed


def test_the_training_leaves_its_history_and_no_checkpoints(
    root: Path, pushed: str
) -> None:
    trainer = root / "demo" / "pipeline" / "Trainer"
    (history,) = trainer.glob("model_run/*/history.csv")
    assert history.read_text().startswith("stage,epoch,steps,learning_rate")
    assert list(history.with_name("tensorboard").iterdir())
    assert not list((root / "demo" / "checkpoints").iterdir())


def test_the_report_agrees_with_the_screen(root: Path, pushed: str) -> None:
    folder = pushed.split("Report:")[1].strip().removesuffix("/report.html")
    report = json.loads((Path(folder) / "report.json").read_text())
    assert report["blessed"] is True
    assert report["pushed"] == str(versions(root)[0])
    assert report["images"] == 3
    # Every labelled pixel of the native size is counted.
    assert 0.8 * 3 * 48 * 64 < sum(map(sum, report["confusion"])) <= 3 * 48 * 64
    rule = report["rules"][-1]
    assert rule["value"] == report["scores"]["mean_iou"]
    assert fits(
        report, json.loads((Path(folder) / "report.schema.json").read_text())
    )
    # The run of ML Metadata, its training, and what its model misses.
    database = str(root / "demo" / "metadata.sqlite")
    assert report["started"]["run"] in contexts(database)
    assert [row["stage"] for row in report["curve"]] == [
        "pretrain (1/2)",
        "fine-tune (2/2)",
    ]
    assert report["missed"]["regions"] >= report["missed"]["missed"]
    shown = [*report["worst"], *report["typical"], *report["missed"]["shown"]]
    files = [file for row in shown for file in row["files"].values()]
    assert files
    assert all((Path(folder) / file).exists() for file in files)


def test_the_page_is_found_and_needs_no_other_file(
    root: Path, pushed: str, tmp_path: Path
) -> None:
    copy = tmp_path / "page.html"
    code, screen = wseg("report", str(root / "demo"), f"--out={copy}")
    assert code == 0, screen
    code, screen = wseg("report", str(CONFIG), f"root={root}")
    assert code == 0, screen
    (path,) = screen.split()
    assert path in pushed
    page = copy.read_text()
    assert page == Path(path).read_text()
    for fact in ("worst images", "data:image/jpeg", "Every pair passed"):
        assert fact in page
    card = Path(path).with_name("model_card.md").read_text()
    assert "- train: 4 images of 2 drives" in card
    code, screen = wseg("report", str(CONFIG), f"root={tmp_path}")
    assert (code, "no run so far" in screen) == (USER_ERROR, True)


def test_the_evaluator_and_the_evaluate_command_agree_exactly(
    root: Path, pushed: str, tmp_path: Path
) -> None:
    scores = tmp_path / "scores.json"
    code, screen = wseg(
        "evaluate",
        str(versions(root)[0]),
        str(root / "demo" / "streets"),
        "--dataset",
        "streets",
        "--json",
        str(scores),
    )
    assert code == 0, screen
    folder = pushed.split("Report:")[1].strip().removesuffix("/report.html")
    report = json.loads((Path(folder) / "report.json").read_text())
    assert json.loads(scores.read_text()) == report["scores"]


def test_the_pushed_model_needs_tensorflow_alone(
    root: Path, pushed: str
) -> None:
    (image, *_) = sorted((root / "demo" / "streets" / "val").glob("*.png"))
    code = f"""
import sys
for name in ("wseg_tf", "keras", "tfx"):
    sys.modules[name] = None
import tensorflow as tf
model = tf.saved_model.load({str(versions(root)[0])!r})
png = tf.io.read_file({str(image)!r})
classes = model.signatures["serving_default"](tf.stack([png, png]))["classes"]
assert classes.shape == (2, 48, 64), classes.shape
assert classes.dtype == tf.uint8
assert int(tf.reduce_max(classes)) < 11
"""
    # TensorFlow 2.15 loads keras by itself, lazily.
    code = code.replace('"wseg_tf", "keras", "tfx"', '"wseg_tf", "tfx"')
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_second_run_reuses_every_step(root: Path, pushed: str) -> None:
    code, screen = wseg("run", str(CONFIG), f"root={root}", *TINY, LENIENT)
    assert code == 0, screen
    states = steps(root)
    # TFX looks for the baseline in every run; what it finds is the same.
    assert states.pop("Baseline") == "complete"
    assert set(states.values()) == {"cached"}
    assert len(versions(root)) == 1
    assert screen.count("reused") == 10


def test_a_refused_model_never_reaches_the_serving_folder(
    root: Path, pushed: str
) -> None:
    code, screen = wseg("run", str(CONFIG), f"root={root}", *TINY, STRICT)
    assert code == REFUSED, screen
    assert "Verdict: refused: mean_iou is 0." in screen
    assert "the rule wants at least 0.99" in screen
    assert len(versions(root)) == 1
    states = steps(root)
    assert states["Trainer"] == "cached"
    assert states["Evaluator"] == "complete"


def test_each_figure_belongs_to_what_produced_it(
    root: Path,
    pushed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An edited D trains and judges anew; another judge judges anew alone."""
    ground = tmp_path / "d.yaml"
    GroundMatrix.severity_aware(CAMVID, within=0.5).to_yaml(ground)
    given = [f"root={root}", *TINY, LENIENT, f"training.ground.file={ground}"]
    code, screen = wseg("run", str(CONFIG), *given)
    assert code == 0, screen
    # The same numbers, in a file instead of words.
    states = steps(root)
    assert states["Trainer"] == states["Evaluator"] == "cached"
    monkeypatch.setattr(
        "pipeline.gate.evaluation.code_digest", lambda *_: "another judge"
    )
    code, screen = wseg("run", str(CONFIG), *given)
    assert code == 0, screen
    states = steps(root)
    assert (states["Trainer"], states["Evaluator"]) == ("cached", "complete")
    monkeypatch.undo()
    doubled = 2 * GroundMatrix.importance_aware(CAMVID).values
    GroundMatrix(doubled, CAMVID).to_yaml(ground)
    code, screen = wseg("run", str(CONFIG), *given)
    assert code == 0, screen
    states = steps(root)
    assert states["Ingest"] == "cached"
    assert (states["Trainer"], states["Evaluator"]) == ("complete", "complete")
    newest = versions(root)[-1]
    card = json.loads((newest / "assets.extra" / "wseg_tf.json").read_text())
    assert card["ground"]["values"] == doubled.tolist()
    code, screen = wseg("report", str(root / "demo"))
    report = Path(screen.strip()).with_suffix(".json")
    assert json.loads(report.read_text())["ground"] == doubled.tolist()


def test_a_root_is_written_by_one_program_at_a_time(
    root: Path, pushed: str
) -> None:
    with held(str(root / "demo"), "a rollback"):
        code, screen = wseg("run", str(CONFIG), f"root={root}", *TINY, LENIENT)
    assert code == USER_ERROR
    assert "is in use by a rollback (process " in screen
    assert "Traceback" not in screen


def test_a_withdrawn_model_stays_withdrawn_until_it_is_restored(
    root: Path, pushed: str
) -> None:
    first, *_, last = versions(root)
    command = ["run", str(CONFIG), f"root={root}", *TINY, LENIENT]
    given = ["rollback", str(CONFIG), f"root={root}"]
    code, screen = wseg(*given, "--reason=too slow")
    assert code == 0, screen
    withdrawn = root / "demo" / "withdrawn"
    (gone,) = sorted(withdrawn.iterdir())
    assert gone.name == last.name
    ground = json.loads((gone / "assets.extra/wseg_tf.json").read_text())
    matrix = root / "withdrawn.yaml"
    GroundMatrix(ground["ground"]["values"], CAMVID).to_yaml(matrix)
    code, screen = wseg(*command, f"training.ground.file={matrix}")
    assert code == REFUSED, screen
    said = " ".join(screen.split())
    assert "the same model was withdrawn by" in said
    assert "too slow" in said
    code, screen = wseg(*given, "--reason=it was fine", f"--to={last.name}")
    assert code == 0, screen
    code, screen = wseg(*command, f"training.ground.file={matrix}")
    assert code == 0, screen
    assert versions(root)[-1].name == last.name
    assert first in versions(root)


def test_a_verdict_that_a_reset_revoked_is_given_anew(
    root: Path, pushed: str
) -> None:
    command = ["run", str(CONFIG), f"root={root}", *TINY, LENIENT]
    assert wseg(*command)[0] == 0
    code, screen = wseg(
        "baseline", str(CONFIG), f"root={root}", "--reset=new label guide"
    )
    assert code == 0, screen
    code, screen = wseg(*command)
    assert code == 0, screen
    states = steps(root)
    assert (states["Trainer"], states["Evaluator"]) == ("cached", "complete")


def test_a_label_that_changes_is_ingested_again_and_checked(
    root: Path, pushed: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(root / "demo" / "streets", data)
    (label, *_) = sorted((data / "trainannot").glob("*.png"))
    label.write_bytes(label.read_bytes()[:60])
    camvid = ["data.dataset=camvid", f"root={tmp_path}", *TINY, LENIENT]
    code, screen = wseg("run", str(CONFIG), *camvid, "--data", str(data))
    assert code == USER_ERROR
    assert f"{label}: expected a whole image." in screen
    assert "Traceback" not in screen
    assert not (tmp_path / "demo" / "serving").exists()
    states = steps(tmp_path)
    assert states["Ingest"] == "failed"
    assert "Trainer" not in states


def test_classes_that_drift_stop_a_run_before_its_trainer(
    root: Path, pushed: str
) -> None:
    drift = "data.drift_limit=1.01"
    code, screen = wseg("run", str(CONFIG), f"root={root}", *TINY, drift)
    assert code == USER_ERROR
    said = "eval differs from train by more than a factor of 1.01: "
    assert f"Class frequencies have drifted: {said}" in screen
    assert "Traceback" not in screen
    states = steps(root)
    assert states["Ingest"] == "cached"
    assert states["StopOnDrift"] == "failed"
    assert "Trainer" not in states


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data.dataset=camvid", "--data", "nowhere"], "nowhere: no such"),
        (["data.dataset=camvid"], "`data.path`. Expected the folder"),
        (["training.epochs=1"], "Invalid key `training.epochs`"),
        (["gate.rules=[]"], "a gate without rules pushes nothing"),
        (["training.model=unet"], "Expected one of ["),
        (["training.batch=0"], "`training.batch`. Expected at least 1"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    code, screen = wseg("run", str(CONFIG), f"root={tmp_path}", *arguments)
    assert code == USER_ERROR, screen
    lines = [line for line in screen.splitlines() if line]
    assert len(lines) == 2, screen
    assert said in lines[-1]
    assert "Traceback" not in screen


def test_a_ground_matrix_of_another_size_is_refused(tmp_path: Path) -> None:
    matrix = tmp_path / "ground.csv"
    matrix.write_text("0,1\n1,0\n")
    code, screen = wseg(
        "run", str(CONFIG), f"root={tmp_path}", f"training.ground.file={matrix}"
    )
    assert code == USER_ERROR, screen
    assert f"{matrix}. Expected 11 classes, those of `camvid`" in screen


def test_an_image_without_a_label_is_named(tmp_path: Path, root: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(root / "demo" / "streets", data)
    (label, *_) = sorted((data / "valannot").glob("*.png"))
    label.unlink()
    code, screen = wseg(
        "run",
        str(CONFIG),
        "data.dataset=camvid",
        f"root={tmp_path}",
        "--data",
        str(data),
    )
    assert code == USER_ERROR, screen
    assert f"{label.name}: image without label" in screen


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_signals_end_a_run_with_the_code_that_shells_give(
    monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    def interrupt(*arguments: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(30)

    monkeypatch.setattr(local, "run", interrupt)
    done = CliRunner().invoke(app, ["run", str(CONFIG)])
    assert done.exit_code == code
    assert "run the same command to go on" in done.output


def test_tfx_packs_no_sources_for_workers_that_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    given = ["--direct_running_mode=in_memory"]
    with local._nothing_packed():
        executor = VerifyingExecutor(
            VerifyingExecutor.Context(beam_pipeline_args=given)
        )
    found = executor._beam_pipeline_args
    assert found[:1] == ["--direct_running_mode=in_memory"]
    assert not any("extra_package" in each for each in found)
    assert [*tmp_path.iterdir()] == []
