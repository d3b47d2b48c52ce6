"""The component that writes a run's report."""

# TFX reads the annotations of components as they stand: none may be a string.

import os
from contextvars import ContextVar
from dataclasses import asdict
from typing import Any

import numpy as np
import tensorflow as tf
from tfx import v1 as tfx
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from pipeline.config.pipeline_config import PipelineConfig
from pipeline.gate.digests import DIGEST, digest, verify
from pipeline.gate.evaluation import read_evaluation
from pipeline.gate.evaluator import AGAINST, EVALUATED, JUDGED, ON
from pipeline.gate.judge import judge
from pipeline.ingest.component import PixelCounts, Quarantine
from pipeline.ingest.leaks import read_shared
from pipeline.ingest.pixel_counts import STATISTICS, StatisticsBySplit
from pipeline.ingest.pixel_counts import read as read_counts
from pipeline.ingest.pixel_counts import total as total_of
from pipeline.ingest.records import read_quarantine
from pipeline.machines import machines_of
from pipeline.release.decisions import decisions, why_withdrawn
from pipeline.report.evidence import (
    check_classes,
    check_counts,
    check_digests,
)
from pipeline.report.facts import facts
from pipeline.report.missed import look
from pipeline.report.pages import write_report
from pipeline.report.pictures import (
    draw_missed,
    draw_panels,
    find_records,
    plot_prediction,
    png,
    typical_images,
    worst_images,
)
from pipeline.report.provenance import code_versions, started
from pipeline.report.run import Run
from wseg_tf import configuration
from wseg_tf.classes import ClassSet
from wseg_tf.data.input import read_records
from wseg_tf.plots import (
    plot_confusion,
    plot_ground,
    plot_history,
    plot_severity,
)
from wseg_tf.serving import ServedModel
from wseg_tf.training.history import read_history
from wseg_tf.training.loop import HISTORY
from wseg_tf.training.objectives import build_ground

PICTURE = "prediction.png"
# What the verdict notes the digests of, in words.
_WORDS = {JUDGED: "model", AGAINST: "baseline", ON: "records"}
_RUN = ContextVar("run", default="")


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
    model_run: tfx.dsl.components.InputArtifact[standard_artifacts.ModelRun],
    report: tfx.dsl.components.OutputArtifact[RunReport],
    config: tfx.dsl.components.Parameter[str],
    written: tfx.dsl.components.Parameter[str],
    manifest: tfx.dsl.components.Parameter[str],
    origin: tfx.dsl.components.Parameter[str],
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
        model_run: What the training left beside the model: its history, and
            the machines that it ran on.
        report: Where the report is written.
        config: File of the configuration, by value.
        written: File of the configuration as it was written.
        manifest: The folder of what was ingested.
        origin: Who and what started the run; empty if this program did.
        code: Digest of the code that reports, part of the key.

    Raises:
        DataError: If any of it is not what the verdict is about.
    """
    for each in (evaluation, model_run, pixel_counts, quarantine):
        verify(each, each.uri)
    trained = path_utils.serving_model_path(model.uri)
    records = artifact_utils.get_split_uri([examples], EVALUATED)
    baseline = _baseline(blessing)
    digests = {
        JUDGED: verify(model, trained),
        AGAINST: "" if baseline is None else digest(baseline),
        ON: verify(examples, records, EVALUATED),
    }
    text = configuration.kept_text(config)
    settings = configuration.load(PipelineConfig, text, config)
    classes = settings.data.class_set
    ground = build_ground(settings.training.ground, classes)
    images = read_evaluation(evaluation.uri).images
    for key, what in _WORDS.items():
        noted = blessing.get_string_custom_property(key)
        check_digests(noted, digests[key], what)
    candidate = ServedModel(trained)
    models = {} if baseline is None else {"baseline": ServedModel(baseline)}
    models["candidate"] = candidate
    for name, each in models.items():
        check_classes(classes, each.classes, name)
    counted = read_counts(os.path.join(pixel_counts.uri, STATISTICS))
    check_counts(images, total_of(counted[EVALUATED]))
    read = read_records(os.path.join(records, "*"), "")
    history = read_history(os.path.join(model_run.uri, HISTORY))
    run = Run(
        name=settings.name,
        classes=classes,
        ground=ground.values,
        images=images,
        findings=judge(settings.gate, images, classes, ground),
        blessed=bool(blessing.get_int_custom_property("blessed")),
        serving_fault=infra_blessing.get_string_custom_property("reason"),
        pushed=pushed_model.get_string_custom_property("pushed_destination")
        or None,
        shared=read_shared(manifest).sentence,
        withdrawn=why_withdrawn(settings.folder(), digests[JUDGED]),
        model=trained,
        baseline=baseline,
        gate=settings.gate,
        worst=worst_images(images, classes),
        typical=typical_images(images, classes),
        missed=look(candidate, read, images, classes),
        history=history,
        selected=_selected(settings),
        started=started(_RUN.get(), origin),
        machines=[asdict(each) for each in machines_of(model_run.uri)],
        data=_data(settings, classes, counted, manifest),
        quarantine=[asdict(each) for each in read_quarantine(quarantine.uri)],
        lineage={
            "code": code_versions(),
            "model": {
                "path": trained,
                "digest": digests[JUDGED],
                "artifact": model.id,
                **_model(settings),
            },
            "baseline": {}
            if baseline is None
            else {
                "path": baseline,
                "digest": digests[AGAINST],
                "artifact": blessing.get_int_custom_property(
                    "baseline_model_id"
                ),
            },
            "data": {
                "manifest": manifest,
                "records": examples.uri,
                "digest": digests[ON],
                "artifact": examples.id,
            },
            "verdicts": {
                "evaluation": evaluation.uri,
                **{
                    f"digest of the {what} judged": found
                    for key, what in _WORDS.items()
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
        config=configuration.kept_text(written) if written else text,
        decisions=[asdict(each) for each in decisions(settings.folder())],
    )
    found = facts(run)
    pictures = {
        "severity.png": png(plot_severity(found["confusion"], ground, classes)),
        "confusion.png": png(plot_confusion(found["confusion"], classes)),
        "ground.png": png(plot_ground(ground, classes)),
        "history.png": png(plot_history(history)),
        PICTURE: png(plot_prediction(candidate, read, classes), 150),
    }
    pictures |= _panels(found, run, models, read)
    write_report(report.uri, found, pictures)


_Executor: Any = Reporter.EXECUTOR_SPEC.executor_class


class NamingExecutor(_Executor):
    """TFX's own of the function, but the report names the run it is of."""

    def Do(self, input_dict, output_dict, exec_properties):  # type: ignore[no-untyped-def]  # noqa: N802
        """Writes the report of this run."""
        context = self._context
        run = _RUN.set((context and context.pipeline_run_id) or "")
        try:
            super().Do(input_dict, output_dict, exec_properties)
        finally:
            _RUN.reset(run)


