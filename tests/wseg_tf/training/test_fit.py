"""The core: what a fit does with a loss, a metric, a NaN and who looks on."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.training.small import (
    SIZE,
    batches_of,
    examples,
    same,
    small_net,
)
from wseg_tf import CrossEntropyLoss, GroundMatrix, WassersteinLoss
from wseg_tf.classes import CAMVID
from wseg_tf.data.input import evaluation_batches
from wseg_tf.training.checkpoints import Checkpoints
from wseg_tf.training.fit import Judge, fit
from wseg_tf.training.guard import DivergedError
from wseg_tf.training.loop import freeze
from wseg_tf.training.observers import Epoch, Observer, Plan
from wseg_tf.training.optimizers import KERAS_2, build_optimizer
from wseg_tf.training.recipe import Stage
from wseg_tf.training.selection import Selection

GROUND = GroundMatrix.severity_aware(CAMVID)
LOSS = CrossEntropyLoss(from_logits=True, ignore_class=CAMVID.void)


@pytest.fixture(scope="module")
def data() -> tf.data.Dataset:
    return examples(4)


@pytest.fixture(scope="module")
def judge(data: tf.data.Dataset) -> Judge:
    return Judge(evaluation_batches(data, SIZE, 2).cache(), CAMVID, GROUND)


def net(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return small_net("net", len(CAMVID))


class Watcher(Observer):
    """Keeps everything that it is told, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.losses: list[float] = []
        self.weights: list[list[np.ndarray]] = []

    def begin(self, plan: Plan) -> None:
        self.told.append(f"begin {plan.title} {plan.epochs}x{plan.steps}")

    def step(self, number: int, loss: float) -> None:
        self.told.append(f"step {number}")
        self.losses.append(loss)

    def epoch(self, epoch: Epoch) -> None:
        self.told.append(f"epoch {epoch.number}")
        self.weights.append(epoch.model.get_weights())

    def end(self) -> None:
        self.told.append("end")


def test_an_observer_is_told_everything_in_order(data: tf.data.Dataset) -> None:
    watcher = Watcher()
    history = fit(
        net(),
        batches_of(data),
        LOSS,
        keras.optimizers.SGD(0.1),
        epochs=2,
        steps=2,
        observers=[watcher],
    )
    assert watcher.told == [
        "begin train 2x2",
        *("step 1", "step 2", "epoch 1"),
        *("step 1", "step 2", "epoch 2"),
        "end",
    ]
    first, second = np.reshape(watcher.losses, [2, 2]).mean(axis=1)
    assert [line["loss"] for line in history] == pytest.approx([first, second])


