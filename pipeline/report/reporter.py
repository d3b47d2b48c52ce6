"""The component that writes a run's report."""

# TFX reads the annotations of components as they stand: none may be a string.

import os
from dataclasses import asdict
from typing import Any

import numpy as np
from tfx import v1 as tfx
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from pipeline.config.pipeline_config import PipelineConfig
from pipeline.gate.digests import DIGEST, digest
from pipeline.gate.evaluation import read_evaluation
from pipeline.gate.evaluator import AGAINST, EVALUATED, JUDGED, ON
from pipeline.gate.judge import judge
from pipeline.ingest.component import PixelCounts, Quarantine
from pipeline.ingest.leaks import read_shared
from pipeline.ingest.pixel_counts import STATISTICS
from pipeline.ingest.pixel_counts import read as read_counts
from pipeline.ingest.pixel_counts import total as total_of
from pipeline.ingest.records import read_quarantine
from pipeline.release.decisions import decisions, why_withdrawn
from pipeline.report.facts import Run, facts
from pipeline.report.pages import write_report
from pipeline.report.pictures import (
    WorstImage,
    draw_panels,
    find_records,
    painted_colours,
    plot_prediction,
    png,
    worst_images,
)
from pipeline.report.provenance import code_versions
from wseg_tf import configuration
from wseg_tf.classes import ClassSet
from wseg_tf.data.input import read_records
from wseg_tf.plots import plot_confusion, plot_ground, plot_severity
from wseg_tf.serving import ServedModel
from wseg_tf.training.objectives import build_ground

PICTURE = "prediction.png"


class RunReport(tfx.dsl.Artifact):
    """A folder with the report's page, its twins, and the pictures."""

    TYPE_NAME = "pipeline.RunReport"


