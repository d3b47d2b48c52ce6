"""Domains so small that they take a moment: each class is a colour."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.classes import CAMVID
from wseg_tf.data.checks import check_pair, encode_labels
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import parse, serialise

SIZE = (16, 16)
SHIFT = (49.0, 49.0, 49.0)
CENTRES = {3: (70, 70, 70), 0: (160, 160, 160), 8: (60, 160, 60)}
SHARES = (0.5, 0.4, 0.1)


def frame(
    seed: int, shift: tuple[float, ...] = (0.0, 0.0, 0.0)
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Pixels of three classes, normal about their colours, and some void."""
    random = np.random.default_rng(seed)
    chosen = random.choice(3, p=SHARES, size=SIZE)
    label = np.array(list(CENTRES), np.uint8)[chosen]
    colours = np.array(list(CENTRES.values()))[chosen] + shift
    noisy = colours + random.normal(scale=14.0, size=colours.shape)
    label[0, :3] = CAMVID.void
    return np.clip(noisy, 0, 255).astype(np.uint8), label


def record(
    seed: int, shift: tuple[float, ...] = (0.0, 0.0, 0.0), poison: bool = False
) -> bytes:
    """A frame as a record; poisoned, its label is wrong everywhere."""
    image, label = frame(seed, shift)
    if poison:
        label = (label + 5).astype(np.uint8) % 11
    encoded = tf.io.encode_png(image).numpy()
    checked = check_pair(encoded, encode_labels(label), CAMVID)
    pair = Pair(f"{seed}", "image", "label", "train", "drive", "toy")
    return serialise(pair, checked)


def without_label(serialised: bytes) -> bytes:
    """The same record, with nothing that could tell its label."""
    found = tf.train.Example.FromString(serialised)
    for key in ("label/encoded", "checksum", "split", "height", "width"):
        del found.features.feature[key]
    text: bytes = found.SerializeToString(deterministic=True)
    return text


def examples(seeds: range) -> tf.data.Dataset:
    """The source, as `adapt` takes it."""
    texts = [record(seed) for seed in seeds]
    return tf.data.Dataset.from_tensor_slices(texts).map(parse)


def write(path: Path, texts: list[bytes]) -> str:
    """Writes a record file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for text in texts:
            writer.write(text)
    return str(path)


def target_files(folder: Path, texts: list[bytes]) -> list[str]:
    """The target in two files."""
    half = len(texts) // 2
    return [
        write(folder / "target-0", texts[:half]),
        write(folder / "target-1", texts[half:]),
    ]


def pixel_model(classes: int = 11) -> keras.Model:
    """A softmax regression of each pixel's colour."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.layers.Input([None, None, 3]),
            keras.layers.Rescaling(1 / 64, offset=-2),
            keras.layers.Conv2D(classes, 1, name="head"),
        ]
    )
