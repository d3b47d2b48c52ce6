"""The target's images, read so that their labels cannot be.

Nothing that predicts, chooses or trains reads the target by another way: the
features of labels are not even parsed, so they may be wrong or absent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from wseg_tf.classes import ClassSet
from wseg_tf.data.checks import DataError
from wseg_tf.data.input import resize, untuned
from wseg_tf.filesystems import matching

TEXTS = ("image/encoded", "image/format", "name", "drive", "dataset")


@dataclass(frozen=True)
class TargetSurvey:
    """One pass over the target.

    Args:
        images: Their number.
        digest: Changes with any image and their order, and with no label.
    """

    images: int
    digest: str


def check_domains(source: ClassSet, target: ClassSet) -> None:
    """Refuses two domains that name different classes.

    Args:
        source: The class set of the source's labels.
        target: The class set that the target is judged by.

    Raises:
        ValueError: If names, their order or void differ.

    Example:

    >>> from wseg_tf import CAMVID, CITYSCAPES
    >>> check_domains(CITYSCAPES, CAMVID)
    Traceback (most recent call last):
        ...
    ValueError: Invalid domains. Expected the same classes in the same order
    in both. Received: `cityscapes` (19 classes) and `camvid` (11 classes).
    """
    if (source.names, source.void) != (target.names, target.void):
        raise ValueError(
            "Invalid domains. Expected the same classes in the same order in "
            f"both. Received: `{source.name}` ({len(source)} classes) and "
            f"`{target.name}` ({len(target)} classes)."
        )


def parse_image(serialised: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses what a record says of its image, and nothing of its label.

    Args:
        serialised: A scalar string tensor, a record of `wseg_tf.data.records`
            or one that lacks its label.

    Returns:
        Scalar tensors: the encoded image, its format, and its names.
    """
    spec = {key: tf.io.FixedLenFeature([], tf.string) for key in TEXTS}
    return dict(tf.io.parse_single_example(serialised, spec))


def read_images(
    files: str | Sequence[str], compression: str = ""
) -> tf.data.Dataset:
    """Reads the target's images from record files, in order.

    Args:
        files: Record files.
        compression: `""`, `"GZIP"` or `"ZLIB"`.

    Returns:
        A dataset of what `parse_image` returns.
    """
    files = [files] if isinstance(files, str) else list(files)
    dataset = tf.data.TFRecordDataset(files, compression_type=compression)
    return untuned(
        dataset.map(parse_image, num_parallel_calls=tf.data.AUTOTUNE)
    )


def find_files(patterns: str | Sequence[str]) -> list[str]:
    """Returns record files by their patterns, in order.

    Args:
        patterns: File patterns.

    Returns:
        Paths.

    Raises:
        DataError: If a pattern matches none.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    files: list[str] = []
    for pattern in patterns:
        found = matching(pattern)
        if not found:
            raise DataError(f"{pattern}: no such record files.")
        files += found
    return files


def survey_images(images: tf.data.Dataset) -> TargetSurvey:
    """Counts the target's images, and marks which they are.

    Args:
        images: What `read_images` returned.

    Returns:
        What was found.
    """
    marks = images.map(
        lambda each: tf.strings.to_hash_bucket_fast(
            each["image/encoded"], 2**62
        )
    )
    digest, count = hashlib.sha256(), 0
    for mark in marks.as_numpy_iterator():
        digest.update(mark.tobytes())
        count += 1
    return TargetSurvey(count, digest.hexdigest())


def prepare_image(
    features: dict[str, tf.Tensor], size: tuple[int, int]
) -> dict[str, tf.Tensor]:
    """Decodes an image at the size the network sees.

    Args:
        features: What `parse_image` returned.
        size: Height and width of the result, pixels.

    Returns:
        The features; `image`, uint8 `[H, W, 3]`, is what training sees of it,
        and `image/encoded` encodes just that.
    """
    given = features["image/encoded"]
    decoded = tf.io.decode_image(given, channels=3, expand_animations=False)
    decoded.set_shape([None, None, 3])
    shape = tf.shape(decoded)[:2]
    image, _ = resize(decoded, tf.zeros(shape, tf.uint8), size)
    is_same = tf.reduce_all(shape == tf.constant(size))
    encoded, form = tf.cond(
        is_same,
        lambda: (given, features["image/format"]),
        lambda: (tf.io.encode_png(image, compression=1), tf.constant("png")),
    )
    return {
        **features,
        "image": image,
        "image/encoded": encoded,
        "image/format": form,
    }
