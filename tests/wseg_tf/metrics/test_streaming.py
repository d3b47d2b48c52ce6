import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from wseg_tf import metrics
from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics import Confusion
from wseg_tf.metrics.tensors import count_confusion

N, VOID = len(CAMVID), CAMVID.void
EVERY_SCORE = metrics.score_names(CAMVID)
COSTS = np.arange(121.0).reshape(11, 11) * (1 - np.eye(11))


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


@pytest.mark.parametrize(
    ("labels", "predicted", "said"),
    [
        ([0, 9], [0, 0], r"`y_true`.*\[9\]"),
        ([0, -1], [0, 0], r"`y_true`.*\[-1\]"),
        ([0, 2**32 + 1], [0, 0], r"`y_true`.*4294967297"),
        ([0.0, 0.5], [0, 0], r"`y_true`.*0\.5"),
        ([0.0, float("nan")], [0, 0], r"`y_true`.*nan"),
        ([[1.0, 0.0], [float("nan"), 0.0]], [[2.0, 1.0]] * 2, "`y_true`.*nan"),
        ([0, 1], [0, 5], r"`y_pred`.*\[5\]"),
        ([0, 1], [0, -3], r"`y_pred`.*\[-3\]"),
        ([0, 1], [0, 2**32 + 1], r"`y_pred`.*4294967297"),
    ],
)
def test_what_is_no_class_is_refused_wherever_it_is(
    labels: Any, predicted: Any, said: str
) -> None:
    y_true, y_pred = np.array(labels), np.array(predicted)
    metric = Confusion(2)
    with pytest.raises(ValueError, match=said):
        metric.update_state(y_true, y_pred)
    assert metric.counts.sum() == 0
    graph = tf.function(lambda t, p: count_confusion(t, p, 2))
    with pytest.raises(tf.errors.InvalidArgumentError, match=said[:8]):
        graph(y_true, y_pred)
    # XLA has no errors: what it counts says that it is none.
    compiled = Confusion(2)

    @tf.function(jit_compile=True)
    def update(y_true: Any, y_pred: Any) -> None:
        compiled.update_state(y_true, y_pred)

    update(y_true, y_pred)
    compiled.update_state([0, 1], [0, 1])
    assert all(np.isnan(float(v)) for v in compiled.result().values())
    with pytest.raises(ValueError, match="XLA"):
        _ = compiled.counts


def test_nothing_is_refused_where_nothing_is_counted() -> None:
    counts = count_confusion([0, 9, 1], [0, 77, 1], 2, ignore_class=9)
    np.testing.assert_array_equal(counts, [[1, 0], [0, 1]])
    weights = [1.0, 0.0, 1.0]
    counts = count_confusion([0, 1, 1], [0, 7, 1], 2, sample_weight=weights)
    np.testing.assert_array_equal(counts, [[1, 0], [0, 1]])


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_targets_that_are_no_distributions_are_refused(mode: str) -> None:
    """The losses refuse them, and ids of a map as wide as classes are none."""
    for factor in (0.5, 2.0, np.nan):
        given = np.float32(factor * SCORES), SCORES
        if mode == "eager":
            with pytest.raises(ValueError, match=r"`y_true`.*sum to 1"):
                count_confusion(*given, 3)
            continue
        run = tf.function(
            lambda t, p: count_confusion(t, p, 3), jit_compile=mode == "xla"
        )
        if mode == "xla":
            assert (run(*given) < 0).numpy().all()
            continue
        with pytest.raises(tf.errors.InvalidArgumentError, match="sum to 1"):
            run(*given)
    ids = TRUTH[:, :, :3]
    with pytest.raises(ValueError, match=r"`y_true`.*sum to 1"):
        count_confusion(ids, ids.astype(np.float32), 3)


@pytest.mark.parametrize(
    "shape", [(2,), (2, 1), (2, 1, 1), (2, 4, 6), (2, 4, 6, 1)]
)
def test_weights_of_any_rank_known_or_not(shape: tuple[int, ...]) -> None:
    weight = np.zeros(shape, np.float32)
    weight[0] = 0.5
    expected = np.diag(np.bincount(TRUTH[0].ravel(), minlength=3))
    for spec in (weight.shape, None):
        run = tf.function(
            lambda w: count_confusion(TRUTH, SCORES, 3, sample_weight=w),
            input_signature=[tf.TensorSpec(spec)],
        )
        np.testing.assert_array_equal(run(weight), expected)
    for wrong in ((3,), (2, 4), (2, 4, 6, 3), (2, 4, 6, 1, 1), (2, 3)):
        with pytest.raises(ValueError, match="`sample_weight`"):
            Confusion(3).update_state(TRUTH, SCORES, np.ones(wrong))


