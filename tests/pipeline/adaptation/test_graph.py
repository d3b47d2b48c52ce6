"""An adaptation's pipeline, once, on a few drawn streets; and its refusals."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from typer.testing import CliRunner

from pipeline.adaptation import rounds as adaptation_rounds
from pipeline.adaptation.rounds import count_labels, label_scores
from pipeline.cli import app
from pipeline.commands.screen import USER_ERROR
from pipeline.config.adaptation_config import AdaptationConfig
from pipeline.config.loading import load
from pipeline.ingest.listing import domain_splits, hold_out, prepare_domains
from pipeline.ingest.records import refuse_unfit, write_records
from pipeline.machines import machines_of, this_machine
from pipeline.release.lineage import latest_run
from tests.pipeline.runners.small import LENIENT, SMALL_DOMAINS
from tests.wseg_tf.adaptation.small import pixel_model
from tests.wseg_tf.training.small import small_net
from wseg_tf import models
from wseg_tf.adaptation.labelling import label_target, read_summary
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.classes import CAMVID
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.checks import DataError
from wseg_tf.data.input import read_records
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import decode
from wseg_tf.training.history import read_history
from wseg_tf.training.observers import LogLines, Plan

CONFIGS = Path(__file__).parents[3] / "configs"
CONFIG = str(CONFIGS / "day_to_dusk.yaml")
TINY = [*SMALL_DOMAINS, "adaptation.stage.epochs=2", LENIENT]
ROUNDS = (1, 2)
# The network of these tests, and a SIGKILL in the second epoch of round 1.
KILLED = """
import os, signal, sys
import pipeline.adaptation.rounds
from pipeline.cli import main
from tests.wseg_tf.training.small import small_net
from tests.wseg_tf.training.test_resume import InterruptAt
from wseg_tf import models

models.build = small_net
pipeline.adaptation.rounds.LogLines = lambda: InterruptAt(6, signal.SIGKILL)
main()
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module", autouse=True)
def _small_net() -> Iterator[None]:
    """A network of a few layers stands for ENet: it takes a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "build", small_net)
        yield


@pytest.fixture(scope="module")
def killed(root: Path) -> Path:
    """The pseudo-labels of a run that was killed while round 1 trained."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, "run", CONFIG, f"root={root}", *TINY],
        cwd=CONFIGS.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    return Path(outputs(root, "PseudoLabels1", "labels"))


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    """What the rounds began with, in the run that `screen` shows."""
    return []


@pytest.fixture(scope="module")
def screen(root: Path, killed: Path, plans: list[Plan]) -> str:
    """The screen of the run that goes on."""

    class Noting(LogLines):
        def begin(self, plan: Plan) -> None:
            plans.append(plan)

    arguments = ["run", CONFIG, f"root={root}", *TINY]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptation_rounds, "LogLines", Noting)
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def outputs(root: Path, step: str, channel: str) -> str:
    run = latest_run(str(root / "day-to-dusk" / "metadata.sqlite"))
    return run[step].outputs[channel][0].uri


def test_the_rounds_are_steps_and_the_last_model_is_pushed(
    root: Path, screen: str
) -> None:
    steps = latest_run(str(root / "day-to-dusk" / "metadata.sqlite"))
    for number in ROUNDS:
        for name in ("PseudoLabels", "RoundTrainer", "RoundJudge"):
            state = steps[f"{name}{number}"].state
            made_before = name == "PseudoLabels" and number == 1
            assert state == ("cached" if made_before else "complete")
    assert "Verdict: pushed" in screen
    assert len(list((root / "day-to-dusk" / "serving").glob("*"))) == 1
    assert not list((root / "day-to-dusk" / "checkpoints").iterdir())
    last = outputs(root, f"RoundTrainer{max(ROUNDS)}", "model_run")
    assert machines_of(last) == [this_machine()]


def test_a_round_that_was_killed_goes_on_with_the_same_labels(
    root: Path, killed: Path, screen: str, plans: list[Plan]
) -> None:
    assert outputs(root, "PseudoLabels1", "labels") == str(killed)
    # Of 2 epochs the first was done; the second round began at its first.
    assert [(plan.title, plan.epoch) for plan in plans] == [
        ("round 1 of 2", 1), ("round 2 of 2", 0),
    ]  # fmt: skip
    history = Path(outputs(root, "RoundTrainer1", "model_run"), "history.csv")
    lines = read_history(str(history))
    assert [line["epoch"] for line in lines] == ["1", "2"]


