import io

import numpy as np
import tensorflow as tf
from PIL import Image

from wseg_tf.classes import CAMVID
from wseg_tf.data.checks import check_pair
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import decode, example, feature_spec, parse, serialise

RANDOM = np.random.default_rng(1)
PIXELS = RANDOM.integers(0, 256, (5, 7, 3), np.uint8)
IDS = RANDOM.integers(0, 12, (5, 7)).astype(np.uint8)
PAIR = Pair("S001_2", "a/é b.png", "b/é b.png", "train", "S001", "streets")


def encoded(pixels, image_format="PNG"):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, image_format)
    return stream.getvalue()


def test_a_record_gives_back_what_went_in():
    checked = check_pair(encoded(PIXELS), encoded(IDS), CAMVID)
    features = parse(tf.constant(serialise(PAIR, checked)))
    image, label = decode(features)
    np.testing.assert_array_equal(image, PIXELS)
    np.testing.assert_array_equal(label, IDS)
    assert image.dtype == label.dtype == tf.uint8
    plain = {
        key: value.numpy().decode()
        for key, value in features.items()
        if value.dtype == tf.string and not key.endswith("encoded")
    }
    assert plain == {
        "image/format": "png",
        "name": "S001_2",
        "drive": "S001",
        "dataset": "streets",
        "split": "train",
        "checksum": checked.checksum,
    }
    assert (int(features["height"]), int(features["width"])) == (5, 7)


def test_a_grey_jpeg_decodes_to_three_channels():
    jpeg = encoded(PIXELS[..., 0], "JPEG")
    checked = check_pair(jpeg, encoded(IDS), CAMVID)
    image, _ = decode(parse(tf.constant(serialise(PAIR, checked))))
    assert image.shape == (5, 7, 3)


def test_equal_pairs_give_equal_bytes():
    checked = check_pair(encoded(PIXELS), encoded(IDS), CAMVID)
    assert len({serialise(PAIR, checked) for _ in range(20)}) == 1


def test_the_format_names_every_feature():
    checked = check_pair(encoded(PIXELS), encoded(IDS), CAMVID)
    features = example(PAIR, checked).features.feature
    # Where the image was turned, `orientation` as well.
    assert {*features, "orientation"} == set(feature_spec())
