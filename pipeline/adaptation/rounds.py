"""What the components of a round do, without TFX."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.adaptation.pseudo_labels import Labeller
from pipeline.config.adaptation_config import AdaptationConfig
from pipeline.gate.digests import digest
from pipeline.ingest import pixel_counts
from pipeline.machines import hand_over, note_machine
from pipeline.training import PICTURES
from wseg_tf import configuration
from wseg_tf.adaptation.labelling import SPLIT, Summary, read_summary
from wseg_tf.adaptation.rounds import round_identity, train_round
from wseg_tf.adaptation.target import find_files
from wseg_tf.classes import ClassSet
from wseg_tf.code import code_digest
from wseg_tf.data.input import read_records, resize
from wseg_tf.data.records import decode
from wseg_tf.metrics import summary as scores_of
from wseg_tf.metrics.confusion import Counts
from wseg_tf.plots.rounds import plot_rounds
from wseg_tf.serving import ServedModel, export
from wseg_tf.training.checkpoints import Checkpoints
from wseg_tf.training.history import History
from wseg_tf.training.loop import HISTORY, build_model
from wseg_tf.training.objectives import build_ground
from wseg_tf.training.observers import LogLines
from wseg_tf.training.survey import survey

ROUNDS = "rounds.json"
PICTURE = "rounds.png"


def round_settings(config: AdaptationConfig) -> dict[str, str]:
    """Returns what decides the rounds, as texts by name.

    Args:
        config: The configuration.

    Returns:
        Other code that decides weights gives another one.
    """
    return {
        "recipe": configuration.dump(config.training),
        "options": configuration.dump(config.adaptation),
        "classes": config.target.data.class_set.to_json(),
        "checkpoints": config.folder("checkpoints"),
        "code": code_digest(
            "pipeline.adaptation.self_training", without=PICTURES
        ),
    }


def labeller_of(
    given: Mapping[str, str], model: str, number: int = 0
) -> Labeller:
    """Returns what decides a round's labels.

    Args:
        given: What `round_settings` returned.
        model: The exported model that labels.
        number: The round, from 0.
    """
    plain = Labeller(given["recipe"], given["options"], given["classes"], 0)
    recipe = dataclasses.replace(plain.read_recipe(), initial=model)
    return dataclasses.replace(
        plain, recipe=configuration.dump(recipe), number=number
    )


def train_and_export(
    given: Mapping[str, str],
    source: str,
    labels: str,
    start: str,
    target: str,
    logs: str,
) -> None:
    """Trains a round and exports its model; goes on where it was killed.

    Args:
        given: What `round_settings` returned.
        source: Pattern of the source's record files.
        labels: Folder of the round's pseudo-labels.
        start: The exported model that labelled.
        target: Where the model is exported to.
        logs: Folder for `history.csv`.
    """
    labeller = labeller_of(given, start)
    recipe, options = labeller.read_recipe(), labeller.read_options()
    classes = labeller.read_classes()
    examples = read_records(source, compression="")
    found = read_summary(labels)
    own = round_identity(recipe, options, classes, given["code"])
    surveyed = survey(examples, classes, pixel_counts.of_records(source))
    own |= {"source": surveyed.digest, "labels": digest(labels)}
    text = json.dumps(own, sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    kept = Checkpoints(
        os.path.join(given["checkpoints"], key),
        recipe.execution.checkpoint_steps,
    )
    kept.claim(own)
    note_machine(kept.folder)
    model = build_model(recipe, classes)
    train_round(
        model,
        recipe,
        options,
        classes,
        examples,
        surveyed,
        find_files(os.path.join(labels, SPLIT, "*")),
        found,
        checkpoints=kept,
        observers=[LogLines(), History(os.path.join(logs, HISTORY), classes)],
    )
    export(
        model,
        target,
        classes,
        recipe.height,
        recipe.width,
        build_ground(recipe.ground, classes),
        recipe.decision,
        recipe.max_pixels,
        recipe.views,
    )
    hand_over(kept.folder, logs)
    kept.remove()


def judge_round(
    given: Mapping[str, str],
    training: str,
    evaluation: str,
    model: str,
    labels: str | None,
) -> dict[str, Any]:
    """Holds a round against the target's labels.

    Args:
        given: What `round_settings` returned.
        training: Pattern of the target's record files that were labelled.
        evaluation: Pattern of those that it is judged on.
        model: The exported model.
        labels: Folder of the round's pseudo-labels, if there is one.

    Returns:
        A line of `rounds.json`.
    """
    classes = labeller_of(given, model).read_classes()
    served = ServedModel(model)
    counts = np.zeros([len(classes)] * 2, np.int64)
    for path in find_files(evaluation):
        for text in tf.data.TFRecordDataset(path).as_numpy_iterator():
            counts += served.count_confusion(text)
    found = scores_of(counts, classes, served.ground)
    row: dict[str, Any] = {
        "round": 0,
        "mean_iou": found["mean_iou"],
        "critical_iou": found["critical_iou"],
        "iou": {name: found[f"iou/{name}"] for name in classes.names},
    }
    if labels is not None:
        summary = read_summary(labels)
        row |= label_scores(
            summary, count_labels(training, labels, classes), classes
        )
    return row


def label_scores(
    summary: Summary, counts: Counts, classes: ClassSet
) -> dict[str, Any]:
    """Returns how many labels a round kept, and how many of them are right.

    Args:
        summary: What the labels are.
        counts: True classes by pseudo-label, kept pixels alone.
        classes: The class set.

    Returns:
        Figures, `None` where there is nothing to judge.
    """
    kept, labelled = np.array(summary.kept), counts.sum(axis=0)
    predicted = np.array(summary.predicted)
    return {
        "round": summary.round,
        "portion": summary.portion,
        "thresholds": dict(zip(classes.names, summary.thresholds, strict=True)),
        "kept_share": summary.kept_share,
        "kept_by_class": _shares(kept, predicted, classes),
        "label_accuracy": (
            float(counts.trace() / counts.sum()) if counts.any() else None
        ),
        "label_accuracy_by_class": _shares(
            counts.diagonal(), labelled, classes
        ),
    }


def count_labels(training: str, labels: str, classes: ClassSet) -> Counts:
    """Counts true classes by pseudo-label over the labelled pixels.

    Args:
        training: Pattern of the target's record files.
        labels: Folder of the pseudo-labels, made from them in their order.
        classes: The class set.

    Returns:
        Counts `[N, N]`, rows truth; void pixels of either are left out.
    """
    number = len(classes)
    counts = np.zeros(number**2, np.int64)
    truth = read_records(training, compression="")
    given = read_records(os.path.join(labels, SPLIT, "*"), compression="")
    for true, pseudo in tf.data.Dataset.zip((truth, given)):
        ids = tf.cast(decode(pseudo)[1], tf.int32)
        image, label = decode(true)
        size = tuple(ids.shape)
        real = tf.cast(resize(image, label, size)[1], tf.int32)
        valid = (real < number) & (ids < number)
        cells = tf.boolean_mask(real * number + ids, valid)
        counts += np.bincount(cells.numpy(), minlength=number**2)
    return counts.reshape(number, number)


def write_rounds(folder: str, before: str | None, row: dict[str, Any]) -> None:
    """Writes the rounds so far, and draws them.

    Args:
        folder: Where.
        before: Folder of the rounds before, if there are any.
        row: The new line.
    """
    rows = [] if before is None else read_rounds(before)
    rows.append(row)
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(os.path.join(folder, ROUNDS), "w") as file:
        file.write(json.dumps(rows, indent=1) + "\n")
    path = os.path.join(folder, PICTURE)
    with tf.io.gfile.GFile(path, "wb") as file:
        plot_rounds({"": rows}).savefig(file, format="png")


def read_rounds(folder: str) -> list[dict[str, Any]]:
    """Reads what `write_rounds` wrote.

    Args:
        folder: Where.
    """
    with tf.io.gfile.GFile(os.path.join(folder, ROUNDS)) as file:
        rows: list[dict[str, Any]] = json.load(file)
    return rows


def _shares(
    parts: npt.NDArray[np.int64],
    wholes: npt.NDArray[np.int64],
    classes: ClassSet,
) -> dict[str, float | None]:
    return {
        name: float(part / whole) if whole else None
        for name, part, whole in zip(classes.names, parts, wholes, strict=True)
    }
