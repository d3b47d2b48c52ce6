"""The record format: one tf.Example for each checked pair.

| feature          | type  | what it is                                    |
|------------------|-------|-----------------------------------------------|
| `image/encoded`  | bytes | PNG or JPEG, as it was read; a PNG if turned  |
| `image/format`   | bytes | `png` or `jpeg`                               |
| `label/encoded`  | bytes | grey PNG of class ids, of 16 bits where the   |
|                  |       | class set's void is above 255                 |
| `height`,`width` | int64 | size of both, pixels                          |
| `name`           | bytes | name of the frame                             |
| `drive`          | bytes | its drive or city                             |
| `dataset`        | bytes | its dataset                                   |
| `split`          | bytes | its split                                     |
| `checksum`       | bytes | SHA-256 of image and label, hexadecimal       |
| `orientation`    | int64 | EXIF's, 2 to 8, only where the image was      |
|                  |       | turned                                        |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wseg_tf.data.checks import CheckedPair, DataError, check_pair
from wseg_tf.data.pairs import Pair

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = [
    "CheckedPair",
    "DataError",
    "check_pair",
    "decode",
    "example",
    "feature_spec",
    "parse",
    "serialise",
]

STRINGS = (
    "image/encoded",
    "image/format",
    "label/encoded",
    "name",
    "drive",
    "dataset",
    "split",
    "checksum",
)
INTEGERS = ("height", "width")
ORIENTATION = "orientation"
DEPTH = 24  # the place of a PNG's bits a channel


def example(pair: Pair, checked: CheckedPair) -> tf.train.Example:
    """Returns the tf.Example of a pair.

    Args:
        pair: Where the pair belongs.
        checked: What `check_pair` returned for it.

    Returns:
        A `tf.train.Example` in the record format.
    """
    import tensorflow as tf

    values: dict[str, bytes | str] = {
        "image/encoded": checked.image,
        "image/format": checked.image_format,
        "label/encoded": checked.label,
        "name": pair.name,
        "drive": pair.drive,
        "dataset": pair.dataset,
        "split": pair.split,
        "checksum": checked.checksum,
    }
    record = tf.train.Example()
    features = record.features.feature
    for key in STRINGS:
        value = values[key]
        encoded = value.encode() if isinstance(value, str) else value
        features[key].bytes_list.value.append(encoded)
    features["height"].int64_list.value.append(checked.height)
    features["width"].int64_list.value.append(checked.width)
    if checked.orientation != 1:
        features[ORIENTATION].int64_list.value.append(checked.orientation)
    return record


def serialise(pair: Pair, checked: CheckedPair) -> bytes:
    """Returns the record of a pair; equal pairs give equal bytes.

    Args:
        pair: Where the pair belongs.
        checked: What `check_pair` returned for it.

    Returns:
        A serialised `tf.train.Example`.
    """
    record: bytes = example(pair, checked).SerializeToString(deterministic=True)
    return record


def feature_spec() -> dict[str, tf.io.FixedLenFeature]:
    """Returns the record format as `tf.io.parse_example` takes it."""
    import tensorflow as tf

    spec = {key: tf.io.FixedLenFeature([], tf.string) for key in STRINGS}
    for key in INTEGERS:
        spec[key] = tf.io.FixedLenFeature([], tf.int64)
    spec[ORIENTATION] = tf.io.FixedLenFeature([], tf.int64, 1)
    return spec


def parse(serialised: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses one record; nothing is decoded.

    Args:
        serialised: A scalar string tensor.

    Returns:
        A scalar tensor for each feature, by its name.
    """
    import tensorflow as tf

    return dict(tf.io.parse_single_example(serialised, feature_spec()))


def decode(features: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the image and the label of a parsed record.

    Args:
        features: What `parse` returned.

    Returns:
        A tuple of the RGB image, uint8 `[H, W, 3]`, and the class ids
        `[H, W]` of `decode_ids`.
    """
    import tensorflow as tf

    image = tf.io.decode_image(
        features["image/encoded"], channels=3, expand_animations=False
    )
    image.set_shape([None, None, 3])
    return image, decode_ids(features["label/encoded"])


def decode_ids(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes the class ids of a record's label, whatever their depth.

    Args:
        encoded: A grey PNG of 8 or 16 bits, a string scalar.

    Returns:
        Class ids `[H, W]`: uint8, or uint16 of 16 bits; in a graph, where it
        is not known before, always uint16.
    """
    import tensorflow as tf

    def decoded(dtype: tf.DType) -> tf.Tensor:
        return tf.io.decode_png(encoded, channels=1, dtype=dtype)[..., 0]

    is_wide = tf.strings.substr(encoded, DEPTH, 1) == b"\x10"
    if tf.executing_eagerly():
        return decoded(tf.uint16 if is_wide else tf.uint8)
    return tf.cond(
        is_wide,
        lambda: decoded(tf.uint16),
        # Decoded as 16 bits, 8 would be stretched.
        lambda: tf.cast(decoded(tf.uint8), tf.uint16),
    )
