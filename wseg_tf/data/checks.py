"""Checks of one image and its label, before anything is trained on them.

Needs NumPy, Pillow and simplejpeg alone, so that Beam workers start fast.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from wseg_tf.classes import ClassSet, Colour
from wseg_tf.data.decoding import (
    DataError,
    Ids,
    decode_image,
    decode_label,
    encode_png,
)

__all__ = [
    "CheckedPair",
    "DataError",
    "check_image",
    "check_pair",
    "encode_labels",
]

_LONGEST_LIST = 5

Labels = npt.NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True)
class CheckedPair:
    """An image and its label that passed every check.

    Args:
        image: The encoded image, as it was read; a PNG of it, turned, where
            EXIF said that it is displayed turned.
        image_format: `"png"` or `"jpeg"`, from the content.
        label: The class ids as a grey PNG, of 16 bits where `void` takes
            them; as read where nothing needed a change.
        height: Height of both, pixels.
        width: Width of both, pixels.
        counts: Pixels per class id, and last the void pixels.
        checksum: SHA-256 of image and label together, hexadecimal.
        orientation: EXIF's orientation of the image that was read, 1 to 8;
            above 1 it was turned.
    """

    image: bytes
    image_format: str
    label: bytes
    height: int
    width: int
    counts: tuple[int, ...]
    checksum: str
    orientation: int = 1


def check_pair(
    image_bytes: bytes,
    label_bytes: bytes,
    classes: ClassSet,
    id_map: Mapping[int, int] | None = None,
    colour_map: Mapping[Colour, int] | None = None,
    image_name: str = "image",
    label_name: str = "label",
    *,
    panoptic: bool = False,
    divisor: int = 1,
) -> CheckedPair:
    """Checks that an image and its label can be trained on.

    Both decode to their last pixel, without a warning, have one size, and the
    label holds ids of `classes` or void, not void alone. Formats are told from
    the content, not from the name: a JPEG named `.png` is a good image, but
    never a label, since JPEG does not keep ids. Ids are the stored numbers,
    whatever their depth. Images are turned as EXIF says; labels are drawn on
    what is displayed.

    Args:
        image_bytes: The encoded image, PNG or JPEG.
        label_bytes: The encoded label, a lossless image of one channel or an
            array that NumPy saved, `[H, W]`.
        classes: The classes that ids are checked against.
        id_map: Class id or void for each id in the file. Defaults to the ids
            of `classes` and its void, as they are.
        colour_map: Class id or void for each RGB colour in the file, where a
            label is a colour image. Excludes `id_map`.
        image_name: Name of the image in messages, e.g. its path.
        label_name: Name of the label in messages.
        panoptic: Whether ids are stored as R + 256 G + 65536 B.
        divisor: What stored numbers are divided by, rounded down, to give
            ids, where they count instances, too.

    Returns:
        The `CheckedPair`.

    Raises:
        DataError: If a check fails; names the file, what was expected and
            what was found.
    """
    dtype = _dtype(classes, label_name)
    image = decode_image(image_bytes, image_name)
    in_colours = panoptic or colour_map is not None
    stored, as_is = decode_label(label_bytes, label_name, in_colours)
    size = (
        stored.size
        if isinstance(stored, Image.Image)
        else (stored.shape[1], stored.shape[0])
    )
    if size != image.size:
        raise DataError(
            f"{label_name}: expected the size of its image, "
            f"{image.size[1]}x{image.size[0]}. Found: {size[1]}x{size[0]}."
        )
    if colour_map is not None:
        meaning, expected = _of_colours(colour_map, classes)
    else:
        meaning, expected = _of_ids(id_map, classes)
    grey: Image.Image | Labels
    if isinstance(stored, Image.Image) and divisor == 1 and dtype == np.uint8:
        present = stored.histogram()
        values = [k for k in range(256) if present[k]]
        _refuse_unknown(values, meaning, expected, False, label_name)
        table = [meaning.get(k, classes.void) for k in range(256)]
        as_is = as_is and all(table[k] == k for k in values)
        grey = stored if as_is else stored.point(table)
        targets, pixels = table, present
    else:
        ids = _packed(np.asarray(stored), panoptic)
        if divisor != 1:
            ids = ids // divisor
        values, pixels, place = _counted(ids)
        _refuse_unknown(
            values, meaning, expected, colour_map is not None, label_name
        )
        targets = [meaning[k] for k in values]
        grey = place(np.array(targets, dtype))
        # A PNG of 16 bits, which is what a set of many classes keeps.
        as_is = as_is and ids.dtype.itemsize > 1 and dtype != np.uint8
        as_is = as_is and targets == values and divisor == 1
    counts = [0] * (len(classes) + 1)
    for target, number in zip(targets, pixels, strict=True):
        counts[min(target, len(classes))] += number
    if counts[-1] == sum(counts):
        raise DataError(
            f"{label_name}: expected at least one labelled pixel. Found: void "
            f"({classes.void}) everywhere."
        )
    label = label_bytes if as_is else encode_labels(grey)
    digest = hashlib.sha256(image.encoded)
    digest.update(label)
    return CheckedPair(
        image=image.encoded,
        image_format=image.format,
        label=label,
        height=size[1],
        width=size[0],
        counts=tuple(counts),
        checksum=digest.hexdigest(),
        orientation=image.orientation,
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
    image = decode_image(image_bytes, image_name)
    width, height = image.size
    dtype = _dtype(classes, image_name)
    label = encode_labels(np.full((height, width), classes.void, dtype))
    return CheckedPair(
        image=image.encoded,
        image_format=image.format,
        label=label,
        height=height,
        width=width,
        counts=(*[0] * len(classes), height * width),
        checksum=hashlib.sha256(image.encoded + label).hexdigest(),
        orientation=image.orientation,
    )


def encode_labels(ids: Image.Image | Labels) -> bytes:
    """Encodes class ids, a picture or `[H, W]`, as a grey PNG of its depth."""
    grey = ids if isinstance(ids, Image.Image) else Image.fromarray(ids)
    return encode_png(grey)


def _dtype(classes: ClassSet, name: str) -> np.dtype[Any]:
    """Returns what holds each class id and void."""
    if not 0 <= classes.void < 2**16:
        raise DataError(
            f"{name}: expected a void that a label can store, up to 65535 "
            f"({classes.name}). Found: void {classes.void}."
        )
    return np.dtype(classes.label_dtype)


def _counted(
    ids: Ids,
) -> tuple[list[int], list[int], Callable[[Labels], Labels]]:
    """Returns which numbers there are, and how often.

    Third comes what puts other numbers, one for each, in their places.
    """
    if ids.min() < 0 or ids.max() >= 2**16:
        found, place, number = np.unique(
            ids, return_inverse=True, return_counts=True
        )
        places = place.reshape(ids.shape)
        return found.tolist(), number.tolist(), lambda given: given[places]
    narrow = ids.astype(np.uint16, copy=False)  # counted without a sort
    number = np.bincount(narrow.ravel())
    found = np.flatnonzero(number)

    def put(given: Labels) -> Labels:
        table = np.zeros(len(number), given.dtype)
        table[found] = given
        mapped: Labels = table[narrow]
        return mapped

    return found.tolist(), number[found].tolist(), put


def _of_ids(
    id_map: Mapping[int, int] | None, classes: ClassSet
) -> tuple[Mapping[int, int], str]:
    """Returns what ids become, and in words which are expected."""
    if id_map is None:
        own = {k: k for k in (*range(len(classes)), classes.void)}
        words = f"0..{len(classes) - 1} or void {classes.void}"
        return own, f"class ids {words} ({classes.name})"
    return id_map, f"one of the {len(id_map)} ids of the map ({classes.name})"


def _of_colours(
    colour_map: Mapping[Colour, int], classes: ClassSet
) -> tuple[Mapping[int, int], str]:
    packed = {
        red << 16 | green << 8 | blue: target
        for (red, green, blue), target in colour_map.items()
    }
    words = f"one of the {len(colour_map)} label colours"
    return packed, f"{words} ({classes.name})"


def _packed(stored: Ids, panoptic: bool) -> Ids:
    """Returns one number a pixel."""
    if stored.ndim == 2:
        return stored
    first, second, third = np.moveaxis(stored.astype(np.int32), -1, 0)
    if panoptic:
        first, third = third, first
    packed: Ids = first << 16 | second << 8 | third
    return packed


def _refuse_unknown(
    values: Iterable[int],
    meaning: Mapping[int, int],
    expected: str,
    in_colours: bool,
    name: str,
) -> None:
    unknown = [k for k in values if k not in meaning]
    if not unknown:
        return
    shown = ", ".join(
        str((k >> 16, k >> 8 & 255, k & 255)) if in_colours else str(k)
        for k in unknown[:_LONGEST_LIST]
    )
    more = len(unknown) - _LONGEST_LIST
    shown += f" and {more} more" if more > 0 else ""
    raise DataError(f"{name}: expected {expected}. Found: {shown}.")
