"""Encoded images and labels, decoded so that nothing wrong passes.

Formats are told from the content, never from the name. A decoder's warning is
an error: the pixels behind it are not those that were written. Memory and time
are bounded by `MOST_PIXELS`, whatever a header says.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

from wseg_tf.data import png

MOST_PIXELS = 89_478_485  # Pillow's own limit
# What tf.io.decode_image decodes, too. MPO is a JPEG with a second one in it.
IMAGE_FORMATS = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg"}
LABEL = "a lossless image of class ids, such as a PNG, or a .npy"
LABEL_FORMATS = ("PNG", "TIFF", "BMP", "PPM", "WEBP")
_LOSSLESS_TIFF = {
    "raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate",
    "lzma", "zstd", "group3", "group4", "tiff_ccitt",
}  # fmt: skip
_JPEG_END = b"\xff\xd9"
_JPEG_TAIL = 4096  # bytes; some cameras write a little after the end
_STARTS = (png.START[:4], b"\xff\xd8")
_NUMPY = b"\x93NUMPY"
_ORIENTATION = 0x112
_PHOTOMETRIC, _BITS = 262, 258  # TIFF's tags

# How what is stored becomes what is displayed.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Ids = npt.NDArray[Any]


class DataError(ValueError):
    """Data that cannot be used; the message is one sentence for its owner."""


@dataclass(frozen=True)
class DecodedImage:
    """An image that is whole and upright.

    Args:
        encoded: As it was read; a PNG of the turned image where EXIF said
            that it is displayed turned.
        format: `"png"` or `"jpeg"`.
        size: Width and height, pixels.
        orientation: EXIF's orientation as it was read, 1 to 8.
    """

    encoded: bytes = field(repr=False)
    format: str
    size: tuple[int, int]
    orientation: int


def decode_image(encoded: bytes, name: str) -> DecodedImage:
    """Checks an image to its last pixel, and turns it as EXIF says.

    Args:
        encoded: PNG or JPEG.
        name: Name of the file in messages.

    Returns:
        The `DecodedImage`.

    Raises:
        DataError: If it is not whole, or no 8-bit grey or colour image.
    """
    with _torn(name):
        return _image(encoded, name)


def _image(encoded: bytes, name: str) -> DecodedImage:
    picture = _open(encoded, name)
    if picture.format not in IMAGE_FORMATS:
        raise DataError(
            f"{name}: expected a PNG or JPEG. Found: {picture.format}."
        )
    late_exif = b""
    if picture.format == "PNG":
        contents = _whole_png(encoded, name)
        if contents.header.depth > 8:
            raise DataError(
                f"{name}: expected 8 bits a channel. Found: "
                f"{contents.header.depth}."
            )
        late_exif = contents.late_exif
    else:
        if picture.mode not in ("L", "RGB"):
            raise DataError(
                f"{name}: expected grey or RGB. Found: {picture.mode}."
            )
        _check_jpeg(encoded, name)
    orientation = _orientation(picture, late_exif, name)
    if orientation == 1:
        form = IMAGE_FORMATS[picture.format]
        return DecodedImage(encoded, form, picture.size, 1)
    turned = picture.transpose(_TURNS[orientation])
    turned.info.clear()  # EXIF would turn it again
    return DecodedImage(encode_png(turned), "png", turned.size, orientation)


def decode_label(
    encoded: bytes, name: str, colours: bool = False
) -> tuple[Image.Image | Ids, bool]:
    """Decodes the numbers that a label stores.

    Args:
        encoded: A lossless image, or an array that NumPy saved.
        name: Name of the file in messages.
        colours: Whether pixels are colours, not ids.

    Returns:
        The ids, and whether `encoded` is a grey PNG of just these. A grey
        8-bit picture of them or, of wider ids, an array `[H, W]`; with
        `colours` an array `[H, W, 3]` of red, green and blue.

    Raises:
        DataError: If it is not whole, not lossless, or holds no ids.
    """
    with _torn(name):
        return _label(encoded, name, colours)


def _label(
    encoded: bytes, name: str, colours: bool
) -> tuple[Image.Image | Ids, bool]:
    if encoded.startswith(_NUMPY):
        if colours:
            raise DataError(
                f"{name}: expected a colour label. Found: a NumPy array."
            )
        return _array(encoded, name), False
    picture = _open(encoded, name, LABEL)
    _check_lossless(picture, encoded, name)
    depth = _stored_depth(picture, encoded, name)
    tagged = picture.format == "PNG" and "exif" in picture.info
    turn = _orientation(picture, b"", name) if tagged else 1
    picture.load()
    form = picture.format
    if turn != 1:
        picture = picture.transpose(_TURNS[turn])
    if colours:
        if picture.mode not in ("RGB", "RGBA", "P") or depth > 8:
            raise DataError(
                f"{name}: expected a colour label of 8 bits a channel. Found: "
                f"mode {picture.mode}, {depth} bits."
            )
        return np.asarray(picture.convert("RGB")), False
    if picture.mode.startswith("I"):
        return np.asarray(picture), form == "PNG" and turn == 1
    if picture.mode == "P":  # the index is the id
        return Image.frombytes("L", picture.size, picture.tobytes()), False
    if picture.mode not in ("1", "L"):
        raise DataError(
            f"{name}: expected one channel of class ids. Found: a colour image "
            f"({picture.mode}); map its colours to ids first."
        )
    if depth < 8:  # Pillow stretches what is stored to 0..255
        step = 255 // (2**depth - 1)
        ids = picture.convert("L").point([k // step for k in range(256)])
        return ids, False
    return picture, form == "PNG" and turn == 1


def encode_png(picture: Image.Image) -> bytes:
    """Encodes a picture as a PNG."""
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=4)
    return stream.getvalue()


def _open(
    encoded: bytes, name: str, expected: str = "a PNG or JPEG"
) -> Image.Image:
    """Reads the header alone."""
    if not encoded:
        raise DataError(f"{name}: expected an image. Found: an empty file.")
    try:
        picture = Image.open(io.BytesIO(encoded))
    except UnidentifiedImageError:
        started = encoded.startswith(_STARTS)
        raise DataError(
            f"{name}: expected {expected}. Found: {len(encoded)} bytes of "
            + ("a damaged one." if started else "something else.")
        ) from None
    except Image.DecompressionBombError:
        raise _too_large("more", name) from None
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise _too_large(f"{height}x{width}", name)
    return picture


@contextlib.contextmanager
def _torn(name: str) -> Iterator[None]:
    """Says in a sentence what decoders raise on a torn file: any error."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{name}: expected a whole image. Found: one that ends early or "
            f"is damaged ({reason})."
        ) from None