TRUTH = np.random.default_rng(0).integers(0, 3, (2, 4, 6))
SCORES = np.eye(3, dtype=np.float32)[TRUTH]


@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [
        (TRUTH.transpose(0, 2, 1), SCORES),
        (TRUTH.transpose(1, 2, 0), SCORES),
        (TRUTH.transpose(0, 2, 1), TRUTH),
        (TRUTH[:1], TRUTH),
        (TRUTH.reshape(2, 24), SCORES),
        (TRUTH, SCORES.transpose(0, 3, 1, 2)),
        (TRUTH, TRUTH.astype(np.float32)),
        # One-hots or ids of images that are three pixels wide?
        (SCORES.astype(int), SCORES.astype(int)),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_shapes_that_do_not_fit_are_refused(
    y_true: Any, y_pred: Any, known: bool
) -> None:
    def spec(value: Any) -> tf.TensorSpec:
        sizes = value.shape if known else [None] * (value.ndim - 1)
        sizes = sizes if known else [*sizes, value.shape[-1]]
        return tf.TensorSpec(sizes, value.dtype)

    graph = tf.function(
        lambda t, p: count_confusion(t, p, 3),
        input_signature=[spec(y_true), spec(y_pred)],
    )
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        graph(y_true, y_pred)
    with pytest.raises(ValueError, match="Invalid"):
        Confusion(3).update_state(y_true, y_pred)


@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [
        (TRUTH, SCORES.astype(int)),
        (TRUTH[..., None], SCORES.astype(np.uint8)),
        (SCORES.astype(int), SCORES),
        (SCORES.astype(int), TRUTH),
        (TRUTH, TRUTH[..., None]),
        (TRUTH[..., None], TRUTH),
        (TRUTH.astype(np.float64), TRUTH.astype(np.uint64)),
        (TRUTH.reshape(2, 12, 2), TRUTH.reshape(2, 12, 2)),
        # Ids of images that are three pixels wide, with the axis that says so.
        (TRUTH.reshape(2, 8, 3), TRUTH.reshape(2, 8, 3, 1)),
    ],
)
def test_one_hots_and_ids_are_told_apart_by_their_axes(
    y_true: Any, y_pred: Any
) -> None:
    counts = count_confusion(y_true, y_pred, 3).numpy()
    expected = np.diag(np.bincount(TRUTH.ravel(), minlength=3))
    np.testing.assert_array_equal(counts, expected)


def test_a_ground_matrix_is_brought_into_the_order_of_the_classes() -> None:
    ground = GroundMatrix.severity_aware(CAMVID)
    turned = ground.subset(CAMVID.names[::-1])
    metric = Confusion.of(CAMVID, turned)
    np.testing.assert_array_equal(metric.ground, ground.values)
    counts = np.zeros([N, N], int)
    counts[8, 3] = 1  # A car taken for the road.
    severity = ground.cost("car", "road")
    assert severity != ground.cost("road", "car")
    found = metrics.scores(counts, CAMVID, turned)["expected_severity"]
    assert found == severity
    with pytest.raises(ValueError, match="Expected one of the classes"):
        Confusion.of(CITYSCAPES, ground)
    with pytest.raises(ValueError, match="Expected one of the classes"):
        Confusion.of(CAMVID, GroundMatrix(ground.values, range(N)))


def test_scores_agree_with_numpy() -> None:
    labels, logits = _batch()
    labels[labels == 10] = VOID
    logits[..., 10] = -99  # Class 10 is absent.
    ground = np.random.default_rng(1).random((N, N)) * (1 - np.eye(N))
    metric = Confusion.of(CAMVID, ground, EVERY_SCORE)
    metric.update_state(labels, logits)
    counts = metric.counts
    np.testing.assert_array_equal(counts, _expected(labels, logits))
    result = {key: float(value) for key, value in metric.result().items()}
    expected = metrics.scores(counts, CAMVID, ground)
    assert result == pytest.approx(expected, nan_ok=True, rel=1e-6)
    assert np.isnan(result["iou/bicyclist"])