def test_labels_are_records_with_their_thresholds(
    root: Path, screen: str
) -> None:
    for number in ROUNDS:
        folder = outputs(root, f"PseudoLabels{number}", "labels")
        summary = read_summary(folder)
        assert (summary.round, summary.images) == (number, 4)
        assert sum(summary.predicted) == 4 * 32 * 32
        assert all(0 < limit <= 1 for limit in summary.thresholds)
        paths = tf.io.gfile.glob(f"{folder}/Split-train/data_tfrecord-*")
        texts = tf.data.TFRecordDataset(paths).as_numpy_iterator()
        assert len(list(texts)) == 4
        assert not (Path(folder) / "predictions").exists()


def test_every_round_is_judged_and_drawn(root: Path, screen: str) -> None:
    folder = outputs(root, "RoundJudge2", "scores")
    rows = json.loads((Path(folder) / "rounds.json").read_text())
    assert [row["round"] for row in rows] == [0, 1, 2]
    for row in rows[1:]:
        assert 0 < row["kept_share"] <= 1
        assert 0 <= row["label_accuracy"] <= 1
    assert (Path(folder) / "rounds.png").stat().st_size > 5000
    assert f"Rounds:  {folder}/rounds.png" in screen
    # The last round's model is the one that the report is about.
    report = outputs(root, "Reporter", "report")
    scores = json.loads((Path(report) / "report.json").read_text())["scores"]
    assert scores["mean_iou"] == pytest.approx(rows[-1]["mean_iou"])


def test_a_second_run_reuses_every_round(root: Path, screen: str) -> None:
    arguments = ["run", CONFIG, f"root={root}", *TINY]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    steps = latest_run(str(root / "day-to-dusk" / "metadata.sqlite"))
    states = {step.state for name, step in steps.items() if name != "Baseline"}
    assert states == {"cached"}


def test_beam_labels_as_one_process_does(root: Path, screen: str) -> None:
    from pipeline.adaptation.pseudo_labels import Labeller
    from wseg_tf.training.loop import build_model

    folder = outputs(root, "PseudoLabels1", "labels")
    execution = json.loads(_settings(root))
    model = outputs(root, "SourceTrainer", "model")
    labeller = Labeller(
        execution["recipe"], execution["options"], execution["classes"], 0
    )
    recipe = labeller.read_recipe()
    recipe.initial = f"{model}/Format-Serving"
    examples = outputs(root, "TargetIngest", "examples")
    files = sorted(tf.io.gfile.glob(f"{examples}/Split-train/*"))
    out = str(root / "one-process")
    summary = label_target(
        build_model(recipe, labeller.read_classes()),
        files,
        out,
        labeller.read_options(),
        labeller.read_classes(),
        (32, 32),
        batch=2,
    )
    assert summary == read_summary(folder)
    for path in Path(folder, "Split-train").iterdir():
        ours = Path(out, "Split-train", path.name).read_bytes()
        assert ours == path.read_bytes()


def _settings(root: Path) -> str:
    from pipeline.adaptation.rounds import round_settings

    return json.dumps(round_settings(load(CONFIG, [f"root={root}", *TINY])))


def test_domains_of_other_classes_are_refused_in_one_sentence() -> None:
    result = CliRunner().invoke(
        app, ["run", CONFIG, "source.dataset=cityscapes", "source.path=x"]
    )
    assert result.exit_code == USER_ERROR
    assert "Expected the same classes in the same order" in result.output
    assert "Traceback" not in result.output


def test_both_configurations_adapt_and_ask_for_their_data() -> None:
    path = str(CONFIGS / "gta5_to_cityscapes.yaml")
    with pytest.raises(ConfigurationError, match=r"source\.path=FOLDER"):
        load(path)
    config = load(path, ["source.path=a", "target.path=b"])
    assert config.target.data.class_set.name == "cityscapes"
    drawn = load(CONFIG)
    assert drawn.target.data.dataset == "streets"
    real = load(CONFIG, data="camvid folder")
    assert real.source.data.dataset == "camvid"
    assert real.target.path == "camvid folder"


