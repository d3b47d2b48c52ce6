import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.data.checks import (
    DataError,
    check_image,
    check_pair,
    encode_labels,
)

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (6, 8, 3), np.uint8)
IDS = np.array(RANDOM.integers(0, 12, (6, 8)), np.uint8)
IDS[0, :2] = 3, 11


def encoded(pixels, image_format="PNG", mode=None, **options):
    stream = io.BytesIO()
    picture = Image.fromarray(pixels)
    if mode:
        picture = picture.convert(mode)
    picture.save(stream, image_format, **options)
    return stream.getvalue()


def palette(ids, colours=None):
    picture = Image.fromarray(ids, "P")
    picture.putpalette(
        colours or [value for k in range(256) for value in (k, 0, 9)]
    )
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def ids_of(encoded_label):
    return np.asarray(Image.open(io.BytesIO(encoded_label)))


IMAGE, LABEL = encoded(PIXELS), encoded(IDS)


def test_a_good_pair_keeps_its_bytes():
    checked = check_pair(IMAGE, LABEL, CAMVID)
    assert checked.image is IMAGE
    assert checked.label is LABEL
    assert (checked.height, checked.width) == (6, 8)
    assert checked.image_format == "png"
    expected = np.bincount(IDS.ravel(), minlength=12).tolist()
    assert checked.counts == tuple(expected)
    assert checked.checksum == hashlib.sha256(IMAGE + LABEL).hexdigest()


def test_an_image_without_a_label_is_void_everywhere():
    checked = check_image(IMAGE, CAMVID)
    assert checked.image is IMAGE
    assert (ids_of(checked.label) == CAMVID.void).all()
    assert ids_of(checked.label).shape == IDS.shape
    assert checked.counts == (*[0] * 11, IDS.size)
    with pytest.raises(DataError, match="frame: expected a whole image"):
        check_image(IMAGE[:-20], CAMVID, "frame")


def test_a_jpeg_named_png_is_a_good_image():
    jpeg = encoded(PIXELS, "JPEG")
    checked = check_pair(jpeg, LABEL, CAMVID, image_name="a.png")
    assert checked.image is jpeg
    assert checked.image_format == "jpeg"


def test_the_void_of_the_class_set_counts_as_void():
    ids = np.full((6, 8), 255, np.uint8)
    ids[0, 0] = 18
    checked = check_pair(IMAGE, encoded(ids), CITYSCAPES)
    assert checked.counts[18] == 1
    assert checked.counts[-1] == 47


def test_a_palette_label_gives_its_indices():
    checked = check_pair(IMAGE, palette(IDS), CAMVID)
    np.testing.assert_array_equal(ids_of(checked.label), IDS)
    assert Image.open(io.BytesIO(checked.label)).mode == "L"


def test_a_label_of_one_bit_gives_0_and_1():
    bits = np.tile(np.array([[True, False]]), (6, 4))
    checked = check_pair(IMAGE, encoded(bits), CAMVID)
    np.testing.assert_array_equal(ids_of(checked.label), bits)


def test_ids_are_mapped():
    ids = np.array([[7, 8], [0, 33]], np.uint8)
    id_map = {0: 255, 7: 0, 8: 1, 33: 18}
    image = encoded(PIXELS[:2, :2])
    checked = check_pair(image, encoded(ids), CITYSCAPES, id_map)
    np.testing.assert_array_equal(ids_of(checked.label), [[0, 1], [255, 18]])
    assert (checked.counts[0], checked.counts[1], checked.counts[-1]) == (
        1,
    ) * 3
    with pytest.raises(DataError, match=r"Found: 9\."):
        check_pair(image, encoded(ids + 1), CITYSCAPES, {1: 0, 8: 1, 34: 2})


def test_a_map_that_changes_nothing_keeps_the_bytes():
    checked = check_pair(IMAGE, LABEL, CAMVID, {k: k for k in range(12)})
    assert checked.label is LABEL