def test_the_critical_classes_may_be_any() -> None:
    sky = dataclasses.replace(CAMVID, critical_classes=("sky",))
    labels, logits = _batch()
    metric = Confusion.of(sky, report=("critical_iou", "iou/sky"))
    metric.update_state(labels, logits)
    found = metric.result()
    assert float(found["critical_iou"]) == float(found["iou/sky"])
    again = Confusion.from_config(metric.get_config())
    again.update_state(labels, logits)
    assert {k: float(v) for k, v in again.result().items()} == {
        k: float(v) for k, v in found.items()
    }


def test_nothing_counted_is_nan() -> None:
    metric = Confusion.of(CAMVID, COSTS, EVERY_SCORE)
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
    metric = Confusion.of(CAMVID, COSTS)
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
    ground = 1 - np.eye(N)
    metric = Confusion.of(CAMVID, ground, prefix="left_", name="left")
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
        ({"report": 3}, "`report`.*names of scores.*3"),
        ({"report": ["mean_iou", None]}, "`report`.*names of scores.*None"),
        ({"report": ["critical_iou"]}, "`groups`"),
        ({"report": ["expected_severity"]}, "`ground`"),
        ({"names": ["a"]}, "`names`"),
        ({"ground": 1 - np.eye(3)}, "`ground`"),
        ({"ground": {0: [0, 1], 1: [1, 0]}}, r"\[N, N\] numbers"),
        ({"ground": [[0, -1], [1, 0]]}, r"costs >= 0.*\[0, 1\]"),
        ({"ground": [[0, np.nan], [1, 0]]}, r"finite.*\[0, 1\]"),
        ({"names": "ab"}, "`classes`.*'ab'"),
        ({"classes": CAMVID}, r"`classes`.*`Confusion\.of`"),
        ({"classes": 2.0}, "`classes`.*2.0"),
        ({"classes": 0}, "`classes`.*0"),
    ],
)
def test_refuses_a_report_it_cannot_give(
    arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        Confusion(**{"classes": 2, **arguments})


def test_refuses_scores_of_another_number_of_classes() -> None:
    with pytest.raises(ValueError, match=r"`y_pred`.*2 entries"):
        Confusion(2).update_state([0], [[0.0, 1.0, 2.0]])


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("by_name", [False, True])
def test_two_outputs_have_scores_of_their_own(
    run_eagerly: bool, by_name: bool
) -> None:
    inputs = keras.Input((6, 5, 3))
    outputs = {
        name: keras.layers.Conv2D(N, 1, name=name)(inputs)
        for name in ("left", "right")
    }
    model = keras.Model(inputs, outputs if by_name else [*outputs.values()])
    metric = {name: Confusion.of(CAMVID) for name in outputs}
    model.compile(
        keras.optimizers.SGD(0.0),
        dict.fromkeys(outputs, "mse") if by_name else ["mse", "mse"],
        metrics=metric if by_name else [[each] for each in metric.values()],
        run_eagerly=run_eagerly,
    )
    images = np.random.default_rng(2).normal(size=(3, 6, 5, 3))
    labels = np.random.default_rng(3).integers(0, N, (3, 6, 5))
    targets = np.eye(N, dtype=np.float32)[labels]
    both = (targets, targets[::-1])
    wanted = dict(zip(outputs, both, strict=True)) if by_name else [*both]
    history = model.fit(
        images, wanted, validation_data=(images, wanted), verbose=0
    ).history
    predicted = model.predict(images, verbose=0)
    if by_name:
        predicted = [predicted[name] for name in outputs]
    for name, own, scores in zip(
        outputs, (labels, labels[::-1]), predicted, strict=True
    ):
        expected = metrics.mean_iou(_expected(own, scores))
        for key in (f"{name}_mean_iou", f"val_{name}_mean_iou"):
            assert history[key] == pytest.approx([expected])
        assert f"{name}_critical_iou" in history
    assert "mean_iou" not in history


def test_one_metric_for_two_outputs_is_refused() -> None:
    inputs = keras.Input((6, 5, 3))
    outputs = [keras.layers.Conv2D(3, 1)(inputs) for _ in range(2)]
    model = keras.Model(inputs, outputs)
    metric = Confusion(3)
    images = np.zeros([1, 6, 5, 3])
    targets = np.eye(3)[np.zeros([1, 6, 5], int)]

    def run() -> None:
        model.compile("sgd", ["mse", "mse"], metrics=[[metric], [metric]])
        model.evaluate(images, [targets, targets], verbose=0)

    with pytest.raises(ValueError, match=r"duplicated metrics|of its own for"):
        run()


def _one_output(*given: Any, weighted: Any = ()) -> dict[str, Any]:
    inputs = keras.Input((6, 5, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(3, 1)(inputs))
    model.compile(
        keras.optimizers.SGD(0.0),
        "mse",
        metrics=[*given],
        weighted_metrics=[*weighted],
    )
    images = np.random.default_rng(2).normal(size=(3, 6, 5, 3))
    targets = np.eye(3)[np.random.default_rng(3).integers(0, 3, (3, 6, 5))]
    found: dict[str, Any] = model.evaluate(
        images, targets, verbose=0, return_dict=True
    )
    scores = model.predict(images, verbose=0)
    found["expected"] = metrics.confusion_count(
        targets.argmax(-1), scores.argmax(-1), 3
    )
    return found


def test_two_metrics_of_one_output_have_scores_of_their_own() -> None:
    """Void for one is a class for the other, so their scores differ."""
    found = _one_output(
        Confusion(3), Confusion(3, ignore_class=0, name="things")
    )
    whole = found["expected"]
    assert found["mean_iou"] == pytest.approx(metrics.mean_iou(whole))
    rest = np.concatenate([np.zeros([1, 3]), whole[1:]])
    scored = found["things_mean_iou"]
    assert scored == pytest.approx(metrics.mean_iou(rest))
    assert scored != pytest.approx(found["mean_iou"])


def test_a_prefix_takes_the_place_of_the_name() -> None:
    assert "p_mean_iou" in _one_output(Confusion(3, prefix="p_", name="own"))
    assert "mean_iou" in _one_output(Confusion(3, prefix="", name="own"))


@pytest.mark.parametrize("name", ["confusion", "own"])
def test_two_metrics_of_one_name_are_refused(name: str) -> None:
    """By Keras 2 itself, and here by the second of two metrics in Keras 3."""
    pair = [Confusion(3, name=name), Confusion(3, report="mean_iou", name=name)]
    said = "same name|Received twice.*mean_iou"
    with pytest.raises(ValueError, match=said):
        _one_output(*pair)
    if keras.__version__.startswith("2."):  # It calls the second weighted.
        found = _one_output(pair[0], weighted=[pair[1]])
        assert sum(key.endswith("mean_iou") for key in found) == 2
        return
    with pytest.raises(ValueError, match=said):
        _one_output(pair[0], weighted=[pair[1]])


SAVE = """
import sys, keras, numpy as np
from wseg_tf import CAMVID, GroundMatrix
from wseg_tf.metrics import Confusion

inputs = keras.Input((6, 5, 3))
model = keras.Model(inputs, keras.layers.Conv2D(11, 1)(inputs))
D = GroundMatrix.severity_aware(CAMVID)
model.compile(
    "sgd",
    keras.losses.MeanSquaredError(),
    metrics=[Confusion.of(CAMVID, D)],
)
"""
DATA = """
images = np.random.default_rng(2).normal(size=(3, 6, 5, 3))
labels = np.random.default_rng(3).integers(0, 11, (3, 6, 5))
targets = np.eye(11, dtype=np.float32)[labels]
found = model.evaluate(images, targets, return_dict=True, verbose=0)
print(sorted((k, round(float(v), 5)) for k, v in found.items()))
"""
LOAD = """
import sys, keras, numpy as np
from wseg_tf.metrics import Confusion
"""
LOADED = """
model = keras.models.load_model(sys.argv[1] + ".{ending}")
"""
SAVED = """
model.save(sys.argv[1] + ".keras")
model.save(sys.argv[1] + ".h5")
"""


def test_loads_in_a_fresh_process(tmp_path: Path) -> None:
    said = []
    endings = (LOADED.format(ending=each) + DATA for each in ("keras", "h5"))
    for code in (SAVE + DATA + SAVED, LOAD + "".join(endings)):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "model")],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        lines = done.stdout.strip().splitlines()
        said += [line for line in lines if line.startswith("[(")]
    assert len(said) == 3
    assert "expected_severity" in said[0]
    assert said[0] == said[1] == said[2]
