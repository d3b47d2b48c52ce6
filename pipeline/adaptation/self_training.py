"""The components of a round: its labels, its training, and how it fares."""

# TFX reads the annotations of components as they stand: none may be a string.
import json
import os
from typing import Any

import apache_beam as beam
from tfx import v1 as tfx
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from pipeline.adaptation.pseudo_labels import write_pseudo_labels
from pipeline.adaptation.rounds import (
    judge_round,
    labeller_of,
    train_and_export,
    write_rounds,
)
from pipeline.gate.digests import record, verify
from pipeline.ingest.verifying import verify_records
from wseg_tf.adaptation.target import find_files


class PseudoLabels(tfx.dsl.Artifact):
    """A folder with labelled records and `pseudo_labels.json`.

    Records are in `Split-train`; the summary holds the thresholds and the
    pixels kept by class.
    """

    TYPE_NAME = "pipeline.PseudoLabels"


class RoundScores(tfx.dsl.Artifact):
    """A folder with `rounds.json`, all rounds so far, and their plot."""

    TYPE_NAME = "pipeline.RoundScores"


def _records(examples: Any, split: str) -> str:
    """Returns the pattern of a split's records, if they are what was noted."""
    verify_records(examples, [split])
    folder: str = artifact_utils.get_split_uri([examples], split)
    return os.path.join(folder, "*")


def _model(model: Any) -> str:
    """Returns the folder of a model, if it is what was noted."""
    folder: str = path_utils.serving_model_path(model.uri)
    verify(model, folder)
    return folder


@tfx.dsl.components.component(use_beam=True)
def PseudoLabeller(  # noqa: N802
    examples: tfx.dsl.components.InputArtifact[standard_artifacts.Examples],
    model: tfx.dsl.components.InputArtifact[standard_artifacts.Model],
    labels: tfx.dsl.components.OutputArtifact[PseudoLabels],
    settings: tfx.dsl.components.Parameter[str],
    number: tfx.dsl.components.Parameter[int],
    beam_pipeline: tfx.dsl.components.BeamComponentParameter[
        beam.Pipeline
    ] = None,
) -> None:
    """Labels the target with a model; the target's own labels are not read.

    Args:
        examples: The target's records; their split `train` is labelled.
        model: The model that labels.
        labels: Where the labels are written.
        settings: What `rounds.round_settings` returned.
        number: The round, from 0.
        beam_pipeline: TFX's Beam pipeline.
    """
    write_pseudo_labels(
        beam_pipeline,
        labeller_of(json.loads(settings), _model(model), number),
        find_files(_records(examples, "train")),
        labels.uri,
    )
    record(labels, labels.uri)


@tfx.dsl.components.component
def RoundTrainer(  # noqa: N802
    examples: tfx.dsl.components.InputArtifact[standard_artifacts.Examples],
    labels: tfx.dsl.components.InputArtifact[PseudoLabels],
    start: tfx.dsl.components.InputArtifact[standard_artifacts.Model],
    model: tfx.dsl.components.OutputArtifact[standard_artifacts.Model],
    model_run: tfx.dsl.components.OutputArtifact[standard_artifacts.ModelRun],
    settings: tfx.dsl.components.Parameter[str],
) -> None:
    """Trains a model on the source and on a round's pseudo-labels.

    An execution that was killed left its checkpoints, and the next one of the
    same settings and data goes on from them.

    Args:
        examples: The source's records; their split `train` is learned from.
        labels: The pseudo-labels.
        start: The model that labelled.
        model: Where the trained model is written.
        model_run: Where its history is written.
        settings: What `rounds.round_settings` returned.
    """
    verify(labels, labels.uri)
    train_and_export(
        json.loads(settings),
        _records(examples, "train"),
        labels.uri,
        _model(start),
        path_utils.serving_model_path(model.uri),
        model_run.uri,
    )
    record(model, path_utils.serving_model_path(model.uri))
    record(model_run, model_run.uri)


@tfx.dsl.components.component
def RoundJudge(  # noqa: N802
    examples: tfx.dsl.components.InputArtifact[standard_artifacts.Examples],
    model: tfx.dsl.components.InputArtifact[standard_artifacts.Model],
    scores: tfx.dsl.components.OutputArtifact[RoundScores],
    settings: tfx.dsl.components.Parameter[str],
    labels: tfx.dsl.components.InputArtifact[PseudoLabels] = None,
    before: tfx.dsl.components.InputArtifact[RoundScores] = None,
) -> None:
    """Holds a round against the target's labels; nothing learns from it.

    Args:
        examples: The target's records.
        model: The model that the round ended with.
        scores: Where the scores of all rounds so far are written.
        settings: What `rounds.round_settings` returned.
        labels: The round's pseudo-labels; none before the first.
        before: The scores of the rounds before.
    """
    given = json.loads(settings)
    for each in filter(None, (labels, before)):
        verify(each, each.uri)
    row = judge_round(
        given,
        _records(examples, "train"),
        _records(examples, "eval"),
        _model(model),
        None if labels is None else labels.uri,
    )
    write_rounds(scores.uri, None if before is None else before.uri, row)
    record(scores, scores.uri)
