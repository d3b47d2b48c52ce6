"""A network, pictures and a fit so small that they take a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wseg_tf.classes import CAMVID
from wseg_tf.data.checks import check_pair, encode_labels
from wseg_tf.data.input import training_batches
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import parse, serialise
from wseg_tf.data.streets import draw_scene
from wseg_tf.models.dropout import ChannelDropout

SIZE = (32, 32)


def small_net(name: str, classes: int, width: float = 1.0) -> keras.Model:
    """Convolution, batch normalisation and dropout: all that has a state."""
    return keras.Sequential(
        [
            keras.layers.Input([*SIZE, 3]),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, padding="same", name="encoder_conv"),
            keras.layers.BatchNormalization(name="encoder_norm"),
            keras.layers.ReLU(),
            ChannelDropout(0.25),
            keras.layers.Conv2D(classes, 1, dtype="float32", name="head"),
        ],
        name=name,
    )


def record_texts(count: int) -> list[bytes]:
    """Drawn streets as serialised records."""
    records = []
    for seed in range(count):
        image, label = draw_scene(seed, *SIZE)
        encoded = tf.io.encode_png(image).numpy()
        checked = check_pair(encoded, encode_labels(label), CAMVID)
        pair = Pair(f"{seed}", "image", "label", "train", "drive", "streets")
        records.append(serialise(pair, checked))
    return records


def examples(count: int) -> tf.data.Dataset:
    """Drawn streets, as `train` takes them."""
    records = tf.data.Dataset.from_tensor_slices(record_texts(count))
    return records.map(parse)


def batches_of(
    data: tf.data.Dataset, batch: int = 2
) -> Callable[[int, int], Any]:
    """What `fit` takes: shuffled, from any epoch and step on."""

    def batches(epoch: int, step: int) -> tf.data.Dataset:
        return training_batches(
            data, SIZE, batch, CAMVID.void, first_epoch=epoch
        ).skip(step)

    return batches


def same(first: keras.Model, second: keras.Model) -> bool:
    """Whether two models have the same weights, bit for bit."""
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)
