import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from wseg_tf import metrics
from wseg_tf.classes import CAMVID
from wseg_tf.metrics import Confusion
from wseg_tf.metrics.tensors import count_confusion

N, VOID = len(CAMVID), CAMVID.void
EVERY_SCORE = metrics.score_names(CAMVID)


def _batch(seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, N, (3, 6, 5))
    labels[random.random(labels.shape) < 0.2] = VOID
    logits = random.normal(size=(3, 6, 5, N)).astype(np.float32)
    return labels, logits


def _expected(labels: Any, logits: Any) -> Any:
    return metrics.confusion_count(labels, logits.argmax(-1), N, VOID)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_every_form_of_labels_and_predictions(jit_compile: bool) -> None:
    labels, logits = _batch()
    expected = _expected(labels, logits)
    one_hot = np.eye(N + 1)[labels][..., :N].astype(np.float32)
    ids = logits.argmax(-1)

    @tf.function(jit_compile=jit_compile)
    def count(y_true: Any, y_pred: Any) -> Any:
        return count_confusion(y_true, y_pred, N, VOID)

    for y_true in (
        labels,
        labels[..., None],
        labels.astype(np.uint8),
        labels.astype(np.float32),
        one_hot,
    ):
        counts = count(tf.constant(y_true), tf.constant(logits))
        np.testing.assert_array_equal(counts, expected)
    for y_pred in (ids, ids.astype(np.uint8), tf.nn.softmax(logits)):
        counts = count(tf.constant(labels), tf.constant(y_pred))
        np.testing.assert_array_equal(counts, expected)
    for dtype in (tf.float16, tf.bfloat16):
        rounded = tf.cast(logits, dtype)
        predicted = np.asarray(tf.cast(rounded, tf.float32)).argmax(-1)
        np.testing.assert_array_equal(
            count(tf.constant(labels), rounded),
            metrics.confusion_count(labels, predicted, N, VOID),
        )


def test_plain_classification_and_masked_weights() -> None:
    logits = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0]], np.float32)
    counts = count_confusion([0, 0, 1], logits, 2)
    np.testing.assert_array_equal(counts, [[1, 1], [1, 0]])
    counts = count_confusion([0, 0, 1], logits, 2, sample_weight=[1.0, 0, 0.5])
    np.testing.assert_array_equal(counts, [[1, 0], [1, 0]])


