"""Checks of one image and its label, before anything is trained on them.

Needs NumPy and Pillow alone, so that Beam workers start fast.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from wseg_tf.classes import ClassSet, Colour

# What tf.io.decode_image decodes, too.
IMAGE_FORMATS = ("PNG", "JPEG")
_LONGEST_LIST = 5
_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_START = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_JPEG_TAIL = 4096  # bytes; some cameras write a little after the end

Labels = npt.NDArray[np.uint8]


class DataError(ValueError):
    """Data that cannot be used; the message is one sentence for its owner."""


@dataclass(frozen=True)
class CheckedPair:
    """An image and its label that passed every check.

    Args:
        image: The encoded image, as it was read.
        image_format: `"png"` or `"jpeg"`, from the content.
        label: The class ids as a grey PNG; as read where nothing needed a
            change.
        height: Height of both, pixels.
        width: Width of both, pixels.
        counts: Pixels per class id, and last the void pixels.
        checksum: SHA-256 of image and label together, hexadecimal.
    """

    image: bytes
    image_format: str
    label: bytes
    height: int
    width: int
    counts: tuple[int, ...]
    checksum: str


def check_pair(
    image_bytes: bytes,
    label_bytes: bytes,
    classes: ClassSet,
    id_map: Mapping[int, int] | None = None,
    colour_map: Mapping[Colour, int] | None = None,
    image_name: str = "image",
    label_name: str = "label",
) -> CheckedPair:
    """Checks that an image and its label can be trained on.

    Both decode to their last pixel, have one size, and the label holds ids of
    `classes` or void, not void alone. Formats are told from the content, not
    from the name: a JPEG named `.png` is a good image, but never a label,
    since JPEG does not keep ids.

    Args:
        image_bytes: The encoded image, PNG or JPEG.
        label_bytes: The encoded label, a lossless 8-bit image.
        classes: The classes that ids are checked against.
        id_map: Class id or void for each id in the file. Defaults to the ids
            of `classes` and its void, as they are.
        colour_map: Class id or void for each RGB colour in the file, where a
            label is a colour image. Excludes `id_map`.
        image_name: Name of the image in messages, e.g. its path.
        label_name: Name of the label in messages.

    Returns:
        The `CheckedPair`.

    Raises:
        DataError: If a check fails; names the file, what was expected and
            what was found.
    """
    image_format, size = _check_image(image_bytes, image_name)
    picture = _decode(label_bytes, label_name)
    if picture.size != size:
        raise DataError(
            f"{label_name}: expected the size of its image, "
            f"{size[0]}x{size[1]}. Found: "
            f"{picture.size[0]}x{picture.size[1]}."
        )
    if picture.format == "JPEG":
        raise DataError(
            f"{label_name}: expected a PNG of class ids. Found: a JPEG, which "
            "does not keep ids."
        )
    if colour_map is None:
        grey = _ids(picture, label_name)
        present = grey.histogram()
        table = _table(present, classes, id_map, label_name)
        unchanged = picture.format == "PNG" and picture.mode == "L"
        if any(present[k] and table[k] != k for k in range(256)):
            grey, unchanged = grey.point(table), False
    else:
        ids = _map_colours(picture, classes, colour_map, label_name)
        grey, unchanged = Image.fromarray(ids), False
        present, table = grey.histogram(), list(range(256))
    counts = [0] * (len(classes) + 1)
    for value, target in zip(present, table, strict=True):
        counts[min(target, len(classes))] += value
    if counts[-1] == sum(counts):
        raise DataError(
            f"{label_name}: expected at least one labelled pixel. Found: void "
            f"({classes.void}) everywhere."
        )
    label = label_bytes if unchanged else _encode(grey)
    digest = hashlib.sha256(image_bytes)
    digest.update(label)
    return CheckedPair(
        image=image_bytes,
        image_format=image_format,
        label=label,
        height=size[1],
        width=size[0],
        counts=tuple(counts),
        checksum=digest.hexdigest(),
    )


def check_image(
    image_bytes: bytes, classes: ClassSet, image_name: str = "image"
) -> CheckedPair:
    """Checks an image that has no label: its label is void everywhere.

    Args:
        image_bytes: The encoded image, PNG or JPEG.
        classes: The classes, for void.
        image_name: Name of the image in messages, e.g. its path.

    Returns:
        The `CheckedPair`.

    Raises:
        DataError: If the check fails; names the file, what was expected and
            what was found.
    """
    image_format, (width, height) = _check_image(image_bytes, image_name)
    label = encode_labels(np.full((height, width), classes.void, np.uint8))
    return CheckedPair(
        image=image_bytes,
        image_format=image_format,
        label=label,
        height=height,
        width=width,
        counts=(*[0] * len(classes), height * width),
        checksum=hashlib.sha256(image_bytes + label).hexdigest(),
    )


def encode_labels(ids: Labels) -> bytes:
    """Encodes class ids `[H, W]` as a grey PNG."""
    return _encode(Image.fromarray(ids))


def _encode(grey: Image.Image) -> bytes:
    stream = io.BytesIO()
    grey.save(stream, "PNG", compress_level=4)
    return stream.getvalue()


def _decode(encoded: bytes, name: str) -> Image.Image:
    """Decodes to the last pixel: opening alone would miss a torn file."""
    if not encoded:
        raise DataError(f"{name}: expected an image. Found: an empty file.")
    try:
        picture = Image.open(io.BytesIO(encoded))
        picture.load()
    except UnidentifiedImageError:
        started = encoded.startswith((_PNG_START[:4], _JPEG_START))
        raise DataError(
            f"{name}: expected a PNG or JPEG. Found: {len(encoded)} bytes of "
            + ("a damaged one." if started else "something else.")
        ) from None
    except Image.DecompressionBombError:
        raise DataError(
            f"{name}: expected an image of at most "
            f"{2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels. Found: more."
        ) from None
    except Exception as error:  # Pillow raises many kinds on a torn file
        raise DataError(
            f"{name}: expected a whole image. Found: one that ends early or "
            f"is damaged ({error})."
        ) from None
    _check_whole(encoded, picture.format, name)
    return picture


def _check_whole(encoded: bytes, image_format: str | None, name: str) -> None:
    """Finds what Pillow lets pass: a missing end, a chunk that was altered."""
    if image_format == "JPEG" and _JPEG_END not in encoded[-_JPEG_TAIL:]:
        raise DataError(f"{name}: expected a whole image. Found: no end.")
    if image_format != "PNG":
        return
    place, chunk = len(_PNG_START), b""
    while chunk != b"IEND":
        length = int.from_bytes(encoded[place : place + 4], "big")
        chunk = encoded[place + 4 : place + 8]
        end = place + 8 + length
        if end + 4 > len(encoded):
            raise DataError(f"{name}: expected a whole image. Found: no end.")
        checksum = int.from_bytes(encoded[end : end + 4], "big")
        if zlib.crc32(memoryview(encoded)[place + 4 : end]) != checksum:
            raise DataError(
                f"{name}: expected a whole image. Found: damage after byte "
                f"{place}."
            )
        place = end + 4


def _check_image(encoded: bytes, name: str) -> tuple[str, tuple[int, int]]:
    picture = _decode(encoded, name)
    if picture.format not in IMAGE_FORMATS:
        raise DataError(
            f"{name}: expected a PNG or JPEG. Found: {picture.format}."
        )
    if picture.mode.startswith(("I", "F")):
        raise DataError(
            f"{name}: expected 8 bits a channel. Found: mode {picture.mode}."
        )
    if picture.mode == "CMYK":
        raise DataError(f"{name}: expected grey or RGB. Found: CMYK.")
    return picture.format.lower(), picture.size


def _ids(picture: Image.Image, name: str) -> Image.Image:
    """Returns the ids of a label as a grey picture."""
    if picture.mode.startswith("I"):
        raise DataError(
            f"{name}: expected 8-bit class ids. Found: a 16-bit image."
        )
    if picture.mode == "L":
        return picture
    if picture.mode == "P":  # the index is the id
        return Image.frombytes("L", picture.size, picture.tobytes())
    if picture.mode == "1":
        return picture.point([0, 1] * 128, "L")
    raise DataError(
        f"{name}: expected one channel of class ids. Found: a colour image "
        f"({picture.mode}); map its colours to ids first."
    )


def _table(
    present: list[int],
    classes: ClassSet,
    id_map: Mapping[int, int] | None,
    name: str,
) -> list[int]:
    """Returns what each id becomes; refuses ids that become nothing."""
    if id_map is None:
        id_map = {k: k for k in (*range(len(classes)), classes.void)}
        expected = f"0..{len(classes) - 1} or void {classes.void}"
    else:
        expected = f"one of the {len(id_map)} ids of the map"
    unknown = [k for k in range(256) if present[k] and k not in id_map]
    if unknown:
        shown = ", ".join(map(str, unknown[:_LONGEST_LIST]))
        more = len(unknown) - _LONGEST_LIST
        shown += f" and {more} others" if more > 0 else ""
        raise DataError(
            f"{name}: expected class ids {expected} ({classes.name}). "
            f"Found: {shown}."
        )
    return [id_map.get(k, classes.void) for k in range(256)]


def _map_colours(
    picture: Image.Image,
    classes: ClassSet,
    colour_map: Mapping[Colour, int],
    name: str,
) -> Labels:
    if picture.mode not in ("RGB", "RGBA", "P"):
        raise DataError(
            f"{name}: expected a colour label. Found: mode {picture.mode}."
        )
    red, green, blue = np.moveaxis(
        np.asarray(picture.convert("RGB"), np.int32), -1, 0
    )
    packed = (red << 16) | (green << 8) | blue
    colours, place = np.unique(packed, return_inverse=True)
    table = np.empty(len(colours), np.uint8)
    for index, value in enumerate(int(value) for value in colours):
        colour = (value >> 16, (value >> 8) & 255, value & 255)
        if colour not in colour_map:
            raise DataError(
                f"{name}: expected one of the {len(colour_map)} label colours "
                f"({classes.name}). Found: {colour}."
            )
        table[index] = colour_map[colour]
    return table[place].reshape(packed.shape)
