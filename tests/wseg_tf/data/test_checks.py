import hashlib
import io
import struct
import subprocess
import sys
import tracemalloc
import zlib

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
            r"ids\.png: expected the size of its image, 6x8. Found: 6x5",
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
        (IMAGE, encoded(MANY), r"Found: 100, 101, 102, 103, 104 and 43 more"),
        (
            IMAGE,
            SIXTEEN_BITS,
            r"ids\.png: expected class ids .* Found: 256, 768",
        ),
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


def chunk(kind, content):
    body = kind + content
    return (
        len(content).to_bytes(4, "big") + body
        + zlib.crc32(body).to_bytes(4, "big")
    )  # fmt: skip


def grey_png(rows, depth, colour_type=0, height=None, extra=b""):
    """A PNG written by hand: the numbers in `rows` are what is stored."""
    packed = b""
    for row in rows:
        bits = "".join(f"{value:0{depth}b}" for value in row)
        bits += "0" * (-len(bits) % 8)
        packed += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    header = struct.pack(
        ">IIBBBBB", len(rows[0]), height or len(rows), depth, colour_type, 0,
        0, 0,
    )  # fmt: skip
    colours = bytes(range(3 * 2 ** min(depth, 8))) if colour_type == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        + (chunk(b"PLTE", colours) if colours else b"")
        + chunk(b"IDAT", zlib.compress(packed + extra))
        + chunk(b"IEND", b"")
    )  # fmt: skip


@pytest.mark.parametrize("colour_type", [0, 3])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_ids_are_the_stored_numbers_whatever_their_depth(depth, colour_type):
    if (depth, colour_type) in {(16, 3)} or (depth == 8 and colour_type):
        pytest.skip("no such PNG, or one tested above")
    most = min(2**depth - 1, 11)
    rows = RANDOM.integers(0, most + 1, (6, 8)).tolist()
    rows[0][:2] = 0, most
    checked = check_pair(IMAGE, grey_png(rows, depth, colour_type), CAMVID)
    np.testing.assert_array_equal(ids_of(checked.label), rows)
    assert sum(checked.counts) == 48


def test_a_label_of_four_bits_is_mapped_by_its_own_numbers():
    rows = [[0, 1, 15, 15]] * 2
    image = encoded(PIXELS[:2, :4])
    checked = check_pair(image, grey_png(rows, 4), CITYSCAPES, {
        0: 255, 1: 0, 15: 18,
    })  # fmt: skip
    assert ids_of(checked.label)[0].tolist() == [255, 0, 18, 18]
    with pytest.raises(DataError, match=r"Found: 15\."):
        check_pair(image, grey_png(rows, 4), CAMVID)


def test_wide_ids_are_mapped():
    ids = np.where(IDS < 6, 300, 7).astype(np.uint16)
    checked = check_pair(IMAGE, encoded(ids), CAMVID, {300: 8, 7: 11})
    np.testing.assert_array_equal(
        ids_of(checked.label), np.where(IDS < 6, 8, 11)
    )
    with pytest.raises(DataError, match=r"Found: 300\."):
        check_pair(IMAGE, encoded(ids), CAMVID, {7: 11})
    instances = (IDS.astype(np.uint16) % 11) * 256 + IDS
    checked = check_pair(IMAGE, encoded(instances), CAMVID, divisor=256)
    np.testing.assert_array_equal(ids_of(checked.label), IDS % 11)


def test_panoptic_ids_are_red_and_256_green():
    ids = IDS.astype(np.int64) * 70_000 + 3
    colours = np.stack([ids % 256, ids // 256 % 256, ids >> 16], -1)
    id_map = {k * 70_000 + 3: k for k in range(12)}
    checked = check_pair(
        IMAGE, encoded(colours.astype(np.uint8)), CAMVID, id_map, panoptic=True
    )
    np.testing.assert_array_equal(ids_of(checked.label), IDS)


@pytest.mark.parametrize("kind", ["u1", "<i8", ">u2", "i1"])
@pytest.mark.parametrize("order", "CF")
def test_an_array_of_numpy_is_a_label(kind, order):
    stream = io.BytesIO()
    np.save(stream, np.asarray(IDS, kind, order=order))
    checked = check_pair(IMAGE, stream.getvalue(), CAMVID)
    np.testing.assert_array_equal(ids_of(checked.label), IDS)
    for wrong in (stream.getvalue()[:-1], stream.getvalue()[:40]):
        with pytest.raises(DataError, match="expected a whole"):
            check_pair(IMAGE, wrong, CAMVID)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.where(IDS > 5, -1, IDS.astype(int)), r"Found: -1\."),
        (IDS / 2, "array .* of integers"),
        (PIXELS, "array .* of integers"),
        (np.full((6, 8), None), "array .* of integers"),
        (np.broadcast_to(IDS[:1, :1], (1, 1)), "expected the size"),
    ],
)
def test_an_array_that_is_no_label_is_refused(array, message):
    stream = io.BytesIO()
    np.save(stream, array)
    with pytest.raises(DataError, match=message):
        check_pair(IMAGE, stream.getvalue(), CAMVID)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (grey_png([[3] * 8] * 3, 8, height=6), "fewer pixels than its size"),
        (grey_png([[3] * 8] * 6, 8, extra=b"\0" * 9), "more pixels than its"),
        (grey_png([[3] * 8] * 6, 8)[:-12] + chunk(b"IEND", b"")[:-1], "no end"),
        (
            grey_png([[3] * 8] * 6, 8).replace(
                zlib.compress((b"\0" + b"\3" * 8) * 6), b"x\x9c" + b"\1" * 9
            ),
            "damage",
        ),
    ],
)
def test_a_png_that_says_more_than_it_holds_is_refused(label, message):
    for image, target in ((label, LABEL), (IMAGE, label)):
        with pytest.raises(DataError, match=message):
            check_pair(image, target, CAMVID)


