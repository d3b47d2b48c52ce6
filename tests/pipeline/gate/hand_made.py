"""Models whose confusion is known by hand, and images that they can read.

Each image tells its own truth: red holds the class ids, blue a random number
for each pixel. A model errs on the pixels of a class whose number is low, so
its counts are known exactly, though it is a network behind real signatures.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from wseg_tf.cards import CARD, DIGEST, write_card
from wseg_tf.classes import CAMVID
from wseg_tf.ground import GroundMatrix
from wseg_tf.serving import CONFUSION, SERVING, export

SIZE = (24, 32)
GROUND = GroundMatrix.severity_aware(CAMVID)
# Takes a share of a true class for another.
Error = tuple[str, str, float]


def write_images(folder: Path, drives: Sequence[str], per_drive: int) -> Path:
    """Writes images and labels in CamVid's layout, as split `val`."""
    random = np.random.default_rng(7)
    for place in ("val", "valannot"):
        (folder / place).mkdir(parents=True)
    for drive in drives:
        for index in range(per_drive):
            # Patches of 4x4, every class in every image.
            patches = np.resize(random.permutation(12), (6, 8))
            label = np.kron(patches, np.ones((4, 4), int)).astype(np.uint8)
            image = np.zeros((*SIZE, 3), np.uint8)
            image[..., 0] = 20 * label
            image[..., 2] = random.integers(0, 256, SIZE)
            name = f"{drive}_{index:03d}.png"
            Image.fromarray(image).save(folder / "val" / name)
            Image.fromarray(label).save(folder / "valannot" / name)
    return folder


def export_model(folder: Path, errors: Sequence[Error]) -> Path:
    """Exports a model that makes these errors and no others."""
    image = keras.Input([None, None, 3])
    model = keras.Model(image, Read(errors)(image))
    export(model, str(folder), CAMVID, *SIZE, GROUND)
    return folder


class Read(keras.layers.Layer):
    """Reads the class ids off an image and errs where it is told to."""

    def __init__(self, errors: Sequence[Error]) -> None:
        super().__init__()
        self._errors = [
            (CAMVID.index(true), CAMVID.index(predicted), share)
            for true, predicted, share in errors
        ]
        self.scale = self.add_weight(name="scale", initializer="ones")

    def call(self, image: tf.Tensor) -> tf.Tensor:
        truth = tf.cast(tf.round(image[..., 0] / 20), tf.int32)
        ids = truth
        for true, predicted, share in self._errors:
            errs = (truth == true) & (image[..., 2] < 256 * share)
            ids = tf.where(errs, predicted, ids)
        return self.scale * tf.one_hot(ids, len(CAMVID))

    def compute_output_shape(
        self, shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return (*shape[:-1], len(CAMVID))


def swap_serving(model: Path, other: Path) -> None:
    """Gives a SavedModel the serving signature of another."""
    both = tf.Module()
    both.ours = tf.saved_model.load(str(model))
    both.theirs = tf.saved_model.load(str(other))
    card = (model / CARD).read_text()
    tf.saved_model.save(
        both,
        str(model),
        signatures={
            SERVING: both.theirs.signatures[SERVING],
            CONFUSION: both.ours.signatures[CONFUSION],
        },
    )
    (model / CARD).write_text(card)
    vouch(model)


def vouch(model: Path) -> None:
    """Lets a model's card speak of the files as they are."""
    card = json.loads((model / CARD).read_text())
    del card[DIGEST]
    write_card(str(model), card)