def _too_large(found: str, name: str) -> DataError:
    return DataError(
        f"{name}: expected an image of at most {MOST_PIXELS} pixels. Found: "
        f"{found}."
    )


def _whole_png(encoded: bytes, name: str) -> png.Contents:
    try:
        contents = png.read_chunks(encoded)
        png.check_rows(contents)
    except png.DamageError as error:
        raise DataError(
            f"{name}: expected a whole image. Found: {error}."
        ) from None
    return contents


def _check_jpeg(encoded: bytes, name: str) -> None:
    """Decodes with warnings as errors: Pillow has none of a hole."""
    if _JPEG_END not in encoded[-_JPEG_TAIL:]:
        raise DataError(f"{name}: expected a whole image. Found: no end.")
    simplejpeg.decode_jpeg(encoded, "GRAY", fastdct=True, strict=True)


def _orientation(picture: Image.Image, late_exif: bytes, name: str) -> int:
    """Returns 1 to 8 as viewers and serving read it, before the pixels."""
    given = picture.info
    shown = _of_exif(given.get("exif", b""))
    others = [_of_exif(late_exif)] if late_exif else []
    if not {"xmp", "XML:com.adobe.xmp", "Raw profile type exif"}.isdisjoint(
        given
    ):
        # What cannot be read turns no image.
        with contextlib.suppress(Exception):
            others.append(picture.getexif().get(_ORIENTATION, 1))
    if any(each not in (shown, 1) for each in others):
        raise DataError(
            f"{name}: expected one orientation, in EXIF before the pixels. "
            "Found: another elsewhere, which some viewers turn by; save it "
            "upright."
        )
    return shown


