"""TensorBoard: scalars of each epoch, predictions every few, the recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.classes import ClassSet
from wseg_tf.decisions import decide
from wseg_tf.ground import GroundMatrix
from wseg_tf.training.observers import Epoch, Observer, Plan

Hyperparameter = bool | int | float | str

PICTURES = 3
TRAINING = ("loss", "validation_loss", "learning_rate")
SCALAR, BLOB_SEQUENCE = 1, 3  # TensorBoard's classes of data.


class Board(Observer):
    """Writes TensorBoard's events.

    Args:
        folder: Where the events are written.
        classes: The class set, for colours.
        samples: Batches of images and class ids, of which the first few are
            shown with their predictions. Defaults to None: no pictures.
        every: Epochs between two pictures; 0 for none.
        ground: D, where the model decides for the least expected severity.
        hyperparameters: What the training is compared with others by, on the
            board's page HParams; tensorboard must be installed. Defaults to
            None: nothing.
    """

    def __init__(
        self,
        folder: str,
        classes: ClassSet,
        samples: tf.data.Dataset | None = None,
        every: int = 5,
        ground: GroundMatrix | None = None,
        hyperparameters: Mapping[str, Hyperparameter] | None = None,
    ) -> None:
        self.folder = folder
        self.classes = classes
        self.samples = samples
        self.every = every
        self.ground = ground
        self.hyperparameters = hyperparameters or {}
        self._writer: Any = None

    def begin(self, plan: Plan) -> None:
        """Opens the events; a new folder gets what was done before."""
        is_new = not tf.io.gfile.exists(self.folder)
        self._writer = tf.summary.create_file_writer(self.folder)
        if is_new:
            self._describe()
            for number, row in enumerate(plan.rows, start=1):
                self._scalars(number, row)

    def epoch(self, epoch: Epoch) -> None:
        """Writes the epoch's metrics and, if due, pictures."""
        # Epochs count on over the stages.
        number = len(epoch.rows)
        self._scalars(number, epoch.row)
        last = epoch.number == epoch.plan.epochs
        due = self.every and (epoch.number % self.every == 0 or last)
        if due and self.samples is not None:
            self._pictures(number, epoch)
        self._writer.flush()

    def end(self) -> None:
        """Closes the events."""
        if self._writer is not None:
            self._writer.close()

    def _describe(self) -> None:
        try:
            from tensorboard.plugins.hparams import api
        except ImportError:  # TensorFlow 2.21 comes without.
            return
        with self._writer.as_default(step=0):
            api.hparams(dict(self.hyperparameters))

    def _scalars(self, number: int, row: Any) -> None:
        with self._writer.as_default(step=number):
            for name, value in row.items():
                if isinstance(value, float) and name != "seconds":
                    group = "training/" if name in TRAINING else ""
                    write_scalar(f"{group}{name}", value)

    def _pictures(self, number: int, epoch: Epoch) -> None:
        from wseg_tf.plots.labels import overlay

        assert self.samples is not None
        rows = []
        for images, labels in self.samples.unbatch().take(PICTURES):
            logits = epoch.model(images[None], training=False)
            predicted = decide(logits[0], self.ground).numpy()
            image = images.numpy()
            rows.append(
                np.concatenate(
                    [
                        image.round().astype(np.uint8),
                        overlay(image, labels.numpy(), self.classes),
                        overlay(image, predicted, self.classes),
                    ],
                    axis=1,
                )
            )
        with self._writer.as_default(step=number):
            write_images("image, truth, prediction", rows)


# As `tf.summary.scalar` and `image` do, which need tensorboard installed.


def write_scalar(tag: str, value: float) -> None:
    """Writes a number for TensorBoard to the default writer."""
    _write(tag, tf.constant(value, tf.float32), "scalars", SCALAR)


def write_images(tag: str, images: Sequence[npt.NDArray[np.uint8]]) -> None:
    """Writes pictures `[H, W, 3]` of one size for TensorBoard."""
    height, width = images[0].shape[:2]
    encoded = [tf.io.encode_png(image) for image in images]
    content = tf.stack([str(width), str(height), *encoded])
    _write(tag, content, "images", BLOB_SEQUENCE)


def _write(tag: str, content: tf.Tensor, plugin: str, kind: int) -> None:
    metadata = tf.compat.v1.Summary.Value().metadata
    metadata.plugin_data.plugin_name = plugin
    metadata.data_class = kind
    tf.summary.write(tag, content, metadata=metadata)