def test_a_step_is_the_step_of_keras_fit(data: tf.data.Dataset) -> None:
    ours, theirs = net(), net()
    for model in (ours, theirs):
        model.layers[-2].rate = 0.0
    # The same in each pass: Keras begins one that it does not use.
    batches = batches_of(data)(0, 0).cache()
    assert len(list(batches)) == 2
    # Else Keras' fit counts a step more for each epoch's end.
    batches = batches.apply(tf.data.experimental.assert_cardinality(2))
    fit(
        ours,
        lambda epoch, step: batches,
        LOSS,
        keras.optimizers.Adam(0.01),
        epochs=2,
        steps=2,
    )
    theirs.compile(keras.optimizers.Adam(0.01), LOSS)
    theirs.fit(batches, epochs=2, verbose=0)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_soft_targets_are_fitted_as_class_ids_are(
    data: tf.data.Dataset,
) -> None:
    hard, soft = net(), net()
    loss = WassersteinLoss(GROUND, from_logits=True, ignore_class=CAMVID.void)
    ids = batches_of(data)

    def distributions(epoch: int, step: int) -> tf.data.Dataset:
        # Void becomes a row without mass.
        return ids(epoch, step).map(
            lambda image, label: (image, tf.one_hot(label, len(CAMVID)))
        )

    for model, batches in ((hard, ids), (soft, distributions)):
        fit(model, batches, loss, keras.optimizers.SGD(0.1), epochs=1, steps=2)
    for a, b in zip(hard.get_weights(), soft.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def scripted(values: list[float | None]) -> Callable[..., Any]:
    """A summary whose mean IoU follows a script."""
    left = iter(values)

    def summary(counts: Any, classes: Any, ground: Any) -> dict[str, Any]:
        value = next(left)
        return {"mean_iou": value, "expected_severity": -(value or 0)}

    return summary


@pytest.mark.parametrize("metric", ["mean_iou", "expected_severity"])
@pytest.mark.parametrize("kept", [True, False])
def test_the_best_weights_are_what_a_fit_ends_with(
    data: tf.data.Dataset,
    judge: Judge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    metric: str,
    kept: bool,
) -> None:
    script = scripted([0.1, 0.4, 0.3, 0.4])
    monkeypatch.setattr("wseg_tf.training.fit.summary", script)
    watcher, model = Watcher(), net()
    fit(
        model,
        batches_of(data),
        LOSS,
        keras.optimizers.SGD(0.1),
        epochs=4,
        steps=2,
        judge=judge,
        selection=Selection(metric),
        checkpoints=Checkpoints(str(tmp_path)) if kept else None,
        observers=[watcher],
    )
    for a, b in zip(model.get_weights(), watcher.weights[1], strict=True):
        np.testing.assert_array_equal(a, b)


def fit_later_stage(
    data: tf.data.Dataset,
    judge: Judge,
    model: keras.Model,
    epochs: int,
    patience: int | None = None,
    checkpoints: Checkpoints | None = None,
    observers: tuple[Observer, ...] = (),
) -> list[float | None]:
    """Fits a second stage; returns the mean IoU after each epoch."""
    history = fit(
        model,
        batches_of(data),
        LOSS,
        keras.optimizers.SGD(0.1),
        epochs=epochs,
        steps=2,
        stage=1,
        judge=judge,
        selection=Selection("mean_iou", patience),
        checkpoints=checkpoints,
        observers=observers,
    )
    return [line["mean_iou"] for line in history]


@pytest.mark.parametrize(
    ("before", "after", "best"),
    [
        (0.5, [0.1, 0.5, 0.3], None),  # As good is not better.
        (0.2, [0.1, 0.5, 0.3], 1),
        (None, [0.1, 0.05, 0.3], 2),
        (0.5, [None, None, None], None),
    ],
)
@pytest.mark.parametrize("kept", [True, False])
def test_a_later_stage_ends_no_worse_than_it_began(
    data: tf.data.Dataset,
    judge: Judge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    before: float | None,
    after: list[float | None],
    best: int | None,
    kept: bool,
) -> None:
    script = scripted([before, *after])
    monkeypatch.setattr("wseg_tf.training.fit.summary", script)
    watcher, model = Watcher(), net()
    began = model.get_weights()
    folder = Checkpoints(str(tmp_path)) if kept else None
    found = fit_later_stage(
        data, judge, model, 3, checkpoints=folder, observers=(watcher,)
    )
    wanted = began if best is None else watcher.weights[best]
    for a, b in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(a, b)
    assert found == after
    said = "a better mean_iou than their 0.5000" in caplog.text
    assert said == (best is None)


class KilledAtStep2(Observer):
    """Dies in the middle of an epoch."""

    def step(self, number: int, loss: float) -> None:
        if number == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("steps", [0, 1])
def test_killed_a_later_stage_still_ends_no_worse_than_it_began(
    data: tf.data.Dataset,
    judge: Judge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
) -> None:
    # Without a checkpoint within the epoch, its start is judged once more.
    values = [0.5, 0.1, 0.2] if steps else [0.5, 0.5, 0.1, 0.2]
    monkeypatch.setattr("wseg_tf.training.fit.summary", scripted(values))

    def run(model: keras.Model, *observers: Observer) -> keras.Model:
        folder = Checkpoints(str(tmp_path), steps)
        fit_later_stage(
            data, judge, model, 2, checkpoints=folder, observers=observers
        )
        return model

    with pytest.raises(KeyboardInterrupt):
        run(net(), KilledAtStep2())
    ended = run(net())
    for a, b in zip(ended.get_weights(), net().get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_patience_counts_from_the_weights_a_later_stage_begins_with(
    data: tf.data.Dataset, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [0.5, 0.1, 0.2, 0.9]
    monkeypatch.setattr("wseg_tf.training.fit.summary", scripted(values))
    found = fit_later_stage(data, judge, net(), 9, patience=2)
    assert found == [0.1, 0.2]


def test_patience_ends_a_fit(
    data: tf.data.Dataset, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [0.1, None, 0.2, 0.2, None]
    monkeypatch.setattr("wseg_tf.training.fit.summary", scripted(values))
    history = fit(
        net(),
        batches_of(data),
        LOSS,
        keras.optimizers.SGD(0.1),
        epochs=9,
        steps=2,
        judge=judge,
        selection=Selection("mean_iou", patience=2),
    )
    assert [line["mean_iou"] for line in history] == values


def test_a_fit_is_judged_as_often_as_asked_and_at_its_end(
    data: tf.data.Dataset, judge: Judge
) -> None:
    often = Judge(judge.batches, CAMVID, GROUND, every=2)
    history = fit(
        net(),
        batches_of(data),
        LOSS,
        keras.optimizers.SGD(0.1),
        epochs=5,
        steps=2,
        judge=often,
    )
    judged = [line["epoch"] for line in history if "mean_iou" in line]
    assert judged == [2, 4, 5]
    assert {"critical_iou", "iou_group/4", "recall/car"} <= history[-1].keys()


def test_a_selection_needs_a_judge(data: tf.data.Dataset) -> None:
    with pytest.raises(ValueError, match="evaluate `mean_iou` on"):
        fit(
            net(),
            batches_of(data),
            LOSS,
            keras.optimizers.SGD(0.1),
            epochs=1,
            steps=2,
            selection=Selection("mean_iou"),
        )


class NanLoss(CrossEntropyLoss):
    """NaN where a picture begins with a mark."""

    def __call__(self, y_true: Any, y_pred: Any, w: Any = None) -> tf.Tensor:
        loss = super().__call__(tf.maximum(y_true, 0), y_pred, w)
        marked = tf.reduce_any(y_true < 0)
        return tf.where(marked, float("nan"), loss)


def test_a_nan_stops_with_its_step_and_the_last_good_checkpoint(
    data: tf.data.Dataset, tmp_path: Path
) -> None:
    batches = batches_of(data)

    def marked(epoch: int, step: int) -> tf.data.Dataset:
        # The second step of the second epoch is bad.
        passes = [
            batches(number, 0)
            .enumerate()
            .map(
                lambda i, batch, n=number: (
                    batch[0],
                    tf.where((n == 1) & (i == 1), -1, batch[1]),
                )
            )
            for number in (0, 1)
        ]
        turn = iter(passes)

        class Epochs:
            def __iter__(self) -> Any:
                return iter(next(turn))

        return Epochs()

    loss = NanLoss(from_logits=True, ignore_class=CAMVID.void)
    with pytest.raises(DivergedError) as caught:
        fit(
            net(),
            marked,
            loss,
            keras.optimizers.SGD(0.1),
            epochs=3,
            steps=2,
            checkpoints=Checkpoints(str(tmp_path)),
        )
    kept = tmp_path / "checkpoint-000-00001-0000000.npz"
    assert str(caught.value) == (
        "The loss is nan at step 4 (train, epoch 2). The last good checkpoint "
        f"is {kept}."
    )
    with np.load(kept) as arrays:
        assert all(
            np.isfinite(arrays[name]).all()
            for name in arrays.files
            if arrays[name].dtype.kind == "f"
        )


def test_weights_that_overflow_are_never_kept(
    data: tf.data.Dataset, tmp_path: Path
) -> None:
    with pytest.raises(DivergedError, match=r"The weights of `.*after step 1"):
        fit(
            net(),
            batches_of(data, batch=4),
            LOSS,
            # So large that the first step's weights are infinite.
            keras.optimizers.SGD(math.inf),
            epochs=3,
            steps=1,
            checkpoints=Checkpoints(str(tmp_path)),
        )
    assert not list(tmp_path.iterdir())


def test_frozen_parts_stay_as_they_are(data: tf.data.Dataset) -> None:
    model = net()
    freeze(model, ["encoder"])
    before = {layer.name: layer.get_weights() for layer in model.layers}
    fit(
        model,
        batches_of(data),
        LOSS,
        keras.optimizers.SGD(0.1),
        epochs=1,
        steps=2,
    )
    changed = {
        layer.name
        for layer in model.layers
        for a, b in zip(before[layer.name], layer.get_weights(), strict=True)
        if not np.array_equal(a, b)
    }
    assert changed == {"head"}
    freeze(model, ["batch_norm"])
    assert {layer.name for layer in model.layers if not layer.trainable} == {
        "encoder_norm"
    }
    freeze(model, [])
    assert all(layer.trainable for layer in model.layers)


def test_several_fits_share_checkpoints(
    data: tf.data.Dataset, tmp_path: Path
) -> None:
    """As rounds of self-training do."""

    def rounds(number: int) -> keras.Model:
        model = net()
        history: list[dict[str, Any]] = []
        for place in range(number):
            history = fit(
                model,
                batches_of(data),
                LOSS,
                keras.optimizers.Adam(0.01),
                epochs=1,
                steps=2,
                title=f"round {place}",
                stage=place,
                checkpoints=Checkpoints(str(tmp_path)),
                history=history,
            )
        assert [line["stage"] for line in history] == [
            f"round {place}" for place in range(number)
        ]
        return model

    first = rounds(2)
    assert same(rounds(2), first)
    assert not same(rounds(3), first)


@pytest.mark.skipif(not KERAS_2, reason="tensorflow-addons needs Keras 2")
def test_swa_renews_batch_normalisation_for_its_weights(
    data: tf.data.Dataset, judge: Judge
) -> None:
    model = net()
    stage = Stage(epochs=3, learning_rate=0.05, average="swa")
    batches = batches_of(data)
    watcher = Watcher()
    fit(
        model,
        batches,
        LOSS,
        build_optimizer(stage, 2),
        epochs=3,
        steps=2,
        judge=judge,
        observers=[watcher],
    )
    # It is judged with what it ends with.
    for a, b in zip(model.get_weights(), watcher.weights[-1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    rescale, convolution, norm = model.layers[:3]
    means = [
        np.mean(convolution(rescale(images)), axis=(0, 1, 2))
        for images, _ in batches(2, 0)
    ]
    np.testing.assert_allclose(
        norm.moving_mean, np.mean(means, axis=0), rtol=1e-4, atol=1e-6
    )
    assert norm.momentum == 0.99
