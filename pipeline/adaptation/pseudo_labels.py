"""The target becomes pseudo-labelled records, by Beam; TFX is not needed.

Each record file is predicted, and then labelled, by one worker. Between the
two all workers meet: the thresholds are those of the whole target.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf

from wseg_tf import configuration
from wseg_tf.adaptation import pseudo_labels
from wseg_tf.adaptation.labelling import (
    SPLIT,
    Pixels,
    label_file,
    predict_file,
    summarise,
    write_summary,
)
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.adaptation.prediction import predictor
from wseg_tf.adaptation.pseudo_labels import LevelCounts, Thresholds
from wseg_tf.classes import ClassSet, class_set
from wseg_tf.training.loop import build_model
from wseg_tf.training.recipe import Recipe


@dataclass(frozen=True)
class Labeller:
    """Everything that decides a round's labels, as text for the workers.

    Args:
        recipe: The recipe as YAML; its `initial` is the model that labels.
        options: The options of self-training as YAML.
        classes: The class set as JSON.
        number: The round, from 0.
    """

    recipe: str
    options: str
    classes: str
    number: int

    def read_recipe(self) -> Recipe:
        """Returns the recipe."""
        return configuration.load(Recipe, self.recipe, "the recipe")

    def read_options(self) -> SelfTraining:
        """Returns the options."""
        return configuration.load(SelfTraining, self.options, "the options")

    def read_classes(self) -> ClassSet:
        """Returns the class set."""
        return class_set(json.loads(self.classes))


def write_pseudo_labels(
    root: Any, labeller: Labeller, files: Sequence[str], folder: str
) -> None:
    """Predicts and labels the target.

    Args:
        root: A Beam pipeline; it is run, and waited for.
        labeller: What decides the labels.
        files: Record files of the target; their labels are not read.
        folder: Where `Split-train/` and `pseudo_labels.json` are written.
    """
    scratch = os.path.join(folder, "predictions")
    with root:
        predicted = (
            root
            | "ListFiles" >> beam.Create(list(enumerate(files)))
            | "ShareFiles" >> beam.Reshuffle()
            | "PredictFiles" >> beam.ParDo(PredictFile(labeller, scratch))
            # Predictions are made once, whoever asks for them.
            | "KeepCounts" >> beam.Reshuffle()
        )
        counts = (
            predicted
            | "TakeCounts" >> beam.Map(lambda each: each[2])
            | "AddCounts" >> beam.CombineGlobally(_total)
        )
        kept = (
            predicted
            | "TakePaths" >> beam.Map(lambda each: each[:2])
            | "LabelFiles"
            >> beam.Map(
                _label, labeller, folder, counts=beam.pvalue.AsSingleton(counts)
            )
            | "AddKept" >> beam.CombineGlobally(_total)
        )
        _ = kept | "WriteSummary" >> beam.Map(
            _summarise,
            labeller,
            folder,
            counts=beam.pvalue.AsSingleton(counts),
        )
    tf.io.gfile.rmtree(scratch)


class PredictFile(beam.DoFn):
    """Predicts the images of a record file, with one model a worker.

    Args:
        labeller: What decides the labels.
        scratch: Folder for the predictions.
    """

    def __init__(self, labeller: Labeller, scratch: str) -> None:
        super().__init__()
        self._labeller = labeller
        self._scratch = scratch

    def setup(self) -> None:
        """Builds the model."""
        self._recipe = self._labeller.read_recipe()
        options = self._labeller.read_options()
        model = build_model(self._recipe, self._labeller.read_classes())
        self._predict = predictor(model, options.flip, options.scales)

    def process(
        self, element: tuple[int, str]
    ) -> Iterator[tuple[str, str, LevelCounts]]:
        """Yields the file's name, its predictions, and what they count."""
        place, path = element
        spilled = os.path.join(self._scratch, f"{place:05d}")
        recipe = self._recipe
        size = (recipe.height, recipe.width)
        counts = predict_file(path, spilled, self._predict, size, recipe.batch)
        yield os.path.basename(path), spilled, counts


def _total(parts: Iterable[Any]) -> Any:
    found: Any = 0
    for part in parts:
        found = found + part
    return found


def _limits(labeller: Labeller, counts: LevelCounts) -> Thresholds:
    portion = labeller.read_options().portion_in(labeller.number)
    return pseudo_labels.thresholds(counts, portion)


def _label(
    element: tuple[str, str],
    labeller: Labeller,
    folder: str,
    counts: LevelCounts,
) -> Pixels:
    name, spilled = element
    return label_file(
        spilled,
        os.path.join(folder, SPLIT, name),
        _limits(labeller, counts),
        labeller.read_options(),
        labeller.read_classes(),
    )


def _summarise(
    kept: Pixels, labeller: Labeller, folder: str, counts: LevelCounts
) -> None:
    recipe = labeller.read_recipe()
    images = int(np.sum(counts)) // (recipe.height * recipe.width)
    summary = summarise(
        counts,
        _limits(labeller, counts),
        kept,
        images,
        labeller.read_options(),
        labeller.read_classes(),
        labeller.number,
    )
    write_summary(folder, summary)