def test_colours_are_mapped():
    colours = np.array([[(128, 64, 128), (0, 0, 0)]], np.uint8)
    colour_map = {(128, 64, 128): 3, (0, 0, 0): 11}
    image = encoded(PIXELS[:1, :2])
    for label in (
        encoded(colours),
        encoded(colours, mode="RGBA"),
        palette(np.array([[1, 0]], np.uint8), [0, 0, 0, 128, 64, 128]),
    ):
        checked = check_pair(image, label, CAMVID, colour_map=colour_map)
        np.testing.assert_array_equal(ids_of(checked.label), [[3, 11]])
    colours[0, 1] = 1, 2, 3
    with pytest.raises(DataError, match=r"Found: \(1, 2, 3\)"):
        check_pair(image, encoded(colours), CAMVID, colour_map=colour_map)
    with pytest.raises(DataError, match="expected a colour label"):
        check_pair(IMAGE, LABEL, CAMVID, colour_map=colour_map)


SIXTEEN_BITS = encoded(IDS.astype(np.uint16) * 256)
OUT_OF_RANGE = np.where(IDS == 3, 200, IDS).astype(np.uint8)
MANY = np.arange(100, 148, dtype=np.uint8).reshape(6, 8)


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (IMAGE[:-30], LABEL, r"street\.png: expected a whole image"),
        (IMAGE[:60], LABEL, r"street\.png: expected a whole image"),
        (encoded(PIXELS, "JPEG")[:-9], LABEL, r"street\.png: expected a whole"),
        (IMAGE, LABEL[:-20], r"ids\.png: expected a whole image"),
        (b"", LABEL, r"street\.png: expected an image. Found: an empty file"),
        (b"GIMP" * 9, LABEL, r"street\.png: expected a PNG or JPEG. Found: 36"),
        (encoded(PIXELS, "BMP"), LABEL, r"street\.png: .* Found: BMP"),
        (SIXTEEN_BITS, LABEL, r"street\.png: expected 8 bits a channel"),
        (
            encoded(PIXELS, "JPEG", mode="CMYK"),
            LABEL,
            r"street\.png: expected grey or RGB. Found: CMYK",
        ),
        (
            IMAGE,
            encoded(IDS[:, :5]),
            r"ids\.png: expected the size of its image, 8x6. Found: 5x6",
        ),
        (IMAGE, encoded(PIXELS), r"ids\.png: expected one channel .* \(RGB\)"),
        (
            IMAGE,
            encoded(PIXELS, mode="RGBA"),
            r"ids\.png: expected one channel .* \(RGBA\)",
        ),
        (
            IMAGE,
            encoded(OUT_OF_RANGE),
            r"ids\.png: expected class ids 0\.\.10 or void 11 \(camvid\). "
            r"Found: 200\.",
        ),
        (IMAGE, encoded(MANY), r"Found: 100, 101, 102, 103, 104 and 43 others"),
        (IMAGE, SIXTEEN_BITS, r"ids\.png: expected 8-bit class ids"),
        (IMAGE, encoded(IDS, "JPEG"), r"ids\.png: .* Found: a JPEG"),
        (
            IMAGE,
            encoded(np.full_like(IDS, 11)),
            r"ids\.png: expected at least one labelled pixel",
        ),
    ],
)
def test_refuses(image, label, message):
    with pytest.raises(DataError, match=message) as caught:
        check_pair(
            image,
            label,
            CAMVID,
            image_name="street.png",
            label_name="ids.png",
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("whole", [LABEL, IMAGE, encoded(PIXELS, "JPEG")])
def test_no_beginning_passes_for_the_whole(whole):
    for length in range(len(whole)):
        with pytest.raises(DataError):
            check_pair(whole[:length], LABEL, CAMVID)


def test_no_altered_bit_passes():
    for place in range(len(LABEL)):
        altered = bytearray(LABEL)
        altered[place] ^= 4
        with pytest.raises(DataError):
            check_pair(IMAGE, bytes(altered), CAMVID)


def test_encoded_labels_come_back():
    np.testing.assert_array_equal(ids_of(encode_labels(IDS)), IDS)


def test_needs_no_tensorflow():
    code = (
        "import sys; import wseg_tf.data.checks, wseg_tf.data.pairs;"
        "import wseg_tf.data.augmentation, wseg_tf.data.layouts;"
        "import wseg_tf.data.records;"
        "assert 'tensorflow' not in sys.modules"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
