import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from wseg_tf.classes import CAMVID
from wseg_tf.data.checks import DataError, check_image, check_pair
from wseg_tf.data.decoding import decode_image
from wseg_tf.data.orientation import decode_upright, exif_orientation
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import decode, parse, serialise

TAG = 0x112
ROWS, COLUMNS = np.mgrid[:16, :24]
SCENE = np.stack([ROWS * 14, COLUMNS * 10, ROWS * COLUMNS // 2], -1).astype(
    np.uint8
)


def photograph(orientation, form="PNG", order="<", kind="H", before=b""):
    """A file whose EXIF is written by hand."""
    number = 3 if kind == "H" else 4
    value = struct.pack(order + kind, orientation).ljust(4, b"\0")
    entry = struct.pack(order + "HHI", TAG, number, 1) + value
    other = struct.pack(order + "HHII", 0x100, 4, 1, 7)
    exif = struct.pack(
        order + "2sHIH", b"II" if order == "<" else b"MM", 42, 8, 2
    )
    exif = before + exif + other + entry + bytes(4)
    stream = io.BytesIO()
    options = {"quality": 95} if form == "JPEG" else {}
    Image.fromarray(SCENE).save(
        stream, form, exif=b"Exif\0\0" + exif, **options
    )
    return stream.getvalue()


def displayed(encoded):
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    return np.asarray(picture)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", "<>")
def test_an_image_is_turned_as_it_is_displayed(form, orientation, order):
    encoded = photograph(orientation, form, order, "HI"[orientation % 2])
    shown = displayed(encoded)
    checked = check_image(encoded, CAMVID)
    assert checked.orientation == orientation
    assert (checked.height, checked.width) == shown.shape[:2]
    assert int(exif_orientation(encoded)) == orientation
    assert int(exif_orientation(checked.image)) == 1
    assert (checked.image is encoded) == (orientation == 1)
    for pixels in (
        tf.io.decode_image(checked.image, channels=3).numpy(),
        decode_upright(encoded).numpy(),
    ):
        # Two decoders of JPEG may differ by a little.
        wrong = np.abs(pixels.astype(int) - shown)
        assert wrong.max() <= (0 if form == "PNG" else 6)


def test_a_label_lies_on_the_displayed_image():
    encoded = photograph(6)
    ids = np.where(displayed(encoded)[..., 0] > 127, 8, 0).astype(np.uint8)
    label = io.BytesIO()
    Image.fromarray(ids).save(label, "PNG")
    checked = check_pair(encoded, label.getvalue(), CAMVID)
    pixels = tf.io.decode_image(checked.image).numpy()
    truth = tf.io.decode_image(checked.label).numpy()
    np.testing.assert_array_equal(pixels[..., :1] > 127, truth == 8)


def test_a_turned_label_is_turned():
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4) % 11
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[TAG] = 6
    Image.fromarray(stored).save(stream, "PNG", exif=exif)
    image = io.BytesIO()
    Image.fromarray(SCENE[:4, :3]).save(image, "PNG")
    checked = check_pair(image.getvalue(), stream.getvalue(), CAMVID)
    ids = tf.io.decode_image(checked.label).numpy()[..., 0]
    np.testing.assert_array_equal(ids, np.rot90(stored, -1))


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_an_orientation_that_is_none_turns_nothing(orientation):
    encoded = photograph(orientation, "JPEG")
    assert check_image(encoded, CAMVID).image is encoded
    assert int(exif_orientation(encoded)) == 1


def test_two_orientations_are_refused():
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    stream = io.BytesIO()
    Image.fromarray(SCENE).save(stream, "JPEG", xmp=xmp)
    with pytest.raises(DataError, match="expected one orientation"):
        check_image(stream.getvalue(), CAMVID)
    # A PNG's EXIF behind the pixels is read by some viewers only.
    whole = photograph(6)
    start = whole.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(whole[start : start + 4], "big")
    late = whole[:start] + whole[end:-12] + whole[start:end] + whole[-12:]
    assert int(exif_orientation(late)) == 1
    with pytest.raises(DataError, match="expected one orientation"):
        check_image(late, CAMVID)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([photograph(6), photograph(8, "JPEG", ">")]),
    st.integers(0, 70),
    st.integers(0, 255),
    st.booleans(),
)
def test_the_graph_reads_any_bytes_as_ingest_does(whole, place, byte, cut):
    start = whole.index(b"II*" if b"II*" in whole else b"MM\0")
    changed = bytearray(whole[: start + place] if cut else whole)
    changed[min(start + place, len(changed) - 1)] = byte
    found = int(exif_orientation(bytes(changed)))
    assert 1 <= found <= 8
    try:
        seen = decode_image(bytes(changed), "image").orientation
    except DataError:
        return
    assert found == seen


def test_a_record_says_that_its_image_was_turned():
    pair = Pair("a", "a.png", "", "train", "a", "a")
    for orientation in (1, 6):
        checked = check_image(photograph(orientation), CAMVID)
        record = serialise(pair, checked)
        assert int(parse(record)["orientation"]) == orientation
        assert (b"orientation" in record) == (orientation == 6)
        image, label = decode(parse(record))
        assert (
            image.shape[:2]
            == label.shape
            == displayed(photograph(orientation)).shape[:2]
        )
