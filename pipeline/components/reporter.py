"""The component that writes a run's report."""

# TFX reads the annotations of components as they stand: none may be a string.

import os

import tensorflow as tf
from tfx import v1 as tfx
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from pipeline.config import PipelineConfig
from pipeline.evaluation import read_evaluation
from pipeline.judge import judge
from pipeline.pictures import plot_prediction
from pipeline.report import PICTURE, Report, to_json, to_markdown
from pipeline.scores import score_names
from wseg_tf import configuration
from wseg_tf.data.input import read_records
from wseg_tf.training.objectives import build_ground


class RunReport(tfx.dsl.Artifact):
    """A folder with `report.md`, `report.json` and a picture."""

    TYPE_NAME = "RunReport"


@tfx.dsl.components.component
def Reporter(  # noqa: N802
    evaluation: tfx.dsl.components.InputArtifact[
        standard_artifacts.ModelEvaluation
    ],
    blessing: tfx.dsl.components.InputArtifact[
        standard_artifacts.ModelBlessing
    ],
    pushed_model: tfx.dsl.components.InputArtifact[
        standard_artifacts.PushedModel
    ],
    model: tfx.dsl.components.InputArtifact[standard_artifacts.Model],
    examples: tfx.dsl.components.InputArtifact[standard_artifacts.Examples],
    report: tfx.dsl.components.OutputArtifact[RunReport],
    config: tfx.dsl.components.Parameter[str],
) -> None:
    """Writes the report of a run from what its components left.

    Args:
        evaluation: The Evaluator's figures.
        blessing: Its verdict.
        pushed_model: What the Pusher did.
        model: The trained model.
        examples: The records, for the pictures.
        report: Where the report is written.
        config: The pipeline's configuration as YAML.
    """
    settings = configuration.load(PipelineConfig, config, "the configuration")
    classes = settings.data.classes
    ground = build_ground(settings.training.ground, classes)
    measured = read_evaluation(evaluation.uri)
    pushed = pushed_model.get_string_custom_property("pushed_destination")
    content = Report(
        name=settings.name,
        blessed=bool(blessing.get_int_custom_property("blessed")),
        findings=judge(settings.gate, measured.images, classes, ground),
        values={name: measured.values[name] for name in score_names(classes)},
        confusion=measured.images.candidate.sum(axis=0),
        images=len(measured.images),
        classes=classes,
        model=path_utils.serving_model_path(model.uri),
        pushed=pushed or None,
    )
    tf.io.gfile.makedirs(report.uri)
    for name, text in (
        ("report.json", to_json(content)),
        ("report.md", to_markdown(content)),
    ):
        with tf.io.gfile.GFile(os.path.join(report.uri, name), "w") as file:
            file.write(text)
    figure = plot_prediction(
        content.model,
        read_records(os.path.join(examples.uri, "Split-eval", "*"), ""),
        content.classes,
    )
    picture = os.path.join(report.uri, PICTURE)
    with tf.io.gfile.GFile(picture, "wb") as file:
        figure.savefig(file, format="png", dpi=150)