Reporter.EXECUTOR_SPEC = ExecutorClassSpec(NamingExecutor)


def _panels(
    found: dict[str, Any],
    run: Run,
    models: dict[str, ServedModel],
    records: tf.data.Dataset,
) -> dict[str, bytes]:
    """Draws the images that are shown; names their files in the facts."""
    pictures: dict[str, bytes] = {}
    regions = () if run.missed is None else run.missed.shown
    keys = [(each.name, each.drive) for each in [*run.worst, *run.typical]]
    keys += [(each.name, each.drive) for each in regions]
    own = find_records(records, keys)
    for kind, images in (("worst", run.worst), ("typical", run.typical)):
        for number, image in enumerate(images):
            record = own[image.name, image.drive]
            panels = draw_panels(record, models, image, run.classes)
            files = _named(f"{kind}-{number + 1}", panels, pictures)
            found[kind][number]["files"] = files
    for number, region in enumerate(regions):
        record = own[region.name, region.drive]
        candidate = [*models.values()][-1]
        panels = draw_missed(record, candidate, region, run.classes)
        files = _named(f"missed-{number + 1}", panels, pictures)
        found["missed"]["shown"][number]["files"] = files
    return pictures


def _named(
    name: str, panels: dict[str, bytes], pictures: dict[str, bytes]
) -> dict[str, str]:
    """Adds panels to a report's pictures; returns their files by caption."""
    files = {}
    for caption, own in panels.items():
        # By number: a frame's name may be long, or no file's name.
        kind = "png" if own.startswith(b"\x89PNG") else "jpg"
        files[caption] = f"{name}-{caption.replace(', ', '-')}.{kind}"
        pictures[files[caption]] = own
    return files


def _baseline(blessing: Any) -> str | None:
    uri = blessing.get_string_custom_property("baseline_model")
    return path_utils.serving_model_path(uri) if uri else None


def _selected(settings: PipelineConfig) -> str:
    """Returns the metric that chose the weights on the images judged."""
    if settings.data.validation is not None:
        return ""
    return settings.training.select or ""


def _data(
    settings: PipelineConfig,
    classes: ClassSet,
    counted: StatisticsBySplit,
    manifest: str,
) -> dict[str, Any]:
    data, splits = settings.data, {}
    for split, drives in counted.items():
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
        "dataset": data.dataset,
        "judged on": f"split {data.eval}",
        "validated on": f"split {data.validation or data.eval}",
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