def test_camvid_s_dusk_drive_is_split_and_no_other_is_the_target() -> None:
    folder = Path(__file__).parents[4] / "shared" / "data" / "camvid"
    if not folder.is_dir():
        pytest.skip("no CamVid in ../shared/data/camvid")
    config = load(CONFIG, data=str(folder))
    target = domain_splits(config.target, str(folder))
    source = domain_splits(config.source, str(folder))
    assert {pair.drive for pair in target["train"]} == {"0001TP"}
    assert {len(pairs) for pairs in target.values()} == {31}
    last, first = target["train"][-1], target["eval"][0]
    assert last.name < first.name
    assert {pair.drive for pair in source["train"]} == {"0006R0", "0016E5"}


def test_the_last_frames_of_each_drive_are_held_out() -> None:
    pairs = [
        Pair(f"{k}", "", "", "train", drive, "toy")
        for drive, frames in (("b", 4), ("a", 3))
        for k in np.arange(frames)[::-1]
    ]
    first, last = hold_out(pairs, 0.5)
    assert [(pair.drive, pair.name) for pair in last] == [
        ("a", "1"), ("a", "2"), ("b", "2"), ("b", "3"),
    ]  # fmt: skip
    assert len(first) == 3


def test_a_target_needs_no_label_to_learn_from(
    street_folder: Path, tmp_path: Path
) -> None:
    source = shutil.copytree(street_folder, tmp_path / "source")
    changes = [
        f"root={tmp_path}",
        "target.held_out=0",
        "target.drives=[]",
        "source.drives=[]",
        f"source.path={json.dumps(str(source))}",
        f"target.path={json.dumps(str(street_folder))}",
    ]
    images = "target.images='train/{drive}_{name}.png'"
    labelled, found = (
        ingested(load(CONFIG, [*changes, *more]), name)
        for name, more in (("with", []), ("without", [images]))
    )
    assert {*tf.io.gfile.listdir(labelled)} == {*tf.io.gfile.listdir(found)}
    shutil.rmtree(street_folder / "trainannot")
    config = load(CONFIG, [*changes, images])
    alone = ingested(config, "alone")
    # No label is there to leak: all is void, whatever was beside the images.
    for folder in (found, alone):
        labels = [label for _, label in decoded(f"{folder}/Split-train/*")]
        assert len(labels) == 5
        assert all((label == CAMVID.void).all() for label in labels)
        evaluated = [label for _, label in decoded(f"{folder}/Split-eval/*")]
        assert any((label != CAMVID.void).any() for label in evaluated)
    # And the pseudo-labels are those of images that have some.
    ours, others = (
        pseudo_labelled(folder, str(tmp_path / f"labels-{number}"))
        for number, folder in enumerate((labelled, alone))
    )
    assert ours == others
    counts = count_labels(
        f"{alone}/Split-train/*", str(tmp_path / "labels-1"), CAMVID
    )
    assert not counts.any()
    summary = read_summary(str(tmp_path / "labels-1"))
    assert label_scores(summary, counts, CAMVID)["label_accuracy"] is None


def ingested(config: AdaptationConfig, name: str) -> str:
    manifest = prepare_domains(config)["target"]
    folders = [config.folder(name, part) for part in ("records", "q", "c")]
    root = beam.Pipeline(options=PipelineOptions(config.beam))
    write_records(root, manifest, ("train", "eval"), *folders)
    refuse_unfit(folders[1], folders[2], 0.0)
    return folders[0]


def decoded(pattern: str) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        (image.numpy(), label.numpy())
        for image, label in map(decode, read_records(pattern, compression=""))
    ]


def pseudo_labelled(folder: str, out: str) -> list[bytes]:
    net = pixel_model()
    net.set_weights([6 * each for each in net.get_weights()])
    files = sorted(tf.io.gfile.glob(f"{folder}/Split-train/*"))
    label_target(net, files, out, SelfTraining(), CAMVID, (6, 8), batch=2)
    paths = sorted(tf.io.gfile.glob(f"{out}/Split-train/*"))
    return list(tf.data.TFRecordDataset(paths).as_numpy_iterator())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["source.images='{name}.png'"], "Expected none: the source"),
        (["target.images='{name}.png'"], "Expected 0 where `images`"),
    ],
)
def test_images_alone_cannot_be_a_source_nor_be_judged_by(
    changes: list[str], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        load(CONFIG, changes)


def test_a_drive_that_is_not_there_is_refused(street_folder: Path) -> None:
    config = load(CONFIG, ["target.drives=[nowhere]"], str(street_folder))
    with pytest.raises(DataError, match="Found: none"):
        domain_splits(config.target, str(street_folder))