@tfx.dsl.components.component
def Reporter(  # noqa: N802
    evaluation: tfx.dsl.components.InputArtifact[
        standard_artifacts.ModelEvaluation
    ],
    blessing: tfx.dsl.components.InputArtifact[
        standard_artifacts.ModelBlessing
    ],
    infra_blessing: tfx.dsl.components.InputArtifact[
        standard_artifacts.InfraBlessing
    ],
    pushed_model: tfx.dsl.components.InputArtifact[
        standard_artifacts.PushedModel
    ],
    model: tfx.dsl.components.InputArtifact[standard_artifacts.Model],
    examples: tfx.dsl.components.InputArtifact[standard_artifacts.Examples],
    quarantine: tfx.dsl.components.InputArtifact[Quarantine],
    pixel_counts: tfx.dsl.components.InputArtifact[PixelCounts],
    report: tfx.dsl.components.OutputArtifact[RunReport],
    config: tfx.dsl.components.Parameter[str],
    written: tfx.dsl.components.Parameter[str],
    manifest: tfx.dsl.components.Parameter[str],
    code: tfx.dsl.components.Parameter[str],
) -> None:
    """Writes the report of a run from what its components left.

    Args:
        evaluation: The Evaluator's figures and counts.
        blessing: Its verdict.
        infra_blessing: The serving check's verdict.
        pushed_model: What the Pusher did.
        model: The trained model.
        examples: The records, for the pictures.
        quarantine: What ingest left out.
        pixel_counts: What ingest counted.
        report: Where the report is written.
        config: File of the configuration, by value.
        written: File of the configuration as it was written.
        manifest: The folder of what was ingested.
        code: Digest of the code that reports, part of the key.
    """
    text = configuration.text_of(config)
    settings = configuration.load(PipelineConfig, text, config)
    classes = settings.data.class_set
    ground = build_ground(settings.training.ground, classes)
    images = read_evaluation(evaluation.uri).images
    trained = path_utils.serving_model_path(model.uri)
    baseline = _baseline(blessing)
    worst = worst_images(images, classes)
    fault = infra_blessing.get_string_custom_property("reason")
    found = facts(
        Run(
            name=settings.name,
            classes=classes,
            ground=ground.values,
            images=images,
            findings=judge(settings.gate, images, classes, ground),
            blessed=bool(blessing.get_int_custom_property("blessed")),
            serving_fault=fault,
            pushed=pushed_model.get_string_custom_property("pushed_destination")
            or None,
            shared=read_shared(manifest).sentence,
            withdrawn=why_withdrawn(settings.folder(), digest(trained)),
            model=trained,
            baseline=baseline,
            worst=worst,
            data=_data(settings, classes, pixel_counts.uri, manifest),
            quarantine=[
                asdict(each) for each in read_quarantine(quarantine.uri)
            ],
            lineage={
                "code": code_versions(),
                "model": {
                    "path": trained,
                    "digest": digest(trained),
                    "artifact": model.id,
                    **_model(settings),
                },
                "baseline": {}
                if baseline is None
                else {
                    "path": baseline,
                    "digest": digest(baseline),
                    "artifact": blessing.get_int_custom_property(
                        "baseline_model_id"
                    ),
                },
                "data": {
                    "manifest": manifest,
                    "records": examples.uri,
                    "digest": examples.get_string_custom_property(EVALUATED),
                    "artifact": examples.id,
                },
                "verdicts": {
                    "evaluation": evaluation.uri,
                    **{
                        f"digest of the {what} judged": found
                        for what, key in (
                            ("model", JUDGED),
                            ("baseline", AGAINST),
                            ("records", ON),
                        )
                        if (found := blessing.get_string_custom_property(key))
                    },
                    "digest of the model served": (
                        infra_blessing.get_string_custom_property(DIGEST)
                    ),
                    "blessing artifact": blessing.id,
                    "serving check artifact": infra_blessing.id,
                    "push artifact": pushed_model.id,
                },
            },
            config=configuration.text_of(written) if written else text,
            decisions=[asdict(each) for each in decisions(settings.folder())],
        )
    )
    records = os.path.join(examples.uri, "Split-eval", "*")
    candidate = ServedModel(trained)
    pictures = {
        "severity.png": png(plot_severity(found["confusion"], ground, classes)),
        "confusion.png": png(plot_confusion(found["confusion"], classes)),
        "ground.png": png(plot_ground(ground, classes)),
        PICTURE: png(
            plot_prediction(candidate, read_records(records, ""), classes), 150
        ),
    }
    models = {} if baseline is None else {"baseline": ServedModel(baseline)}
    models["candidate"] = candidate
    panels = _panels(records, models, worst, classes)
    for number, (row, own) in enumerate(
        zip(found["worst"], panels, strict=True), 1
    ):
        # By number: a frame's name may be long, or no file's name.
        row["files"] = {
            caption: f"worst-{number}-{caption}.jpg" for caption in own
        }
        pictures |= {row["files"][caption]: own[caption] for caption in own}
    found["legend"] = painted_colours(classes, classes.names)
    write_report(report.uri, found, pictures)


def _baseline(blessing: Any) -> str | None:
    uri = blessing.get_string_custom_property("baseline_model")
    return path_utils.serving_model_path(uri) if uri else None


def _data(
    settings: PipelineConfig, classes: ClassSet, counts: str, manifest: str
) -> dict[str, Any]:
    found = read_counts(os.path.join(counts, STATISTICS))
    splits = {}
    for split, drives in found.items():
        own = total_of(drives)
        # Images without labels show no class: all is void.
        shares = np.nan_to_num(own.frequencies).tolist()
        splits[split] = {
            "images": own.images,
            "drives": sorted(drives),
            "void": own.void_share,
            "shares": dict(zip(classes.names, shares, strict=True)),
        }
    return {
        "dataset": settings.data.dataset,
        "judged on": f"split {settings.data.eval}",
        "manifest": os.path.basename(manifest),
        "splits": splits,
    }


def _model(settings: PipelineConfig) -> dict[str, str]:
    recipe = settings.training
    stages = [
        f"{stage.name}: {stage.loss} for {stage.epochs} epochs"
        for stage in recipe.stages
    ]
    return {
        "network": recipe.model,
        "input": f"{recipe.height}x{recipe.width}",
        "training": "; ".join(stages),
    }


def _panels(
    records: str,
    models: dict[str, ServedModel],
    worst: list[WorstImage],
    classes: ClassSet,
) -> list[dict[str, bytes]]:
    keys = [(each.name, each.drive) for each in worst]
    found = find_records(read_records(records, ""), keys)
    return [
        draw_panels(found[key], models, each, classes)
        for key, each in zip(keys, worst, strict=True)
    ]
