"""EXIF's orientation in a graph: serving turns images as ingest does.

A camera that was held upright stores rows as columns, and says so in EXIF;
viewers turn what they show, and labels are drawn on that. Ingest turns such
images once. What is served turns each request, by TensorFlow alone.
"""

from __future__ import annotations

import tensorflow as tf

_ORIENTATION = 0x112
_SHORT, _LONG = 3, 4  # EXIF's types of numbers
_MOST_SEGMENTS = 1000


def decode_upright(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes an image as viewers display it.

    Args:
        encoded: PNG or JPEG, a scalar string.

    Returns:
        RGB, uint8 `[H, W, 3]`.
    """
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image = tf.ensure_shape(image, [None, None, 3])
    orientation = exif_orientation(encoded)
    return tf.cond(
        orientation > 1, lambda: _turned(image, orientation), lambda: image
    )


def exif_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Reads EXIF's orientation, where it stands before the pixels.

    Args:
        encoded: PNG or JPEG, a scalar string.

    Returns:
        1 to 8, int32; 1, as it is stored, where there is none.
    """
    is_jpeg = _piece(encoded, 0, 2) == b"\xff\xd8"
    start = tf.cond(
        is_jpeg, lambda: _find_in_jpeg(encoded), lambda: _find_in_png(encoded)
    )
    return tf.cond(
        start > 0, lambda: _of_exif(encoded, start), lambda: tf.constant(1)
    )


def _find_in_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """Returns where EXIF's data start in a JPEG, or 0."""

    def step(place: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        first, kind, high, low = tf.unstack(_bytes(encoded, place, 4))
        is_exif = (kind == 0xE1) & (
            _piece(encoded, place + 4, 6) == b"Exif\0\0"
        )
        is_end = (first != 0xFF) | (kind == 0xDA) | (kind == 0xD9)
        # Any number of fill bytes may stand before a marker.
        length = tf.where(kind == 0xFF, 1, 2 + 256 * high + low)
        return (
            tf.where(is_end | is_exif, -1, place + length),
            tf.where(is_exif & ~is_end, place + 10, 0),
        )

    return _walk(step, 2)


def _find_in_png(encoded: tf.Tensor) -> tf.Tensor:
    """Returns where EXIF's data start in a PNG, or 0."""

    def step(place: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        length = _number(_bytes(encoded, place, 4), False)
        kind = _piece(encoded, place + 4, 4)
        is_exif = kind == b"eXIf"
        is_end = (kind == b"IDAT") | (kind == b"") | (length < 0)
        return (
            tf.where(is_end | is_exif, -1, place + 12 + length),
            tf.where(is_exif, place + 8, 0),
        )

    return _walk(step, 8)


def _walk(step: object, first: int) -> tf.Tensor:
    """Goes from segment to segment until one is found or none is left."""
    _, found = tf.while_loop(
        lambda place, found: (place >= 0) & (found == 0),
        step,
        (tf.constant(first), tf.constant(0)),
        maximum_iterations=_MOST_SEGMENTS,
    )
    return found


def _of_exif(encoded: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    order = _piece(encoded, start, 2)
    little = order == b"II"
    directory = start + _number(_bytes(encoded, start + 4, 4), little)
    count = _number(_bytes(encoded, directory, 2), little)
    entries = tf.reshape(_bytes(encoded, directory + 2, 12 * count), [-1, 12])
    tags = _number(entries[:, :2], little)
    kinds = _number(entries[:, 2:4], little)
    values = tf.where(
        kinds == _SHORT,
        _number(entries[:, 8:10], little),
        _number(entries[:, 8:12], little),
    )
    is_given = (tags == _ORIENTATION) & ((kinds == _SHORT) | (kinds == _LONG))
    value = tf.reduce_max(tf.where(is_given, values, 0))
    is_known = (value >= 1) & (value <= 8) & (little | (order == b"MM"))
    return tf.where(is_known, value, 1)


def _turned(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    def one_of(*those: int) -> tf.Tensor:
        return tf.reduce_any(orientation == tf.constant(those))

    image = tf.cond(
        orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image
    )
    image = tf.cond(one_of(3, 4, 7, 8), lambda: image[::-1], lambda: image)
    return tf.cond(one_of(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)


def _piece(
    encoded: tf.Tensor, place: tf.Tensor | int, length: tf.Tensor | int
) -> tf.Tensor:
    """Returns some bytes; fewer where the file ends."""
    end = tf.strings.length(encoded)
    place = tf.clip_by_value(place, 0, end)
    return tf.strings.substr(encoded, place, tf.minimum(length, end - place))


def _bytes(
    encoded: tf.Tensor, place: tf.Tensor | int, length: tf.Tensor | int
) -> tf.Tensor:
    """Returns as many bytes as asked for, int32; zeros behind the end."""
    found = tf.io.decode_raw(_piece(encoded, place, length), tf.uint8)
    found = tf.pad(found, [[0, length - tf.size(found)]])
    return tf.ensure_shape(
        tf.cast(found, tf.int32), [length if isinstance(length, int) else None]
    )


def _number(digits: tf.Tensor, little: tf.Tensor | bool) -> tf.Tensor:
    """Returns numbers of their bytes `[..., n]`."""
    digits = tf.where(little, digits[..., ::-1], digits)
    powers = tf.constant([256**k for k in range(4)][::-1], tf.int32)
    return tf.reduce_sum(digits * powers[-digits.shape[-1] :], axis=-1)
