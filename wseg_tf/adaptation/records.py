"""The record of a pseudo-labelled image, and of a prediction on the way to it.

A pseudo-labelled record is one of `wseg_tf.data.records`, at the size the
network sees; its label is the pseudo-label, void where no label is taken.
Soft labels have one feature more:

| feature      | type  | what it is                                          |
|--------------|-------|-----------------------------------------------------|
| `label/soft` | bytes | zlib of uint8 planes `[N, H, W]` that sum to 255     |
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.data.checks import encode_labels
from wseg_tf.data.records import decode, feature_spec

LEVELS = "levels"
SOFT = "label/soft"
# Most planes are nearly empty: more effort saves little.
EFFORT = 1


def serialise_prediction(
    features: Mapping[str, Any], levels: npt.NDArray[np.uint16]
) -> bytes:
    """Returns a prediction as it waits for the thresholds.

    Args:
        features: What `prepare_image` returned, as NumPy values.
        levels: Levels `[N, H, W]`.

    Returns:
        A serialised `tf.train.Example`.
    """
    record = tf.train.Example()
    for key, value in features.items():
        if key != "image":
            _add_text(record, key, value)
    _add_integers(record, levels.shape[1:])
    _add_text(record, LEVELS, zlib.compress(levels.tobytes(), EFFORT))
    return _bytes_of(record)


def parse_prediction(
    serialised: bytes, classes: int
) -> tuple[tf.train.Example, npt.NDArray[np.uint16]]:
    """Reads what `serialise_prediction` wrote.

    Args:
        serialised: The record.
        classes: The number of classes, N.

    Returns:
        The example without its levels, and the levels `[N, H, W]`.
    """
    record = tf.train.Example.FromString(serialised)
    features = record.features.feature
    levels = np.frombuffer(
        zlib.decompress(features[LEVELS].bytes_list.value[0]), np.uint16
    )
    size = [features[key].int64_list.value[0] for key in ("height", "width")]
    del features[LEVELS]
    return record, levels.reshape(classes, *size)


def serialise_labelled(
    record: tf.train.Example,
    ids: npt.NDArray[np.uint8],
    units: npt.NDArray[np.uint8] | None,
) -> bytes:
    """Returns the record of an image with its pseudo-label.

    Args:
        record: What `parse_prediction` returned; it is changed.
        ids: Class ids `[H, W]`, void where no label is taken.
        units: Soft labels `[N, H, W]` of `to_units`, or None.

    Returns:
        A serialised `tf.train.Example`.
    """
    label = encode_labels(ids)
    image = record.features.feature["image/encoded"].bytes_list.value[0]
    checksum = hashlib.sha256(image + label).hexdigest()
    _add_text(record, "label/encoded", label)
    _add_text(record, "split", b"train")
    _add_text(record, "checksum", checksum.encode())
    if units is not None:
        _add_text(record, SOFT, zlib.compress(units.tobytes(), EFFORT))
    return _bytes_of(record)


def parse_labelled(serialised: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses a pseudo-labelled record; nothing is decoded.

    Args:
        serialised: A scalar string tensor.

    Returns:
        A scalar tensor for each feature; without soft labels that is empty.
    """
    spec = {
        **feature_spec(),
        SOFT: tf.io.FixedLenFeature([], tf.string, default_value=""),
    }
    return dict(tf.io.parse_single_example(serialised, spec))


def soft_reader(
    classes: int, size: tuple[int, int]
) -> Callable[[dict[str, tf.Tensor]], tuple[tf.Tensor, ...]]:
    """Returns how a record with soft labels is decoded.

    Args:
        classes: The number of classes, N.
        size: Height and width of the records, pixels.

    Returns:
        A function to the image, the class ids and the units `[H, W, N]`, for
        the argument `read` of `training_batches`.
    """

    def read(features: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        image, label = decode(features)
        planes = tf.io.decode_raw(
            tf.io.decode_compressed(features[SOFT], "ZLIB"), tf.uint8
        )
        planes = tf.reshape(planes, [classes, *size])
        return image, label, tf.transpose(planes, [1, 2, 0])

    return read


def _add_text(record: tf.train.Example, key: str, value: bytes) -> None:
    feature = record.features.feature[key].bytes_list
    del feature.value[:]
    feature.value.append(value)


def _add_integers(record: tf.train.Example, size: tuple[int, ...]) -> None:
    for key, value in zip(("height", "width"), size, strict=True):
        record.features.feature[key].int64_list.value.append(value)


def _bytes_of(record: tf.train.Example) -> bytes:
    serialised: bytes = record.SerializeToString(deterministic=True)
    return serialised
