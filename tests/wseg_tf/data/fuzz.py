"""Mutates valid files and feeds them to the door.

python -m tests.wseg_tf.data.fuzz --count 10000

What is refused is refused in one sentence. What passes is decoded by
TensorFlow, too, which knows nothing of the door: images alike, and no id of a
label is another. Nothing takes longer than `MOST_SECONDS`.
"""

from __future__ import annotations

import argparse
import io
import resource
import struct
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from wseg_tf.classes import CAMVID
from wseg_tf.data.checks import DataError, check_pair
from wseg_tf.data.damage import naming_damage
from wseg_tf.data.input import read_records
from wseg_tf.data.layouts import find_pairs
from wseg_tf.data.orientation import decode_upright
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import decode, serialise
from wseg_tf.ground import GroundMatrix

MOST_SECONDS = 5.0
MOST_MEGABYTES = 200  # more than before the first input
SIZE = (12, 20)
TEXT = b"[]{}:,-#&*!|>'\"\n\t 0179axyz.~_=<"  # what means something in YAML
Outcome = str
Random = np.random.Generator


def png_of(header: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Returns a PNG of its chunks, checksums made."""
    written = b"\x89PNG\r\n\x1a\n"
    for kind, content in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        checksum = zlib.crc32(kind + content)
        written += struct.pack(">I", len(content)) + kind + content
        written += struct.pack(">I", checksum)
    return written


def grey(depth: int, interlace: int = 0) -> bytes:
    """Returns a grey PNG of ids 0 and 1, stored in some bits each."""
    height, width = SIZE
    bits = "".join(f"{k % 2:0{depth}b}" for k in range(width))
    bits += "0" * (-len(bits) % 8)
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, interlace)
    return png_of(header, (b"IDAT", zlib.compress(row * height)))


def saved(pixels: np.ndarray, form: str, **options: object) -> bytes:
    """Returns pixels in a format of Pillow's."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


def seeds() -> tuple[list[bytes], list[bytes]]:
    """Returns valid images and valid labels."""
    random = np.random.default_rng(0)
    scene = random.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    ids = random.integers(0, 12, SIZE).astype(np.uint8)
    exif = Image.Exif()
    exif[0x112] = 3
    palette = Image.fromarray(ids).convert("P")
    palette.putpalette(bytes(range(36)))
    stream, array = io.BytesIO(), io.BytesIO()
    palette.save(stream, "PNG")
    np.save(array, ids.astype(np.int64))
    images = [
        saved(scene, "PNG"),
        saved(scene[..., 0], "PNG"),
        saved(scene, "PNG", exif=exif),
        saved(scene, "JPEG", quality=90),
        saved(scene, "JPEG", progressive=True),
        saved(scene, "JPEG", restart_marker_blocks=1, exif=exif),
    ]
    labels = [saved(ids, form) for form in ("PNG", "TIFF", "BMP", "PPM")]
    labels += [grey(depth) for depth in (1, 2, 4, 8, 16)]
    labels += [saved(ids.astype(np.uint16), "PNG"), stream.getvalue()]
    return images, [*labels, array.getvalue()]


def mutate(
    whole: bytes, random: Random, letters: bytes = bytes(range(256))
) -> bytes:
    """Returns a file with a few things wrong, new bytes among `letters`."""
    changed = bytearray(whole)
    for _ in range(random.choice([1, 1, 2, 3])):
        if not changed:
            break
        place = int(random.integers(len(changed)))
        length = int(random.choice([1, 1, 2, 4, 64]))
        piece = slice(place, place + length)
        match random.choice(7, p=[0.3, 0.3, 0.1, 0.1, 0.1, 0.05, 0.05]):
            case 0 if len(letters) == 256:
                changed[place] ^= 1 << int(random.integers(8))
            case 0 | 1:
                changed[place] = int(random.choice([*letters]))
            case 2:
                del changed[piece]
            case 3:
                changed[piece] = changed[piece] * 2
            case 4:
                changed[piece] = bytes(len(changed[piece]))
            case 5:
                changed[piece] = bytes(
                    random.choice([*letters], len(changed[piece])).tolist()
                )
            case _:
                del changed[place:]
    if changed.startswith(b"\x89PNG") and random.random() < 0.7:
        return with_checksums(bytes(changed))
    return bytes(changed)


def with_checksums(encoded: bytes) -> bytes:
    """Makes a PNG's checksums right, so that what is wrong gets further."""
    place, written = 8, encoded[:8]
    while place + 12 <= len(encoded):
        (length,) = struct.unpack_from(">I", encoded, place)
        body = encoded[place + 4 : place + 8 + length]
        written += encoded[place : place + 4] + body
        written += struct.pack(">I", zlib.crc32(body))
        place += 12 + length
    return written + encoded[place:]


def refused(error: Exception, named: str = "") -> Outcome:
    """Checks that a refusal is one sentence, which names a file."""
    text = str(error)
    assert text, "an empty refusal"
    assert named in text, text
    assert "\n" not in text, text
    assert "Traceback" not in text, text
    return "refused"


def try_image(image: bytes, label: bytes) -> Outcome:
    """Tries an image beside a good label."""
    try:
        checked = check_pair(image, label, CAMVID)
    except DataError as error:
        return refused(error)
    pixels = tf.io.decode_image(checked.image, 3, expand_animations=False)
    assert pixels.shape == (checked.height, checked.width, 3)
    upright = decode_upright(image).numpy()
    if checked.image_format == "png" and image.startswith(b"\x89PNG"):
        own = Image.open(io.BytesIO(checked.image))
        if own.mode in ("L", "RGB", "RGBA"):
            expected = np.asarray(own.convert("RGB"))
            np.testing.assert_array_equal(pixels, expected)
        np.testing.assert_array_equal(pixels, upright)
    assert upright.shape == pixels.shape
    return "passed"


def try_label(image: bytes, label: bytes) -> Outcome:
    """Tries a label beside a good image."""
    try:
        checked = check_pair(image, label, CAMVID)
    except DataError as error:
        return refused(error)
    ids = tf.io.decode_png(checked.label, 1).numpy()[..., 0]
    counts = np.bincount(np.minimum(ids, 11).ravel(), minlength=12)
    assert tuple(counts) == checked.counts
    if label.startswith(b"\x89PNG") and label[25] == 0:  # grey
        depth = label[24]
        wide = tf.io.decode_png(label, 1, tf.uint16).numpy()[..., 0]
        step = 65535 // (2**depth - 1)
        np.testing.assert_array_equal(ids, wide // step)
    return "passed"


DESCRIPTION = b"""dataset: yard
classes: {void: 255, classes: [road, {name: person, group: 2}]}
images: img/{drive}/{name}.png
labels: ['lab/{drive}/{name:[a-z]{1,9}}.png', "lab/{drive}/{name}.tif"]
drives: {val: [07, 08], test: 2011_09_26}
ids: {0: void, 1: road, 2: person, -1: &x void, 300: *x}
bits: 16
divisor: 1
"""
GROUND = b"""classes: [road, person, sky]
values:
- [0.0, 1.0, 0.5]
- [1.5, 0, 1]
- [0.5, 1e-1, 0]
"""


def tries(folder: Path) -> list[Callable[[Random], Outcome]]:
    """Returns a function for each kind of input."""
    images, labels = seeds()
    good_label = saved(np.full(SIZE, 3, np.uint8), "PNG")
    for drive in ("07", "08", "2011_09_26", "north"):
        for part in ("img", "lab"):
            (folder / part / drive).mkdir(parents=True)
            (folder / part / drive / "a.png").write_bytes(good_label)
    checked = check_pair(images[0], good_label, CAMVID)
    record = serialise(Pair("a", "a", "a", "train", "a", "a"), checked)

    def any_of(seeds: list[bytes], random: Random) -> bytes:
        return mutate(seeds[int(random.integers(len(seeds)))], random)

    def description(random: Random) -> Outcome:
        path = folder / "described.yaml"
        letters = TEXT if random.random() < 0.8 else bytes(range(256))
        path.write_bytes(mutate(DESCRIPTION, random, letters))
        try:
            find_pairs(str(path), str(folder))
        except ValueError as error:  # DataError is one
            return refused(error)
        return "passed"

    def ground(random: Random) -> Outcome:
        is_yaml = bool(random.integers(2))
        whole = GROUND if is_yaml else b"a,b,c\n0,1,2\n1,0,3\n2,3,0\n"
        path = folder / "ground"
        path.write_bytes(mutate(whole, random, TEXT))
        read = GroundMatrix.from_yaml if is_yaml else GroundMatrix.from_csv
        try:
            read(str(path))
        except ValueError as error:
            return refused(error)
        return "passed"

    def example(random: Random) -> Outcome:
        path = folder / "records"
        inside = bool(random.integers(2))  # past the checksums of the file
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(mutate(record, random) if inside else record)
        if not inside:
            path.write_bytes(mutate(path.read_bytes(), random))
        try:
            with naming_damage(str(path)):
                for each in read_records(str(path), ""):
                    image, label = decode(each)
                    assert (image.ndim, label.ndim) == (3, 2)
        except DataError as error:
            return refused(error, str(path))
        return "passed"

    return [
        lambda random: try_image(any_of(images, random), good_label),
        lambda random: try_label(images[0], any_of(labels, random)),
        description,
        ground,
        example,
    ]


def fuzz(count: int, seed: int = 0) -> Counter[tuple[int, Outcome]]:
    """Tries so many inputs.

    Args:
        count: How many; an input follows from `seed` and its number.
        seed: Another seed gives other inputs.

    Returns:
        How many of each kind were refused, and passed.

    Raises:
        AssertionError: If one was not told in a sentence, was read wrongly,
            or took too much.
    """
    found: Counter[tuple[int, Outcome]] = Counter()
    before = peak_megabytes()
    with tempfile.TemporaryDirectory() as folder:
        kinds = tries(Path(folder))
        for number in range(count):
            kind = number % len(kinds)
            started = time.monotonic()
            try:
                outcome = kinds[kind](np.random.default_rng([seed, number]))
            except Exception as error:  # of whatever kind
                raise AssertionError(
                    f"input {number} of seed {seed}: {type(error).__name__}: "
                    f"{error}"
                ) from error
            taken = time.monotonic() - started
            assert taken < MOST_SECONDS, f"input {number}: {taken:.1f} s"
            found[kind, outcome] += 1
    more = peak_megabytes() - before
    assert more < MOST_MEGABYTES, f"{more:.0f} MB more"
    return found


def peak_megabytes() -> float:
    """Returns the most memory that this program took so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Prints what became of the inputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = ("images", "labels", "descriptions", "ground matrices", "records")
    found = fuzz(options.count, options.seed)
    for (kind, outcome), number in sorted(found.items()):
        print(f"{names[kind]}: {number} {outcome}")


if __name__ == "__main__":
    main()
