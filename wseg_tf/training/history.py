"""`history.csv`: a line for each epoch, whatever interrupted the training."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from wseg_tf.classes import ClassSet
from wseg_tf.filesystems import write_whole
from wseg_tf.metrics import score_names
from wseg_tf.training.observers import Epoch, Observer, Plan

COLUMNS = (
    "stage",
    "epoch",
    "steps",
    "learning_rate",
    "loss",
    "validation_loss",
    "seconds",
)


class History(Observer):
    """Writes the history after each epoch, as a whole.

    The lines come from the checkpoint, so that a training that was resumed
    leaves no line out and none twice.

    Args:
        path: The file, mostly `history.csv`.
        classes: The class set, for the scores' columns.
    """

    def __init__(self, path: str, classes: ClassSet) -> None:
        self.path = path
        self.columns = [*COLUMNS, *score_names(classes)]

    def begin(self, plan: Plan) -> None:
        """Writes what an earlier run has done."""
        self._write(plan.rows)

    def epoch(self, epoch: Epoch) -> None:
        """Writes the epoch's line."""
        self._write(epoch.rows)

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        # What is absent, or was not evaluated, is empty.
        writer.writerows(rows)
        write_whole(self.path, text.getvalue())


def read_history(path: str) -> list[dict[str, str]]:
    """Reads a history.

    Args:
        path: What `History` wrote.

    Returns:
        A dictionary of texts for each epoch, in order.
    """
    with tf.io.gfile.GFile(path) as file:
        return list(csv.DictReader(io.StringIO(file.read())))
