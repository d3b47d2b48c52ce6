import csv
import dataclasses
import logging
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from wseg_tf import models
from wseg_tf.classes import CAMVID
from wseg_tf.data.checks import check_pair, encode_labels
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import parse, serialise
from wseg_tf.data.streets import draw_scene
from wseg_tf.losses import CrossEntropyLoss
from wseg_tf.training.evaluation import count_confusion, counter
from wseg_tf.training.loop import train
from wseg_tf.training.recipe import GroundOptions, Recipe, Stage
from wseg_tf.training.survey import survey

SIZE = (32, 48)


def small_net(name: str, classes: int, width: float = 1.0) -> keras.Model:
    return keras.Sequential(
        [
            keras.layers.Input([*SIZE, 3]),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(classes, 1, dtype="float32"),
        ],
        name=name,
    )


@pytest.fixture(autouse=True)
def _small_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "build", small_net)


def examples(count: int) -> tf.data.Dataset:
    records = []
    for seed in range(count):
        image, label = draw_scene(seed, *SIZE)
        encoded = tf.io.encode_png(image).numpy()
        checked = check_pair(encoded, encode_labels(label), CAMVID)
        pair = Pair(f"{seed}", "image", "label", "train", "drive", "streets")
        records.append(serialise(pair, checked))
    return tf.data.Dataset.from_tensor_slices(records).map(parse)


def recipe(*stages: Stage, seed: int = 0) -> Recipe:
    height, width = SIZE
    return Recipe(
        height=height, width=width, batch=2, seed=seed, stages=list(stages)
    )


PRETRAIN = Stage("pretrain", epochs=3, learning_rate=1e-2)
FINE_TUNE = Stage(
    "fine-tune",
    loss="wasserstein",
    link="log",
    epochs=2,
    balance="logarithmic",
)


def test_stages_run_in_order_and_learn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = examples(4)
    with caplog.at_level(logging.INFO, "wseg_tf"):
        model = train(recipe(PRETRAIN, FINE_TUNE), CAMVID, data, data)
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "pretrain (1/2): cross_entropy for 3 epochs"
    assert any(line.startswith("fine-tune (2/2): epoch 2/2") for line in said)
    losses = [
        float(line.split("loss ")[1].split(",")[0])
        for line in said
        if "pretrain (1/2): epoch" in line
    ]
    assert losses[-1] < losses[0]
    assert model.output_shape == (None, *SIZE, 11)


def test_the_same_seed_gives_the_same_weights() -> None:
    data = examples(4)
    first, again, other = (
        train(recipe(PRETRAIN, seed=seed), CAMVID, data).get_weights()
        for seed in (5, 5, 6)
    )
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], other[0])


def test_labels_are_counted_exactly() -> None:
    statistics = survey(examples(3), CAMVID).statistics
    expected = np.zeros(12, np.int64)
    for seed in range(3):
        _, label = draw_scene(seed, *SIZE)
        expected += np.bincount(label.ravel(), minlength=12)
    np.testing.assert_array_equal(statistics.pixels, expected)
    assert statistics.images == 3


def test_what_was_counted_before_is_not_counted_again() -> None:
    def torn(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {**example, "label/encoded": tf.constant("no label")}

    whole = survey(examples(3), CAMVID)
    again = survey(examples(3), CAMVID, whole.statistics)
    assert again == whole
    # Only who counts decodes labels; which they are, is still seen.
    other = survey(examples(3).map(torn), CAMVID, whole.statistics)
    assert other.digest != whole.digest
    with pytest.raises(ValueError, match="of 2 images and 11 classes"):
        survey(examples(2), CAMVID, whole.statistics)


def test_no_example_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one example"):
        train(recipe(PRETRAIN), CAMVID, examples(1).take(0))


def test_a_model_is_judged_by_the_rule_it_decides_by(tmp_path: Path) -> None:
    data = examples(2)
    # A missed sky costs so much that everything is called sky.
    ground = GroundOptions(severities=[1e6, 1, 1, 1])
    shared = dataclasses.replace(recipe(PRETRAIN), ground=ground)
    rows = {}
    for decision in ("likeliest", "least_risk"):
        train(
            dataclasses.replace(shared, decision=decision),
            CAMVID,
            data,
            data,
            logs=str(tmp_path / decision),
        )
        with open(tmp_path / decision / "history.csv") as file:
            rows[decision] = list(csv.DictReader(file))[-1]
    for loss in ("loss", "validation_loss"):
        assert rows["likeliest"][loss] == rows["least_risk"][loss]
    found = {
        decision: [float(row[f"iou/{name}"] or 0) for name in CAMVID.names]
        for decision, row in rows.items()
    }
    assert found["least_risk"][0] > 0
    assert sum(found["least_risk"][1:]) == 0 < sum(found["likeliest"][1:])


def test_confusion_of_a_model_that_knows_the_answer() -> None:
    labels = np.array([[[0, 1], [11, 8]]])
    images = tf.one_hot(labels, 11) * 5.0
    counts = count_confusion(
        lambda images, training: images,
        tf.data.Dataset.from_tensors((images, tf.constant(labels, tf.int32))),
        CAMVID,
    )
    np.testing.assert_array_equal(np.flatnonzero(counts), [0, 12, 8 * 12])
    assert counts.dtype == np.int64


def test_the_validation_loss_is_a_mean_over_images_without_void() -> None:
    """Two images at ln 11, void left out, and one that is certain and right."""
    unsure, sure = np.zeros([2, 1, 2, 11]), np.zeros([1, 1, 2, 11])
    unsure[0, 0, 1, 4] = 100.0  # Where nothing is labelled.
    sure[..., 3] = 100.0
    void = CAMVID.void
    batches = [
        (unsure, np.array([[[2, void]], [[5, 6]]])),
        (sure, np.array([[[3, 3]]])),
    ]
    count = counter(
        lambda images, training: images,
        CAMVID,
        loss=CrossEntropyLoss(from_logits=True, ignore_class=void),
    )
    counts, loss = count(
        [
            (tf.constant(images, tf.float32), tf.constant(labels, tf.int32))
            for images, labels in batches
        ]
    )
    assert loss == pytest.approx(2 * np.log(11) / 3, rel=1e-5)
    assert counts.sum() == 5
