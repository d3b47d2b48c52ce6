"""Labels the target with a model, in two steps over its record files.

First every image is predicted once: its levels are written, and counted. Then
the counts of all files together give the thresholds, and those the labels. A
step works on one file, so that Beam's workers share the work; what is in
memory is a few batches and the counts, however many images there are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.adaptation import pseudo_labels, records
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.adaptation.prediction import predictor
from wseg_tf.adaptation.pseudo_labels import (
    Ids,
    LevelCounts,
    Levels,
    Thresholds,
)
from wseg_tf.adaptation.target import prepare_image, read_images
from wseg_tf.classes import ClassSet
from wseg_tf.data.threads import in_order
from wseg_tf.filesystems import whole_file, whole_folder, write_whole

SUMMARY = "pseudo_labels.json"
SPLIT = "Split-train"

Pixels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32]
Predict = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Summary:
    """What a round's labels are.

    Args:
        method: The method.
        round: The round, from 1.
        portion: The share of each class that was asked for.
        images: Number of images.
        classes: Class names.
        thresholds: l of each class, a probability.
        predicted: Pixels predicted of each class.
        kept: Pixels labelled with each class.
    """

    method: str
    round: int
    portion: float
    images: int
    classes: list[str]
    thresholds: list[float]
    predicted: list[int]
    kept: list[int]

    @property
    def kept_share(self) -> float:
        """Share of all pixels that have a label."""
        return sum(self.kept) / max(sum(self.predicted), 1)

    def rarest(self, number: int) -> tuple[int, ...]:
        """Returns the labelled classes that the target shows least.

        Args:
            number: How many.

        Returns:
            Class ids.
        """
        known = [k for k, pixels in enumerate(self.kept) if pixels > 0]
        order = sorted(known, key=lambda k: (self.predicted[k], k))
        return tuple(order[:number])


def predict_file(
    source: str,
    target: str,
    predict: Predict,
    size: tuple[int, int],
    batch: int,
    compression: str = "",
) -> LevelCounts:
    """Predicts the images of one record file.

    Args:
        source: Records of the target; their labels are not read.
        target: Where the predictions are written.
        predict: What `prediction.predictor` returned.
        size: Height and width that the network sees, pixels.
        batch: Images at a time.
        compression: Of `source`.

    Returns:
        What `count_levels` counts.
    """
    images = read_images(source, compression).map(
        lambda features: prepare_image(features, size),
        num_parallel_calls=tf.data.AUTOTUNE,
    )

    def predictions() -> Iterator[tuple[dict[str, Any], Probabilities]]:
        for features in images.batch(batch).prefetch(1):
            found = predict(tf.cast(features["image"], tf.float32)).numpy()
            yield {key: each.numpy() for key, each in features.items()}, found

    def keep(found: tuple[dict[str, Any], Probabilities]) -> LevelCounts:
        values, probabilities = found
        levels = pseudo_labels.to_levels(probabilities)
        for place, own in enumerate(levels):
            each = {key: value[place] for key, value in values.items()}
            records.write_prediction(file, each, own)
        return pseudo_labels.count_levels(levels)

    counts: Any = 0
    with (
        whole_file(target) as aside,
        tf.io.gfile.GFile(aside, "wb") as file,
    ):
        file.write(b"")  # The file is there, even of no image.
        # One thread writes in order, while the network is at the next batch.
        for own in in_order(keep, predictions(), threads=1):
            counts += own
    found: LevelCounts = counts
    return found


def label_file(
    source: str,
    target: str,
    limits: Thresholds,
    options: SelfTraining,
    classes: ClassSet,
) -> Pixels:
    """Labels the images of one file of predictions.

    Args:
        source: What `predict_file` wrote.
        target: Where the pseudo-labelled records are written.
        limits: The thresholds, as levels.
        options: The method and its softness.
        classes: The class set.

    Returns:
        Pixels labelled with each class, and not labelled, `[N + 1]`.
    """
    count = len(classes)

    def count_ids(ids: Ids) -> Pixels:
        # One class after the other is quicker than to sort bytes into bins.
        own = [np.count_nonzero(ids == k) for k in range(count)]
        return np.array([*own, ids.size - sum(own)], np.int64)

    def label(
        found: tuple[tf.train.Example, Levels],
    ) -> tuple[bytes, Pixels]:
        record, levels = found
        units = None
        if options.is_soft:
            ids, soft = pseudo_labels.soft_labels(
                levels, limits, classes.void, options.alpha
            )
            units = pseudo_labels.to_units(soft)
        else:
            ids = pseudo_labels.hard_labels(levels, limits, classes.void)
        return records.serialise_labelled(record, ids, units), count_ids(ids)

    kept = np.zeros(count + 1, np.int64)
    predictions = records.read_predictions(source, count)
    with whole_file(target) as aside, tf.io.TFRecordWriter(aside) as writer:
        for text, seen in in_order(label, predictions, os.cpu_count() or 1):
            writer.write(text)
            kept += seen
    return kept


def summarise(
    counts: LevelCounts,
    limits: Thresholds,
    kept: Pixels,
    images: int,
    options: SelfTraining,
    classes: ClassSet,
    number: int,
) -> Summary:
    """Gathers what a round's labels are.

    Args:
        counts: What all `predict_file` counted.
        limits: The thresholds, as levels.
        kept: What all `label_file` counted.
        images: Number of images.
        options: The options.
        classes: The class set.
        number: The round, from 0.

    Returns:
        The summary.
    """
    return Summary(
        options.method,
        number + 1,
        options.portion_in(number),
        images,
        list(classes.names),
        [min(int(level) / pseudo_labels.LEVELS, 1.0) for level in limits],
        counts.sum(axis=1).tolist(),
        kept[:-1].tolist(),
    )


def label_target(
    model: keras.Model,
    files: Sequence[str],
    folder: str,
    options: SelfTraining,
    classes: ClassSet,
    size: tuple[int, int],
    *,
    number: int = 0,
    batch: int = 4,
    compression: str = "",
) -> Summary:
    """Labels the target in this process; the folder is whole or not there.

    Args:
        model: Maps images `[B, H, W, 3]` to logits `[B, H, W, N]`.
        files: Record files of the target; their labels are not read.
        folder: Where `Split-train/` and `pseudo_labels.json` are written; if
            it is there, it is left alone.
        options: The options.
        classes: The class set.
        size: Height and width that the network sees, pixels.
        number: The round, from 0.
        batch: Images at a time.
        compression: Of the files.

    Returns:
        What the labels are.
    """
    if tf.io.gfile.exists(os.path.join(folder, SUMMARY)):
        return read_summary(folder)
    predict = predictor(model, options.flip, options.scales)
    with whole_folder(folder) as aside:
        counts: Any = 0
        waiting = []
        for place, path in enumerate(files):
            spilled = os.path.join(aside, "predictions", f"{place:05d}")
            counts = counts + predict_file(
                path, spilled, predict, size, batch, compression
            )
            waiting.append(spilled)
        limits = pseudo_labels.thresholds(counts, options.portion_in(number))
        kept = np.zeros(len(classes) + 1, np.int64)
        for path, spilled in zip(files, waiting, strict=True):
            name = os.path.basename(path)
            finished = os.path.join(aside, SPLIT, name)
            kept += label_file(spilled, finished, limits, options, classes)
        tf.io.gfile.rmtree(os.path.join(aside, "predictions"))
        images = int(counts.sum()) // (size[0] * size[1])
        summary = summarise(
            counts, limits, kept, images, options, classes, number
        )
        write_summary(aside, summary)
    return summary


def write_summary(folder: str, summary: Summary) -> None:
    """Writes `pseudo_labels.json`.

    Args:
        folder: Where.
        summary: What the labels are.
    """
    text = json.dumps(asdict(summary), indent=1) + "\n"
    write_whole(os.path.join(folder, SUMMARY), text)


def read_summary(folder: str) -> Summary:
    """Reads what `write_summary` wrote.

    Args:
        folder: Where.
    """
    with tf.io.gfile.GFile(os.path.join(folder, SUMMARY)) as file:
        return Summary(**json.load(file))