def _of_exif(encoded: bytes) -> int:
    """Reads what `wseg_tf.data.orientation` reads in a graph."""
    content = encoded.removeprefix(b"Exif\0\0")
    order: Literal["little", "big"]
    order = "little" if content.startswith(b"II") else "big"

    def number(place: int, size: int) -> int:
        return int.from_bytes(content[place : place + size], order)

    if not content.startswith((b"II", b"MM")):
        return 1
    directory = number(4, 4)
    for entry in range(number(directory, 2)):
        place = directory + 2 + 12 * entry
        size = {3: 2, 4: 4}.get(number(place + 2, 2))
        if number(place, 2) == _ORIENTATION and size:
            found = number(place + 8, size)
            return found if 1 <= found <= 8 else 1
        if place > len(content):
            break
    return 1


def _check_lossless(picture: Image.Image, encoded: bytes, name: str) -> None:
    form, found = picture.format, ""
    if form in ("JPEG", "MPO"):
        found = "a JPEG"
    elif form not in LABEL_FORMATS:
        found = str(form)
    elif form == "WEBP" and not _is_lossless_webp(encoded):
        found = "a lossy WebP"
    elif form == "TIFF":
        compression = picture.info.get("compression")
        if compression not in _LOSSLESS_TIFF:
            found = f"a TIFF compressed by {compression}"
    if found:
        raise DataError(
            f"{name}: expected {LABEL}. Found: {found}, which does not keep "
            "ids."
        )
    if getattr(picture, "n_frames", 1) > 1:
        raise DataError(
            f"{name}: expected one picture. Found: {picture.n_frames}."  # type: ignore[attr-defined]
        )


def _is_lossless_webp(encoded: bytes) -> bool:
    """Whether the pixels are in a lossless chunk, and none in a lossy one."""
    place, kinds = 12, set()
    while place + 8 <= len(encoded):
        kinds.add(encoded[place : place + 4])
        length = int.from_bytes(encoded[place + 4 : place + 8], "little")
        place += 8 + length + length % 2
    return b"VP8L" in kinds and not kinds & {b"VP8 ", b"ALPH", b"ANMF"}


def _stored_depth(picture: Image.Image, encoded: bytes, name: str) -> int:
    """Returns bits a channel; refuses numbers that Pillow would change."""
    if picture.format == "PNG":
        header = _whole_png(encoded, name).header
        return 8 if picture.mode == "P" else header.depth
    if picture.format == "TIFF":
        tags = picture.tag_v2  # type: ignore[attr-defined]
        bits = max(tags.get(_BITS, (1,)))
        if picture.mode in ("1", "L") and tags.get(_PHOTOMETRIC) == 0:
            raise DataError(
                f"{name}: expected ids whose 0 is black. Found: a TIFF whose 0 "
                "is white; save it as a PNG."
            )
        return 8 if picture.mode == "P" else int(bits)
    if picture.format == "PPM" and not (
        encoded.startswith((b"P5", b"P6")) and picture.tile[0][0] == "raw"  # type: ignore[attr-defined]
    ):
        raise DataError(
            f"{name}: expected a binary PGM of 255 levels. Found: another; "
            "save it as a PNG."
        )
    return 1 if picture.mode == "1" else 8


def _array(encoded: bytes, name: str) -> Ids:
    """Reads an array `[H, W]` of integers; its header is not trusted."""
    stream = io.BytesIO(encoded)
    files: Any = np.lib.format
    if files.read_magic(stream) == (1, 0):
        shape, by_columns, kind = files.read_array_header_1_0(stream)
    else:
        shape, by_columns, kind = files.read_array_header_2_0(stream)
    if len(shape) == 3 and shape[2] == 1:
        shape = shape[:2]
    if kind.kind not in "iub" or len(shape) != 2 or 0 in shape:
        raise DataError(
            f"{name}: expected an array [height, width] of integers. Found: "
            f"{list(shape)} of {kind}."
        )
    if shape[0] * shape[1] > MOST_PIXELS:
        raise _too_large(f"{shape[0]}x{shape[1]}", name)
    start = stream.tell()
    expected = shape[0] * shape[1] * kind.itemsize
    if len(encoded) - start != expected:
        raise DataError(
            f"{name}: expected a whole array of {expected} bytes. Found: "
            f"{len(encoded) - start}."
        )
    values = np.frombuffer(encoded, kind, offset=start)
    return values.reshape(shape, order="F" if by_columns else "C")
