"""Encoded images from anybody: what their headers say, and pixels if any.

TensorFlow fails for a whole batch where one image is bad. Here each image has
a sentence of its own, in a graph that needs TensorFlow alone.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from wseg_tf.data.orientation import decode_upright, exif_orientation

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
# Height and width stand after the signature and the first chunk's length,
# name and first four bytes.
PNG_HEIGHT, PNG_WIDTH = 20, 16
FOREIGN = "Expected a PNG or JPEG file. Found another."
BROKEN = "Expected a whole PNG or JPEG file. Found one that cannot be decoded."


def checked_sizes(
    images: tf.Tensor, max_pixels: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads the headers of encoded images; nothing is decoded.

    Args:
        images: Files `[B]`, string.
        max_pixels: Pixels of the largest image that is taken.

    Returns:
        A tuple of heights and widths `[B, 2]`, int32, as the images are
        displayed, and of errors `[B]`,
        string: a sentence, and a size of 0, for what is no PNG or JPEG file or
        is too large; else empty.

    Example:

    >>> png = tf.io.encode_png(tf.zeros([2, 3, 3], tf.uint8))
    >>> sizes, errors = checked_sizes(tf.stack([png, "GIF89a"]), 100)
    >>> sizes.numpy().tolist(), errors.numpy().tolist()[1]
    ([[2, 3], [0, 0]], b'Expected a PNG or JPEG file. Found another.')
    >>> checked_sizes(png[None], 5)[1].numpy()[0]
    b'Expected at most 5 pixels. Found an image of 2 x 3.'
    """

    def check(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        is_png = _starts_with(encoded, PNG)
        is_jpeg = _starts_with(encoded, JPEG)
        unread = tf.constant([0, 0])
        size = tf.case(
            [
                (is_png, lambda: _read(_png_size, encoded, unread)),
                (is_jpeg, lambda: _read(_jpeg_size, encoded, unread)),
            ],
            default=lambda: unread,
        )
        turned = _read(exif_orientation, encoded, tf.constant(1)) > 4
        size = tf.where(turned, size[::-1], size)
        # Not multiplied: the product of two header fields may overflow.
        rows, columns = tf.unstack(tf.cast(size, tf.int64))
        is_read = (rows > 0) & (columns > 0)
        is_small = is_read & (rows <= max_pixels // tf.maximum(columns, 1))
        shown = tf.as_string(rows) + " x " + tf.as_string(columns)
        error = tf.case(
            [
                (~(is_png | is_jpeg), lambda: tf.constant(FOREIGN)),
                (~is_read, lambda: tf.constant(BROKEN)),
                (
                    ~is_small,
                    lambda: (
                        f"Expected at most {max_pixels} pixels. "
                        "Found an image of " + shown + "."
                    ),
                ),
            ],
            default=lambda: tf.constant(""),
        )
        return size * tf.cast(is_small, tf.int32), error

    sizes, errors = tf.map_fn(
        check,
        images,
        fn_output_signature=(
            tf.TensorSpec([2], tf.int32),
            tf.TensorSpec([], tf.string),
        ),
    )
    return sizes, errors


def decoded(encoded: tf.Tensor, error: tf.Tensor) -> tf.Tensor:
    """Decodes a PNG or JPEG file that has no error yet.

    Args:
        encoded: The file, a string scalar.
        error: What `checked_sizes` found of it.

    Returns:
        uint8 `[H, W, 3]`, turned as EXIF says; `[0, 0, 3]` if it has an error
        or is broken.

    Example:

    >>> png = tf.io.encode_png(tf.zeros([2, 3, 3], tf.uint8))
    >>> [decoded(png, each).shape.as_list() for each in ("", "Too large.")]
    [[2, 3, 3], [0, 0, 3]]
    """
    nothing = tf.zeros([0, 0, 3], tf.uint8)
    return tf.cond(
        tf.equal(error, ""),
        lambda: _read(decode_upright, encoded, nothing),
        lambda: nothing,
    )


def _starts_with(encoded: tf.Tensor, signature: bytes) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, len(signature)) == signature


def _png_size(encoded: tf.Tensor) -> tf.Tensor:
    def number(place: int) -> tf.Tensor:
        digits = tf.strings.substr(encoded, place, 4)
        return tf.io.decode_raw(digits, tf.int32, little_endian=False)[0]

    return tf.stack([number(PNG_HEIGHT), number(PNG_WIDTH)])


def _jpeg_size(encoded: tf.Tensor) -> tf.Tensor:
    return tf.image.extract_jpeg_shape(encoded)[:2]


def _read(
    function: Callable[[tf.Tensor], tf.Tensor],
    encoded: tf.Tensor,
    otherwise: tf.Tensor,
) -> tf.Tensor:
    """Returns what a function reads, or something else where it fails.

    A graph can catch no error, but a data set leaves out what has one.
    """
    read = tf.data.Dataset.from_tensors(encoded).map(function).ignore_errors()
    return read.reduce(otherwise, lambda _, found: found)