SCENE = np.clip(
    RANDOM.normal(128, 40, (160, 240, 3)).cumsum(1) % 256, 0, 255
).astype(np.uint8)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_rows": 2}]
)
@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[: len(b) // 2] + bytes(512) + b[len(b) // 2 + 512 :],
        lambda b: b[: len(b) // 8] + b[-2:],
        lambda b: b[: len(b) // 3] + b[len(b) // 2 :],
        lambda b: b[:-40] + b[-2:],
    ],
    ids=["zeros", "cut", "hole", "tail"],
)
def test_a_jpeg_with_a_hole_is_refused(damage, options):
    whole = encoded(SCENE, "JPEG", quality=92, **options)
    assert check_image(whole, CAMVID).image is whole
    with pytest.raises(DataError, match="damaged"):
        check_image(damage(whole), CAMVID)


def test_a_jpeg_with_something_behind_it_is_whole():
    whole = encoded(SCENE, "JPEG") + b"made by a camera" * 9
    assert check_image(whole, CAMVID).image is whole


def test_a_cameras_jpeg_of_two_pictures_is_an_image():
    first, second = Image.fromarray(SCENE), Image.fromarray(SCENE[:80, :120])
    stream = io.BytesIO()
    first.save(stream, "MPO", save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(stream.getvalue())).format == "MPO"
    checked = check_image(stream.getvalue(), CAMVID)
    assert (checked.image_format, checked.height) == ("jpeg", 160)
    with pytest.raises(DataError, match="Found: a JPEG"):
        check_pair(IMAGE, stream.getvalue(), CAMVID)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG2000", {}),
        ("JPEG2000", {"irreversible": True}),
        ("WEBP", {"quality": 90}),
        ("AVIF", {}),
        ("GIF", {}),  # whose writers choose the indices
        ("TIFF", {"compression": "jpeg"}),
    ],
)
def test_a_lossy_label_is_refused_by_its_content(form, options):
    image = encoded(SCENE[:64, :64])
    label = encoded(np.full((64, 64), 3, np.uint8), form, **options)
    with pytest.raises(DataError, match="expected a lossless image"):
        check_pair(image, label, CAMVID, label_name="ids.png")


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
        ("PPM", {}),
    ],
)
def test_a_lossless_label_of_another_format_keeps_its_ids(form, options):
    checked = check_pair(IMAGE, encoded(IDS, form, **options), CAMVID)
    np.testing.assert_array_equal(ids_of(checked.label), IDS)


def test_lossless_webp_keeps_colours():
    colours = np.zeros((6, 8, 3), np.uint8)
    colours[IDS > 5] = 128, 64, 128
    label = encoded(colours, "WEBP", lossless=True, exact=True)
    colour_map = {(128, 64, 128): 3, (0, 0, 0): 11}
    checked = check_pair(IMAGE, label, CAMVID, colour_map=colour_map)
    np.testing.assert_array_equal(
        ids_of(checked.label), np.where(IDS > 5, 3, 11)
    )


@pytest.mark.parametrize(
    "label",
    [
        b"P5 8 6 15\n" + bytes(IDS.ravel()),
        b"P2 8 6 15\n" + b"1 " * 48,
        b"P4 8 6\n" + bytes(6),
    ],
)
def test_numbers_that_pillow_would_stretch_are_refused(label):
    with pytest.raises(DataError, match="PGM of 255 levels"):
        check_pair(IMAGE, label, CAMVID)


def test_a_tiff_whose_0_is_white_is_refused():
    label = encoded(IDS, "TIFF", tiffinfo={262: 0})
    with pytest.raises(DataError, match="0 is white"):
        check_pair(IMAGE, label, CAMVID)


def test_two_pictures_in_a_label_are_refused():
    stream = io.BytesIO()
    Image.fromarray(IDS).save(
        stream, "TIFF", save_all=True, append_images=[Image.fromarray(IDS)]
    )
    with pytest.raises(DataError, match=r"one picture\. Found: 2"):
        check_pair(IMAGE, stream.getvalue(), CAMVID)


HUGE = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)


@pytest.mark.parametrize(
    "bomb",
    [
        IMAGE[:8] + chunk(b"IHDR", HUGE) + IMAGE[33:],
        encoded(SCENE, "JPEG").replace(
            struct.pack(">HH", 160, 240), struct.pack(">HH", 60_000, 60_000), 1
        ),
        IMAGE[:8]
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 6, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(200_000_000)))
        + chunk(b"IEND", b""),
        b"\x93NUMPY\1\0v\0"
        + b"{'descr': '<i8', 'fortran_order': False, "
        + b"'shape': (60000, 60000), }".ljust(77)
        + b"\n",
    ],
    ids=["png", "jpeg", "rows", "numpy"],
)
def test_a_bomb_is_refused_within_bounded_memory(bomb):
    tracemalloc.start()
    for image, label in ((bomb, LABEL), (IMAGE, bomb)):
        with pytest.raises(DataError, match="expected"):
            check_pair(image, label, CAMVID)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


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
