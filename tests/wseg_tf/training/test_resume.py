"""A training that was killed ends with the weights of one that was not."""

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.training.small import SIZE, examples, same, small_net
from wseg_tf import models
from wseg_tf.classes import CAMVID
from wseg_tf.training.history import read_history
from wseg_tf.training.interruption import Interrupted
from wseg_tf.training.loop import train
from wseg_tf.training.observers import Observer
from wseg_tf.training.optimizers import KERAS_2
from wseg_tf.training.recipe import Execution, Recipe, Stage

EACH_STEP = Execution(checkpoint_steps=1, overlays_every=0)
PRETRAIN = Stage(
    "pretrain",
    epochs=3,
    learning_rate=1e-2,
    warmup=1.0,
    schedule="cosine",
    balance="logarithmic",
)
FINE_TUNE = Stage(
    "fine-tune", "mixture", epochs=2, optimizer="sgd", freeze=["batch_norm"]
)
RECIPE = Recipe(
    height=SIZE[0],
    width=SIZE[1],
    batch=2,
    seed=3,
    evaluate_every=1,
    select="mean_iou",
    stages=[PRETRAIN, FINE_TUNE],
    execution=EACH_STEP,
)


@pytest.fixture(autouse=True)
def _small_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "build", small_net)


@pytest.fixture(scope="module")
def data() -> tf.data.Dataset:
    return examples(5)  # Three steps; the last batch is smaller.


class KilledError(Exception):
    """Stands for a kill that no handler sees."""


class KillAt(Observer):
    """Dies after a number of steps, counted over the stages."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, number: int, loss: float) -> None:
        self.left -= 1
        if self.left < 0:
            raise KilledError


class InterruptAt(KillAt):
    """Sends a signal after a number of steps."""

    def __init__(self, steps: int, number: int) -> None:
        super().__init__(steps)
        self.number = number

    def step(self, number: int, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


def run(
    recipe: Recipe, data: tf.data.Dataset, folder: Path, *observers: Observer
) -> keras.Model:
    return train(
        recipe,
        CAMVID,
        data,
        data.take(2),
        checkpoints=str(folder / "checkpoints"),
        logs=str(folder),
        observers=observers,
    )


def lines(folder: Path) -> list[dict[str, str]]:
    """The history but for the seconds."""
    history = read_history(str(folder / "history.csv"))
    return [{**line, "seconds": ""} for line in history]


@pytest.fixture(scope="module")
def whole(
    data: tf.data.Dataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[keras.Model, list[dict[str, str]]]:
    """A training that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "build", small_net)
        return run(RECIPE, data, folder), lines(folder)


# In the first epoch, within another, and within one of the second stage, with
# checkpoints after each epoch alone and after each step.
@pytest.mark.parametrize(("steps", "within"), [(1, 0), (5, 1), (13, 0)])
def test_a_killed_training_ends_with_the_same_weights(
    data: tf.data.Dataset,
    whole: tuple[keras.Model, list[dict[str, str]]],
    tmp_path: Path,
    steps: int,
    within: int,
) -> None:
    execution = Execution(checkpoint_steps=within, overlays_every=0)
    recipe = dataclasses.replace(RECIPE, execution=execution)
    with pytest.raises(KilledError):
        run(recipe, data, tmp_path, KillAt(steps))
    model = run(recipe, data, tmp_path)
    assert same(model, whole[0])
    assert lines(tmp_path) == whole[1]


def test_a_training_killed_again_and_again_still_ends_the_same(
    data: tf.data.Dataset,
    whole: tuple[keras.Model, list[dict[str, str]]],
    tmp_path: Path,
) -> None:
    deaths = 0
    while True:
        try:
            model = run(RECIPE, data, tmp_path, KillAt(4))
            break
        except KilledError:
            deaths += 1
    assert deaths > 2
    assert same(model, whole[0])
    assert lines(tmp_path) == whole[1]


def test_the_history_has_each_epoch_once(
    whole: tuple[keras.Model, list[dict[str, str]]],
) -> None:
    history = whole[1]
    assert [(line["stage"], line["epoch"]) for line in history] == [
        *(("pretrain (1/2)", str(epoch)) for epoch in (1, 2, 3)),
        *(("fine-tune (2/2)", str(epoch)) for epoch in (1, 2)),
    ]
    assert [line["steps"] for line in history] == ["3", "6", "9", "3", "6"]
    assert all(0 <= float(line["mean_iou"]) <= 1 for line in history)
    # No street of this size has a bicyclist in it, or it would have an IoU.
    assert all("iou/bicyclist" in line for line in history)


def test_a_finished_training_is_only_loaded(
    data: tf.data.Dataset, tmp_path: Path
) -> None:
    first = run(RECIPE, data, tmp_path)
    again = run(RECIPE, data, tmp_path, KillAt(0))
    assert same(first, again)


