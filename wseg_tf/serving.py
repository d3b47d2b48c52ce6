"""Serving: a SavedModel that takes encoded images and returns class ids.

Decoding, resizing and the choice of the class are part of the model, so what
is served is what was evaluated.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.classes import ClassSet, class_set
from wseg_tf.data.orientation import decode_upright
from wseg_tf.data.records import decode, parse
from wseg_tf.decisions import LIKELIEST, decide, ground_of
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics import tensors

# Beside a SavedModel, where serving leaves files alone: what it was made for.
CARD = os.path.join("assets.extra", "wseg_tf.json")
SERVING = "serving_default"
CONFUSION = "confusion"


class SegmentationService(tf.Module):
    """The two functions a pushed model offers.

    Args:
        model: Maps images `[B, H, W, 3]`, 0..255, to logits `[B, H, W, N]`.
        classes: The class set the logits are in the order of.
        height: Height the network sees.
        width: Width the network sees.
        ground: D, to decide for the least expected severity; for the likeliest
            class by default.
    """

    def __init__(
        self,
        model: keras.Model,
        classes: ClassSet,
        height: int,
        width: int,
        ground: GroundMatrix | None = None,
    ) -> None:
        super().__init__()
        # Saved are the variables; as a Keras object the model would be traced
        # again, layer by layer, for minutes.
        self.weights = list(model.variables)
        self._logits: Callable[[tf.Tensor], tf.Tensor] = lambda images: model(
            images, training=False
        )
        self._classes = classes
        self._size = (height, width)
        self._ground = ground

    def predict(self, image: tf.Tensor) -> tf.Tensor:
        """Returns the class ids `[H, W]`, uint8, of one image `[H, W, 3]`."""
        native = tf.shape(image)[:2]
        resized = tf.image.resize(image[None], self._size, antialias=True)
        logits = self._logits(resized)
        logits = tf.image.resize(tf.cast(logits, tf.float32), native)
        return tf.cast(decide(logits[0], self._ground), tf.uint8)

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="images")]
    )
    def segment(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Segments encoded images.

        Args:
            images: PNG or JPEG files `[B]` of one size, each turned as its
                EXIF says.

        Returns:
            `"classes"`: class ids `[B, H, W]`, uint8, at the size that the
            images are displayed at.
        """
        return {
            "classes": tf.map_fn(
                lambda encoded: self.predict(decode_upright(encoded)),
                images,
                fn_output_signature=tf.TensorSpec([None, None], tf.uint8),
            )
        }

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="examples")]
    )
    def count_confusion(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Counts the confusion of each serialised tf.Example.

        Args:
            examples: Serialised records `[B]`, of any sizes.

        Returns:
            `"confusion"`: exact counts `[B, N, N]`, int64; rows truth, columns
            predictions; void pixels are not counted.
        """
        count = len(self._classes)
        return {
            "confusion": tf.map_fn(
                self._confusion,
                examples,
                fn_output_signature=tf.TensorSpec([count, count], tf.int64),
            )
        }

    def _confusion(self, example: tf.Tensor) -> tf.Tensor:
        image, label = decode(parse(example))
        return tensors.count_confusion(
            label,
            self.predict(image),
            len(self._classes),
            self._classes.void,
        )


def export(
    model: keras.Model,
    folder: str,
    classes: ClassSet,
    height: int,
    width: int,
    ground: GroundMatrix | None = None,
    decision: str = LIKELIEST,
) -> None:
    """Writes a SavedModel that needs TensorFlow alone.

    Its signature `"serving_default"` takes encoded images and returns class
    ids; `"confusion"` takes tf.Examples and returns exact counts.

    Args:
        model: Maps images `[B, H, W, 3]`, 0..255, to logits `[B, H, W, N]`.
        folder: Where the SavedModel is written.
        classes: The class set the logits are in the order of.
        height: Height the network sees.
        width: Width the network sees.
        ground: The ground matrix it was trained with; saved beside it, for
            the expected severity. None by default.
        decision: How the class of a pixel is chosen, one of
            `wseg_tf.decisions.DECISIONS`; `"least_risk"` needs `ground`.

    Raises:
        ValueError: If the model's channels are not the class set's classes,
            or the decision is unknown or lacks its ground matrix.
    """
    channels = model.output_shape[-1]
    if channels != len(classes):
        raise ValueError(
            f"Invalid value for argument `model`. Expected {len(classes)} "
            f"output channels, one for each class of `{classes.name}`. "
            f"Received: {channels}."
        )
    decides_by = ground_of(decision, ground)
    service = SegmentationService(model, classes, height, width, decides_by)
    tf.saved_model.save(
        service,
        folder,
        signatures={
            SERVING: service.segment,
            CONFUSION: service.count_confusion,
        },
    )
    card = {
        "classes": classes.as_dict(),
        "ground": None if ground is None else ground.get_config(),
        "decision": decision,
    }
    path = os.path.join(folder, CARD)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps(card))


class ServedModel:
    """A model that `export` wrote, loaded again.

    Args:
        folder: The SavedModel.

    Raises:
        ValueError: If the folder holds no such model.
    """

    def __init__(self, folder: str) -> None:
        try:
            with tf.io.gfile.GFile(os.path.join(folder, CARD)) as file:
                card = json.load(file)
            self._saved = tf.saved_model.load(folder)
        except (tf.errors.OpError, OSError, json.JSONDecodeError) as error:
            raise ValueError(
                "Invalid model. Expected the folder of a SavedModel that "
                f"wseg_tf exported. Received: {folder}."
            ) from error
        self.classes = class_set(card["classes"])
        ground = card["ground"]
        self.ground = None if ground is None else GroundMatrix(**ground)

    def segment(self, encoded: bytes) -> npt.NDArray[np.uint8]:
        """Segments one encoded image.

        Args:
            encoded: A PNG or JPEG file.

        Returns:
            Class ids `[H, W]`, uint8, at the image's size.
        """
        found = self._saved.signatures[SERVING](tf.constant([encoded]))
        ids: npt.NDArray[np.uint8] = found["classes"].numpy()[0]
        return ids

    def count_confusion(self, record: bytes) -> npt.NDArray[np.int64]:
        """Counts the confusion of one record.

        Args:
            record: What `wseg_tf.data.records.serialise` returned.

        Returns:
            Exact counts `[N, N]`; rows truth, columns predictions.
        """
        found = self._saved.signatures[CONFUSION](tf.constant([record]))
        counts: npt.NDArray[np.int64] = found["confusion"].numpy()[0]
        return counts