def test_a_weight_per_image_reaches_its_pixels() -> None:
    labels, logits = _batch()
    counts = count_confusion(labels, logits, N, VOID, [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(counts, _expected(labels[1], logits[1]))


def test_ids_outside_the_classes_are_not_counted() -> None:
    counts = count_confusion([0, 9, -1, 1], [0, 0, 0, 5], 2)
    np.testing.assert_array_equal(counts, [[1, 0], [0, 0]])


def test_scores_agree_with_numpy() -> None:
    labels, logits = _batch()
    labels[labels == 10] = VOID
    logits[..., 10] = -99  # Class 10 is absent.
    ground = np.random.default_rng(1).random((N, N))
    metric = Confusion.of(CAMVID, ground, EVERY_SCORE)
    metric.update_state(labels, logits)
    counts = metric.counts
    np.testing.assert_array_equal(counts, _expected(labels, logits))
    # By the names of the table, as the gate's rules and a recipe have them.
    result = {key: float(value) for key, value in metric.result().items()}
    expected = metrics.scores(counts, CAMVID, ground)
    assert result == pytest.approx(expected, nan_ok=True, rel=1e-6)
    assert np.isnan(result["iou/bicyclist"])


def test_a_report_names_one_score_or_several() -> None:
    lone = Confusion.of(CAMVID, report="mean_iou")
    assert list(lone.result()) == ["mean_iou"]
    assert lone.get_config()["report"] == ["mean_iou"]
    several = Confusion.of(CAMVID, report=["iou/critical", "iou_group"])
    assert list(several.result()) == [
        "iou/car",
        "iou/pedestrian",
        "iou/bicyclist",
        *(f"iou_group/{group}" for group in (1, 2, 3, 4)),
    ]
    assert list(Confusion(2, report="iou").result()) == ["iou/0", "iou/1"]


def test_nothing_counted_is_nan() -> None:
    metric = Confusion.of(CAMVID, np.ones((N, N)), EVERY_SCORE)
    metric.update_state(np.full((2, 3), VOID), np.zeros((2, 3, N), "float32"))
    assert all(np.isnan(float(v)) for v in metric.result().values())


def test_accumulates_exactly_past_float32_and_resets() -> None:
    metric = Confusion(2)
    metric.count.assign(tf.constant([[2**24, 0], [0, 0]], tf.int64))
    metric.update_state([0], [0])
    assert metric.counts[0, 0] == 2**24 + 1
    metric.reset_state()
    assert metric.counts.sum() == 0


def _model() -> Any:
    inputs = keras.Input((6, 5, 3))
    outputs = keras.layers.Conv2D(N, 1)(inputs)
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_in_compile_each_score_is_logged_by_its_name(
    run_eagerly: bool,
) -> None:
    labels, _ = _batch()
    images = np.random.default_rng(2).normal(size=(3, 6, 5, 3))
    model = _model()
    ground = 1 - np.eye(N)
    model.compile(
        keras.optimizers.SGD(0.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[Confusion.of(CAMVID, ground)],
        run_eagerly=run_eagerly,
    )
    data = (images, np.where(labels == VOID, 0, labels))
    history = model.fit(
        *data, batch_size=2, epochs=2, validation_data=data, verbose=0
    ).history
    counts = _expected(data[1], model.predict(images, verbose=0))
    expected = metrics.mean_iou(counts)
    # A learning rate of zero: both epochs see the same model, so a count that
    # was not reset, or kept the validation images, would still show.
    assert history["mean_iou"] == pytest.approx([expected] * 2)
    assert history["val_mean_iou"] == pytest.approx([expected] * 2)
    assert history["expected_severity"] == pytest.approx(
        [metrics.expected_severity(counts, ground)] * 2
    )
    assert {"critical_iou", "val_critical_iou"} <= set(history)


REPLICAS = """
import keras, numpy as np, tensorflow as tf
from wseg_tf import metrics

device = tf.config.list_physical_devices("CPU")[0]
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(device, halves)
random = np.random.default_rng(0)
images = random.normal(size=(6, 4, 4, 3)).astype(np.float32)
labels = random.integers(0, 4, (6, 4, 4))
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(3, 1)(inputs))
    metric = metrics.Confusion(3, ignore_class=3)
    model.compile("sgd", "mse", metrics=[metric])
targets = np.where(labels[..., None] == 3, 0, np.eye(4)[labels][..., :3])
model.evaluate(images, targets, batch_size=4, verbose=0)
predicted = model.predict(images, verbose=0).argmax(-1)
expected = metrics.confusion_count(labels, predicted, 3, void=3)
np.testing.assert_array_equal(metric.counts, expected)
"""


def test_two_replicas_count_each_pixel_once() -> None:
    """Logical devices must exist before TensorFlow starts: a new process."""
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_saved_with_the_model_and_loaded(tmp_path: Path) -> None:
    model = _model()
    metric = Confusion.of(CAMVID, np.arange(121.0).reshape(11, 11))
    model.compile("sgd", "mse", metrics=[metric])
    labels, _ = _batch()
    images = np.random.default_rng(2).normal(size=(3, 6, 5, 3))
    targets = np.eye(N + 1)[labels][..., :N]
    before = model.evaluate(images, targets, return_dict=True, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    after = loaded.evaluate(images, targets, return_dict=True, verbose=0)
    assert after == pytest.approx(before)
    assert "expected_severity" in after


def test_configuration_round_trip() -> None:
    metric = Confusion.of(CAMVID, np.eye(N), prefix="left_", name="left")
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(metric)
    )
    assert again.get_config() == metric.get_config()
    assert again.get_config()["ignore_class"] == VOID
    assert all(key.startswith("left_") for key in again.result())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"report": ["miou"]}, "`report`.*'miou'"),
        ({"report": ["critical_iou"]}, "`groups`"),
        ({"report": ["iou/critical"]}, "`groups`"),
        ({"report": ["iou_group"]}, "`groups`"),
        ({"report": "critical_iou/minimum"}, "mean `critical_minimum_iou`"),
        ({"report": ["expected_severity"]}, "`ground`"),
        ({"names": ["a"]}, "`names`"),
        ({"ground": np.eye(3)}, "`ground`"),
    ],
)
def test_refuses_a_report_it_cannot_give(
    arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        Confusion(2, **arguments)


def test_refuses_scores_of_another_number_of_classes() -> None:
    with pytest.raises(ValueError, match=r"`y_pred`.*2 entries"):
        Confusion(2).update_state([0], [[0.0, 1.0, 2.0]])
