"""Sets of more than 255 classes: ids are the stored numbers all the way."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.data.fuzz import saved
from wseg_tf.adaptation import pseudo_labels
from wseg_tf.classes import class_set
from wseg_tf.data.augmentation import Augmentation
from wseg_tf.data.checks import DataError, check_image, check_pair
from wseg_tf.data.input import evaluation_batches, training_batches
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import decode, decode_ids, parse, serialise
from wseg_tf.losses import WassersteinLoss
from wseg_tf.metrics import Confusion
from wseg_tf.serving import ServedModel, export

MANY = class_set([f"class {k}" for k in range(300)])
SIZE = (20, 30)
IDS = np.arange(600).reshape(SIZE) % 300
IDS[0, :5] = MANY.void
IMAGE = saved(np.full((*SIZE, 3), 90, np.uint8), "PNG")


def array(ids):
    stream = io.BytesIO()
    np.save(stream, ids)
    return stream.getvalue()


LABELS = {
    "png": saved(IDS.astype(np.uint16), "PNG"),
    "tiff": saved(IDS.astype(np.uint16), "TIFF"),
    "npy": array(IDS),
    "unsigned npy": array(IDS.astype(np.uint64)),
    "big-endian npy": array(np.asfortranarray(IDS.astype(">i4"))),
}


def records(label, classes=MANY, **options):
    checked = check_pair(IMAGE, label, classes, **options)
    pair = Pair("a", "a", "a", "train", "a", "a")
    record = tf.constant(serialise(pair, checked))
    return checked, tf.data.Dataset.from_tensors(record).map(parse)


@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS)
def test_ids_come_through_records(label):
    checked, examples = records(label)
    expected = [2] * 300 + [5]
    for k in range(5):
        expected[k] = 1
    assert checked.counts == tuple(expected)
    for read in (decode, lambda each: evaluation(examples)):
        ids = read(next(iter(examples)))[1]
        np.testing.assert_array_equal(ids, IDS)
    assert decode(next(iter(examples)))[1].dtype == tf.uint16


def evaluation(examples):
    images, labels = next(iter(evaluation_batches(examples, SIZE, 1)))
    return images[0], labels[0]


def test_a_png_of_16_bits_is_kept_as_it_is():
    assert records(LABELS["png"])[0].label == LABELS["png"]


def test_a_frame_of_low_ids_alone_is_read_as_the_others_are():
    low = np.minimum(IDS, 255).astype(np.uint8)
    _, examples = records(saved(low, "PNG"))
    assert decode(next(iter(examples)))[1].dtype == tf.uint16
    np.testing.assert_array_equal(evaluation(examples)[1], low)


def test_255_is_a_class_where_there_are_more():
    ids = saved(np.full(SIZE, 255, np.uint8), "PNG")
    counts = records(ids)[0].counts
    assert (counts[255], counts[-1]) == (600, 0)
    few = class_set([f"class {k}" for k in range(255)])
    with pytest.raises(DataError, match="void"):
        records(ids, few)


@pytest.mark.parametrize("count", [255, 256, 257])
def test_the_largest_id_of_a_set_is_no_void(count):
    classes = class_set([f"class {k}" for k in range(count)])
    ids = np.full(SIZE, count - 1, np.uint16)
    ids[0, 0] = classes.void
    checked, examples = records(saved(ids, "PNG"), classes)
    assert (checked.counts[-2], checked.counts[-1]) == (599, 1)
    np.testing.assert_array_equal(evaluation(examples)[1], ids)


def test_few_classes_may_have_a_high_void():
    classes = class_set({"classes": ["road", "person"], "void": 1000})
    ids = np.where(IDS % 2, 1000, IDS % 4 // 2).astype(np.uint16)
    _, examples = records(saved(ids, "PNG"), classes)
    np.testing.assert_array_equal(evaluation(examples)[1], ids)


@pytest.mark.parametrize("void", [-1, 65536])
def test_a_void_that_no_label_can_store_is_refused(void):
    classes = class_set({"classes": ["road", "person"], "void": void})
    label = saved(np.zeros(SIZE, np.uint8), "PNG")
    with pytest.raises(DataError, match=f"Found: void {void}"):
        check_pair(IMAGE, label, classes)
    with pytest.raises(DataError, match=f"Found: void {void}"):
        check_image(IMAGE, classes)


def test_an_id_above_the_classes_is_refused():
    above = saved((IDS + 1).astype(np.uint16), "PNG")
    with pytest.raises(DataError, match="300"):
        records(above)


def test_ids_are_mapped_to_high_classes():
    stored = (np.arange(600).reshape(SIZE) % 3).astype(np.uint8)
    given = {0: 299, 1: 255, 2: MANY.void}
    _, examples = records(saved(stored, "PNG"), id_map=given)
    expected = np.array([299, 255, MANY.void])[stored]
    np.testing.assert_array_equal(evaluation(examples)[1], expected)


def test_an_image_without_a_label_is_void():
    label = check_image(IMAGE, MANY).label
    assert (decode_ids(tf.constant(label)).numpy() == MANY.void).all()


@pytest.mark.parametrize("cache", [True, False])
def test_training_draws_the_rare_ones(cache):
    _, examples = records(LABELS["png"])
    rare = Augmentation(rare_classes=(299,), rare_images=0.5, rare=0.5)
    batches = training_batches(
        examples, SIZE, 1, MANY.void, cache=cache, count=1, augmentation=rare
    )
    labels = next(iter(batches))[1].numpy()
    assert {*labels.ravel().tolist()} <= {*range(300), MANY.void}
    assert labels[labels < 300].max() > 255


def test_wide_ids_are_never_cut_to_a_narrow_void():
    _, examples = records(LABELS["png"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="up to 255"):
        next(iter(training_batches(examples, SIZE, 1, 255)))


def test_a_step_evaluation_and_serving_agree_on_300_classes(tmp_path):
    model = constant(299, 300)
    _, examples = records(LABELS["png"])
    images, labels = next(iter(evaluation_batches(examples, SIZE, 1)))
    severity = 1.0 - np.eye(300)
    loss = WassersteinLoss(severity, ignore_class=MANY.void, from_logits=True)
    with tf.GradientTape() as tape:
        value = loss(labels, model(images))
    gradients = tape.gradient(value, model.trainable_variables)
    assert 0 < float(value) < 1
    assert any(float(tf.reduce_max(tf.abs(each))) > 0 for each in gradients)
    metric = Confusion(300, ignore_class=MANY.void)
    metric.update_state(labels, model(images))
    found = float(metric.result()["pixel_accuracy"])
    assert found == pytest.approx(2 / 595)
    export(model, str(tmp_path), MANY, *SIZE)
    served = ServedModel(str(tmp_path))
    ids = served.segment(IMAGE)
    assert ids.dtype == np.uint16
    assert (ids == 299).all()
    pair = Pair("a", "a", "a", "train", "a", "a")
    record = serialise(pair, check_pair(IMAGE, LABELS["png"], MANY))
    counts = served.count_confusion(record)
    assert (counts.sum(), counts[299, 299]) == (595, 2)
    assert counts[:, 299].sum() == 595


def constant(index, classes):
    """Returns a network that sees one class everywhere."""
    model = keras.Sequential(
        [keras.layers.Input((*SIZE, 3)), keras.layers.Conv2D(classes, 1)]
    )
    bias = np.zeros(classes, np.float32)
    bias[index] = 9.0
    model.layers[-1].set_weights([np.zeros((1, 1, 3, classes)), bias])
    return model


def test_void_around_a_served_image_is_no_class_of_256(tmp_path):
    classes = class_set([f"class {k}" for k in range(256)])
    export(constant(255, 256), str(tmp_path), classes, *SIZE)
    small = saved(np.full((5, 30, 3), 90, np.uint8), "PNG")
    loaded = tf.saved_model.load(str(tmp_path))
    served = loaded.signatures["serving_default"](tf.constant([IMAGE, small]))
    ids = served["classes"].numpy()
    assert (ids[0] == 255).all()
    assert (ids[1, :5] == 255).all()
    assert (ids[1, 5:] == classes.void).all()


def test_pseudo_labels_hold_high_classes():
    levels = np.ones((300, 1, 4), np.uint16)
    levels[299, 0, :2], levels[255, 0, 2] = 60000, 50000
    counts = pseudo_labels.count_levels(levels)
    assert (counts[299, 60000], counts[255, 50000]) == (2, 1)
    limits = np.full(300, 40000)
    expected = [[299, 299, 255, MANY.void]]
    hard = pseudo_labels.hard_labels(levels, limits, MANY.void)
    soft, _ = pseudo_labels.soft_labels(levels, limits, MANY.void)
    assert hard.tolist() == soft.tolist() == expected
