"""The target's files become pseudo-labelled records; labels stay out."""

import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.wseg_tf.adaptation.small import (
    SHIFT,
    SIZE,
    pixel_model,
    record,
    target_files,
    without_label,
)
from wseg_tf.adaptation.labelling import label_target, read_summary
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.adaptation.prediction import predictor
from wseg_tf.adaptation.pseudo_labels import (
    LEVELS,
    UNITS,
    count_levels,
    hard_labels,
    soft_labels,
    thresholds,
    to_levels,
)
from wseg_tf.adaptation.records import parse_labelled, soft_reader
from wseg_tf.classes import CAMVID
from wseg_tf.data.input import read_records
from wseg_tf.data.records import decode

COUNT = 5
OPTIONS = {
    "lrent": SelfTraining(portion=0.3),
    "cbst": SelfTraining(method="cbst", portion=0.3),
}


@pytest.fixture(scope="module")
def model():
    """One that is sure of something, as no untrained one is."""
    found = pixel_model()
    found.set_weights([6 * each for each in found.get_weights()])
    return found


@pytest.fixture(scope="module")
def texts():
    return [record(seed, SHIFT) for seed in range(COUNT)]


@pytest.fixture(scope="module")
def levels(model, texts):
    """What the model says of all images, in the batches that `label` takes."""
    images = [decode(_features(text))[0] for text in texts]
    stacked = tf.cast(tf.stack(images), tf.float32)
    predict = predictor(model)
    parts = [stacked[:2], stacked[2:4], stacked[4:]]
    found = np.concatenate([predict(each).numpy() for each in parts])
    return to_levels(found)


def _features(text):
    found = tf.train.Example.FromString(text).features.feature
    return {
        key: found[key].bytes_list.value[0]
        for key in ("image/encoded", "label/encoded")
    }


def label(model, folder, texts, method="lrent", **options):
    files = target_files(folder / "records", texts)
    chosen = dataclasses.replace(OPTIONS[method], **options)
    out = str(folder / "labels")
    return out, label_target(model, files, out, chosen, CAMVID, SIZE, batch=2)


def records_of(folder):
    files = sorted(tf.io.gfile.glob(f"{folder}/Split-train/*"))
    return [
        text for path in files
        for text in tf.data.TFRecordDataset(path).as_numpy_iterator()
    ]  # fmt: skip


def test_hard_labels_are_those_of_the_whole_target(
    model, texts, levels, tmp_path
):
    folder, summary = label(model, tmp_path, texts, "cbst")
    limits = thresholds(count_levels(levels), 0.3)
    expected = np.stack(
        [hard_labels(own, limits, CAMVID.void) for own in levels]
    )
    found = [
        decode(each)[1].numpy()
        for each in read_records(f"{folder}/Split-train/*", "")
    ]
    np.testing.assert_array_equal(found, expected)
    assert summary.thresholds == [min(level / LEVELS, 1) for level in limits]
    kept = [int((expected == k).sum()) for k in range(11)]
    assert summary.kept == kept
    assert sum(summary.predicted) == expected.size
    assert summary.images == COUNT
    assert read_summary(folder) == summary


def test_soft_labels_come_back_within_their_bound(
    model, texts, levels, tmp_path
):
    folder, summary = label(model, tmp_path, texts)
    limits = thresholds(count_levels(levels), 0.3)
    read = soft_reader(len(CAMVID), CAMVID.void)
    for text, own in zip(records_of(folder), levels, strict=True):
        expected, distributions = soft_labels(own, limits, CAMVID.void)
        image, ids, units = read(parse_labelled(text))
        assert image.shape == (*SIZE, 3)
        np.testing.assert_array_equal(ids, expected)
        kept = expected != CAMVID.void
        soft = units.numpy() / UNITS
        error = np.abs(soft[kept] - distributions.T).max()
        assert error <= (1 + 1e-4) / UNITS
        assert not soft[~kept].any()
    assert 0 < summary.kept_share < 1


@pytest.mark.parametrize("kind", ["poisoned", "absent"])
def test_what_the_target_says_of_labels_changes_nothing(
    model, texts, kind, tmp_path
):
    if kind == "poisoned":
        others = [record(seed, SHIFT, poison=True) for seed in range(COUNT)]
    else:
        others = [without_label(text) for text in texts]
    assert others != texts
    folder, _ = label(model, tmp_path / "a", texts)
    other, _ = label(model, tmp_path / "b", others)
    assert records_of(other) == records_of(folder)


def test_images_are_stored_as_training_sees_them(model, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    large = tf.train.Example.FromString(record(0))
    encoded = large.features.feature["image/encoded"].bytes_list
    encoded.value[0] = stream.getvalue()
    small = record(1)
    texts = [large.SerializeToString(), small]
    folder, _ = label(model, tmp_path, texts)
    first, second = (parse_labelled(each) for each in records_of(folder))
    expected = tf.image.resize(image, SIZE, antialias=True)
    expected = tf.clip_by_value(tf.round(expected), 0, 255)
    np.testing.assert_array_equal(decode(first)[0], expected)
    assert (first["height"], first["width"]) == SIZE
    # An image that has the size stays the file it was.
    assert second["image/encoded"] == _features(small)["image/encoded"]


def test_a_labelling_is_whole_or_begins_again(model, texts, tmp_path):
    files = target_files(tmp_path / "records", texts)
    out, first = label(model, tmp_path, texts)
    assert [each.name for each in tmp_path.iterdir()].count("labels") == 1
    assert not list(tmp_path.glob("*.unfinished"))
    # Whole, it is left alone: another model would label otherwise.
    other = pixel_model()
    other.set_weights([2 * each + 1 for each in other.get_weights()])
    again = label_target(other, files, out, OPTIONS["lrent"], CAMVID, SIZE)
    assert again == first


def test_the_rarest_are_those_the_target_shows_least(model, texts, tmp_path):
    _, summary = label(model, tmp_path, texts, portion=1.0, portion_limit=1.0)
    rare = summary.rarest(2)
    shown = [k for k in range(11) if summary.kept[k]]
    assert set(rare) <= set(shown)
    assert all(
        summary.predicted[rare[0]] <= summary.predicted[k] for k in shown
    )