def test_an_interrupted_training_keeps_the_step_and_goes_on(
    data: tf.data.Dataset,
    whole: tuple[keras.Model, list[dict[str, str]]],
    tmp_path: Path,
) -> None:
    number = signal.SIGTERM  # The command's own test presses Ctrl-C.
    recipe = dataclasses.replace(RECIPE, execution=Execution())
    handler = signal.getsignal(number)
    with pytest.raises(Interrupted, match="run it again to go on") as caught:
        run(recipe, data, tmp_path, InterruptAt(4, number))
    assert caught.value.number == number
    assert signal.getsignal(number) == handler
    # Between epochs, though no checkpoint within them was asked for.
    assert "epoch 2 of pretrain" in str(caught.value)
    (kept,) = (tmp_path / "checkpoints").glob("*-00001-000000[12].npz")
    assert str(kept) in str(caught.value)
    assert same(run(recipe, data, tmp_path), whole[0])


def test_a_half_written_checkpoint_is_left_out(
    data: tf.data.Dataset,
    whole: tuple[keras.Model, list[dict[str, str]]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(KilledError):
        run(RECIPE, data, tmp_path, KillAt(5))
    kept = sorted((tmp_path / "checkpoints").glob("checkpoint-*.npz"))
    assert len(kept) == 2
    kept[-1].write_bytes(kept[-1].read_bytes()[:-200])
    (tmp_path / "checkpoints" / "checkpoint-9.npz.unfinished").write_text("")
    model = run(RECIPE, data, tmp_path)
    assert f"{kept[-1]} is damaged" in caplog.text
    assert same(model, whole[0])


OTHERS: dict[str, Any] = {
    "recipe.batch was 2, now 1": {"batch": 1},
    "recipe.stages.1.weight was 0.2, now 0.3": {
        "stages": [PRETRAIN, dataclasses.replace(FINE_TUNE, weight=0.3)]
    },
}


@pytest.mark.parametrize("said", OTHERS)
def test_the_checkpoints_of_another_recipe_are_refused(
    data: tf.data.Dataset, tmp_path: Path, said: str
) -> None:
    with pytest.raises(KilledError):
        run(RECIPE, data, tmp_path, KillAt(1))
    other = dataclasses.replace(RECIPE, **OTHERS[said])
    with pytest.raises(ValueError, match="of another: " + said):
        run(other, data, tmp_path)


def test_the_checkpoints_of_other_data_are_refused(
    data: tf.data.Dataset, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        run(RECIPE, data, tmp_path, KillAt(1))
    with pytest.raises(ValueError, match="of another: data was"):
        run(RECIPE, data.skip(1), tmp_path)


def test_the_best_weights_on_other_images_are_no_best_here(
    data: tf.data.Dataset, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        run(RECIPE, data, tmp_path, KillAt(1))
    checkpoints = str(tmp_path / "checkpoints")
    with pytest.raises(ValueError, match="of another: validation was"):
        train(RECIPE, CAMVID, data, data.skip(2), checkpoints=checkpoints)


STATEFUL = {
    "adam": Stage(epochs=2, optimizer="adam", schedule="step", drops=[1]),
    "lamb": Stage(epochs=2, optimizer="lamb"),
    "layers": Stage(epochs=2, multipliers={"head": 10.0}, average="ema"),
    **{
        name: Stage(epochs=2, average=name)
        for name in ("moving_average", "swa", "lookahead")
    },
}


def resumes(recipe: Recipe, data: tf.data.Dataset, folder: Path) -> bool:
    """Whether a training that is killed ends the same; nobody looks on."""

    def train_in(name: str, *observers: Observer) -> keras.Model:
        kept = str(folder / name)
        return train(
            recipe, CAMVID, data, checkpoints=kept, observers=observers
        )

    expected = train_in("whole")
    with pytest.raises(KilledError):
        train_in("killed", KillAt(4))
    resumed = train_in("killed")
    assert all(np.isfinite(w).all() for w in resumed.get_weights())
    return same(resumed, expected)


@pytest.mark.parametrize("name", STATEFUL)
def test_every_optimizer_goes_on_where_it_was(
    data: tf.data.Dataset, tmp_path: Path, name: str
) -> None:
    if name in ("moving_average", "swa", "lookahead") and not KERAS_2:
        pytest.skip("tensorflow-addons needs Keras 2")
    recipe = dataclasses.replace(RECIPE, select=None, stages=[STATEFUL[name]])
    assert resumes(recipe, data, tmp_path)


def test_what_float16_scales_by_is_kept(
    data: tf.data.Dataset, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(
        RECIPE,
        precision="mixed_float16",
        select=None,
        stages=[Stage(epochs=2)],
    )
    assert resumes(recipe, data, tmp_path)
