"""The Trainer's entry point, called as TFX calls it."""

import dataclasses
import functools
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline import training as trainer
from pipeline.ingest import pixel_counts
from pipeline.machines import machines_of, this_machine
from tests.wseg_tf.training.small import SIZE, record_texts, small_net
from tests.wseg_tf.training.test_resume import KillAt, KilledError
from wseg_tf import models
from wseg_tf.classes import CAMVID
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.checks import DataError
from wseg_tf.data.statistics import PixelStatistics
from wseg_tf.filesystems import keep
from wseg_tf.training import loop
from wseg_tf.training.history import read_history
from wseg_tf.training.loop import train
from wseg_tf.training.objectives import balance
from wseg_tf.training.recipe import Recipe, Stage
from wseg_tf.training.warm_start import start_from

RECIPE = Recipe(
    height=SIZE[0], width=SIZE[1], batch=2, stages=[Stage(epochs=3)]
)


@pytest.fixture(autouse=True)
def _small_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "build", small_net)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("records") / "data.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for text in record_texts(4):
            writer.write(text)
    return path


def execution(
    folder: Path, number: int, records: str, recipe: Recipe = RECIPE
) -> SimpleNamespace:
    """What TFX gives one execution: folders of its own."""
    checkpoints = str(folder / "checkpoints")
    settings = keep(
        str(folder),
        "training.json",
        trainer.training_settings(recipe, CAMVID, checkpoints),
    )
    return SimpleNamespace(
        custom_config={trainer.SETTINGS: settings},
        train_files=[records],
        eval_files=[records],
        serving_model_dir=str(folder / f"model/{number}/Format-Serving"),
        model_run_dir=str(folder / f"model_run/{number}"),
        base_model=None,
    )


def weights(folder: Path, number: int) -> list[np.ndarray]:
    net = small_net("enet", 11)
    start_from(net, str(folder / f"model/{number}/Format-Serving"))
    return net.get_weights()


def test_a_retried_execution_goes_on_and_ends_with_the_same_weights(
    records: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer.run_fn(execution(tmp_path / "whole", 1, records))
    killed = functools.partial(train, observers=[KillAt(3)])
    monkeypatch.setattr(trainer, "train", killed)
    with pytest.raises(KilledError):
        trainer.run_fn(execution(tmp_path, 1, records))
    (kept,) = (tmp_path / "checkpoints").iterdir()
    assert list(kept.glob("checkpoint-000-00001-*.npz"))
    # Two steps an epoch: what is left of six after the first epoch.
    killed = functools.partial(train, observers=[KillAt(4)])
    monkeypatch.setattr(trainer, "train", killed)
    trainer.run_fn(execution(tmp_path, 2, records))
    for a, b in zip(
        weights(tmp_path, 2), weights(tmp_path / "whole", 1), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    history = read_history(str(tmp_path / "model_run" / "2" / "history.csv"))
    assert [line["epoch"] for line in history] == ["1", "2", "3"]
    assert not list((tmp_path / "checkpoints").iterdir())
    assert machines_of(str(tmp_path / "model_run" / "2")) == [this_machine()]


def test_a_model_whose_export_failed_has_its_history(
    records: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = trainer.export

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trainer, "export", full)
    with pytest.raises(OSError, match="No space"):
        trainer.run_fn(execution(tmp_path, 1, records))
    monkeypatch.setattr(trainer, "export", export)
    trainer.run_fn(execution(tmp_path, 2, records))
    history = read_history(str(tmp_path / "model_run" / "2" / "history.csv"))
    assert [line["epoch"] for line in history] == ["1", "2", "3"]
    assert (tmp_path / "model/2/Format-Serving/saved_model.pb").exists()


def test_a_training_starts_from_the_weights_that_were_named(
    records: str, tmp_path: Path
) -> None:
    start = tmp_path / "start.weights.h5"
    small_net("enet", 11).save_weights(start)
    recipe = dataclasses.replace(RECIPE, initial=str(start))
    given = execution(tmp_path, 1, records, recipe)
    start.write_bytes(start.read_bytes()[:-1] + b"!")
    with pytest.raises(DataError, match="expected the weights that the run"):
        trainer.run_fn(given)


def test_another_recipe_begins_anew(
    records: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = functools.partial(train, observers=[KillAt(3)])
    monkeypatch.setattr(trainer, "train", killed)
    other = Recipe(**{**vars(RECIPE), "seed": 1})
    for recipe in (RECIPE, other):
        with pytest.raises(KilledError):
            trainer.run_fn(execution(tmp_path, 1, records, recipe))
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_class_weights_follow_from_what_ingest_counted(
    records: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "examples" / "Split-train"
    folder.mkdir(parents=True)
    shutil.copy(records, folder)
    counts = np.full(12, 7)
    counts[2] = 100
    frame = PixelStatistics.of_frame(counts.tolist(), SIZE)
    four = sum([frame] * 3, start=frame)
    path = str(tmp_path / "examples" / "statistics.json")
    pixel_counts.write(path, {"train": {"drive": four}})
    seen = []
    build = loop.build_loss
    monkeypatch.setattr(
        loop,
        "build_loss",
        lambda *given: (seen.append(given[3]), build(*given))[1],
    )
    balanced = dataclasses.replace(
        RECIPE, stages=[Stage(epochs=1, balance="logarithmic")]
    )
    given = execution(tmp_path, 1, records, balanced)
    given.train_files = [f"{folder}/*"]
    trainer.run_fn(given)
    np.testing.assert_array_equal(seen[0], balance(four, "logarithmic"))
    # What was counted of other records is refused, before anything trains.
    pixel_counts.write(path, {"train": {"drive": frame}})
    with pytest.raises(ConfigurationError, match="of 4 images"):
        trainer.run_fn(given)


def test_a_blessed_model_is_what_the_next_starts_from(
    records: str, tmp_path: Path
) -> None:
    still = Stage(epochs=1, learning_rate=0.0, freeze=["batch_norm"])
    warm = Recipe(**{**vars(RECIPE), "initial": "blessed", "stages": [still]})
    # Nothing is blessed yet: the first starts at random.
    first = execution(tmp_path, 1, records, warm)
    trainer.run_fn(first)
    other_seed = Recipe(**{**vars(warm), "seed": 9})
    second = execution(tmp_path, 2, records, other_seed)
    second.base_model = first.serving_model_dir
    trainer.run_fn(second)
    # Nor is a model that somebody deleted.
    third = execution(tmp_path, 3, records, other_seed)
    third.base_model = str(tmp_path / "deleted")
    trainer.run_fn(third)
    for a, b in zip(weights(tmp_path, 1), weights(tmp_path, 2), strict=True):
        np.testing.assert_array_equal(a, b)
