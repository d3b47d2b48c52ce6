"""The record of a pseudo-labelled image, and of a prediction on the way to it.

A pseudo-labelled record is one of `wseg_tf.data.records`, at the size the
network sees; its label is the pseudo-label, void where no label is taken.
Soft labels have one feature more:

| feature      | type  | what it is                                           |
|--------------|-------|------------------------------------------------------|
| `label/soft` | bytes | zlib of uint8 `[N, kept]` whose columns sum to 255:  |
|              |       | the labels of the pixels that are not void, in order |

A prediction waits as its record without a label, and its levels as they are:
whatever makes them smaller takes longer than the disk.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from wseg_tf.adaptation.pseudo_labels import Ids, Levels, Units
from wseg_tf.data.records import decode, feature_spec

SOFT = "label/soft"
LENGTH = 8  # bytes of a number in a file of predictions


def write_prediction(
    file: tf.io.gfile.GFile, features: Mapping[str, Any], levels: Levels
) -> None:
    """Writes a prediction as it waits for the thresholds.

    Args:
        file: An open file.
        features: What `prepare_image` returned, as NumPy values.
        levels: Levels `[N, H, W]`.
    """
    record = tf.train.Example()
    for key, value in features.items():
        if key != "image":
            _set_text(record, key, value)
    for key, value in zip(("height", "width"), levels.shape[1:], strict=True):
        record.features.feature[key].int64_list.value.append(value)
    text = _bytes_of(record)
    file.write(len(text).to_bytes(LENGTH, "little") + text)
    file.write(levels.tobytes())


def read_predictions(
    path: str, classes: int
) -> Iterator[tuple[tf.train.Example, Levels]]:
    """Reads what `write_prediction` wrote, one at a time.

    Args:
        path: The file.
        classes: The number of classes, N.

    Yields:
        The example without its levels, and the levels `[N, H, W]`.
    """
    with tf.io.gfile.GFile(path, "rb") as file:
        while length := file.read(LENGTH):
            text = file.read(int.from_bytes(length, "little"))
            record = tf.train.Example.FromString(text)
            found = record.features.feature
            height, width = (
                found[key].int64_list.value[0] for key in ("height", "width")
            )
            shape = (classes, height, width)
            number = int(np.prod(shape)) * np.dtype(np.uint16).itemsize
            levels = np.frombuffer(file.read(number), np.uint16)
            yield record, levels.reshape(shape)


def serialise_labelled(
    record: tf.train.Example, ids: Ids, units: Units | None
) -> bytes:
    """Returns the record of an image with its pseudo-label.

    Args:
        record: What `read_predictions` yielded; it is changed.
        ids: Class ids `[H, W]`, void where no label is taken.
        units: Soft labels `[N, kept]` of `to_units`, or None.

    Returns:
        A serialised `tf.train.Example`.
    """
    label = tf.io.encode_png(ids[..., np.newaxis], compression=1).numpy()
    image = record.features.feature["image/encoded"].bytes_list.value[0]
    checksum = hashlib.sha256(image + label).hexdigest()
    _set_text(record, "label/encoded", label)
    _set_text(record, "split", b"train")
    _set_text(record, "checksum", checksum.encode())
    if units is not None:
        _set_text(record, SOFT, _deflate(units))
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
    classes: int, void: int
) -> Callable[[dict[str, tf.Tensor]], tuple[tf.Tensor, ...]]:
    """Returns how a record with soft labels is decoded.

    Args:
        classes: The number of classes, N.
        void: Label of a pixel without a soft label.

    Returns:
        A function to the image, the class ids and the units `[H, W, N]`, zeros
        at void pixels, for the argument `read` of `training_batches`.
    """

    def read(features: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        image, label = decode(features)
        kept = tf.io.decode_raw(
            tf.io.decode_compressed(features[SOFT], "ZLIB"), tf.uint8
        )
        rows = tf.transpose(tf.reshape(kept, [classes, -1]))
        shape = tf.concat([tf.shape(label), [classes]], 0)
        places = tf.cast(tf.where(label != void), tf.int32)
        units = tf.tensor_scatter_nd_update(
            tf.zeros(shape, tf.uint8), places, rows
        )
        return image, label, units

    return read


def _deflate(units: Units) -> bytes:
    # Runs are all there is to find in labels, and quickly found.
    packer = zlib.compressobj(1, zlib.DEFLATED, strategy=zlib.Z_RLE)
    return packer.compress(units.tobytes()) + packer.flush()


def _set_text(record: tf.train.Example, key: str, value: bytes) -> None:
    feature = record.features.feature[key].bytes_list
    del feature.value[:]
    feature.value.append(value)


def _bytes_of(record: tf.train.Example) -> bytes:
    serialised: bytes = record.SerializeToString(deterministic=True)
    return serialised
