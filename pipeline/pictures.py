"""The report's pictures: what the model sees in a telling image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from matplotlib.figure import Figure

from wseg_tf.classes import ClassSet
from wseg_tf.data.records import decode
from wseg_tf.plots import plot_labels
from wseg_tf.serving import SERVING


def plot_prediction(
    model: str, examples: tf.data.Dataset, classes: ClassSet
) -> Figure:
    """Shows truth and prediction for the image with most critical pixels.

    Args:
        model: A SavedModel of `wseg_tf.serving`.
        examples: Records as `wseg_tf.data.input.read_records` gives them.
        classes: The class set.

    Returns:
        A figure: the image, its truth and the model's prediction.
    """
    record = max(examples, key=lambda each: _critical(each, classes))
    image, truth = decode(record)
    segment = tf.saved_model.load(model).signatures[SERVING]
    predicted = segment(record["image/encoded"][None])["classes"][0]
    return plot_labels(
        image.numpy(),
        {"truth": truth.numpy(), "prediction": predicted.numpy()},
        classes,
    )


def _critical(record: dict[str, tf.Tensor], classes: ClassSet) -> float:
    """How many kinds of critical classes an image shows, then how much."""
    _, label = decode(record)
    ids: npt.NDArray[np.uint8] = label.numpy()
    shares = [
        float(np.mean(ids == classes.index(name))) for name in classes.critical
    ]
    return sum(share > 0.002 for share in shares) + min(sum(shares), 0.99)
