"""The whole pipeline on one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode

from pipeline.config.contents import keep_config, schema_file
from pipeline.config.pipeline_config import PipelineConfig, RunConfig
from pipeline.gate.baseline import find_blessed
from pipeline.gate.evaluation import eval_config
from pipeline.gate.evaluator import Evaluator
from pipeline.ingest.component import Ingest
from pipeline.ingest.drift import StopOnDrift, drift_reference
from pipeline.ingest.validation import (
    ExampleValidator,
    ImportSchemaGen,
    StatisticsGen,
    StopOnAnomalies,
)
from pipeline.release.push import SIGNING_KEY, Pusher
from pipeline.release.serving_check import ServingCheck
from pipeline.release.statement import signer
from pipeline.report.reporter import Reporter
from pipeline.training import PICTURES, SETTINGS, Trainer, training_settings
from wseg_tf.classes import ClassSet
from wseg_tf.code import code_digest
from wseg_tf.filesystems import keep
from wseg_tf.ground import GroundMatrix
from wseg_tf.training.objectives import check
from wseg_tf.training.recipe import BLESSED


def _as_it_is(name: str, value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Engine:
    """What differs between the engines that run a pipeline.

    Args:
        given: Takes the name and the value of what a compiled pipeline may be
            given anew for each run; returns what the components are given.
        blessed: Makes the node that finds the last blessed model, which is not
            the candidate that it may be given.
        metadata: Whether ML Metadata is a file of the pipeline's own; a
            cluster has a service.
        origin: Who and what starts the run, where its steps are other
            programs than that which starts it.
    """

    given: Callable[[str, Any], Any] = _as_it_is
    blessed: Callable[..., Any] = find_blessed
    metadata: bool = True
    origin: str = ""


def create_pipeline(
    config: PipelineConfig,
    manifest: str,
    written: str = "",
    engine: Engine = Engine(),
) -> tfx.dsl.Pipeline:
    """Returns the graph of components a run executes.

    Args:
        config: The configuration, by value: what `resolved` returned.
        manifest: What `prepare_manifest` returned.
        written: Path of the configuration as it was written, for the report.
        engine: What will run it; this machine by default.

    Returns:
        A TFX pipeline for any runner.

    Raises:
        ConfigurationError: If the network is unknown, or the ground matrix
            or the reference of drift does not fit the classes.
    """
    classes = config.data.class_set
    ground = check(config.training, classes)
    listed = engine.given("manifest", manifest)

    ingest = Ingest(
        manifest=listed,
        allowed_failures=config.data.allowed_failures,
        code=code_digest("pipeline.ingest.component", without=PICTURES),
    )
    examples = ingest.outputs["examples"]
    statistics = StatisticsGen(examples=examples)
    imported = ImportSchemaGen(schema_file=schema_file(config))
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"],
        schema=imported.outputs["schema"],
    )
    stops = [
        StopOnAnomalies(
            anomalies=validator.outputs["anomalies"],
            code=code_digest("pipeline.ingest.validation"),
        )
    ]
    if config.data.drift_limit is not None:
        stops.append(
            StopOnDrift(
                pixel_counts=ingest.outputs["pixel_counts"],
                classes=classes.to_json(),
                limit=config.data.drift_limit,
                reference=drift_reference(config.data),
                code=code_digest("pipeline.ingest.drift", without=PICTURES),
            )
        )
    start = None
    if config.training.initial == BLESSED:
        start = engine.blessed("WarmStart")
    trainer = Trainer(
        run_fn="pipeline.training.run_fn",
        examples=examples,
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=[config.data.validated_on]),
        custom_config=engine.given("training", trainer_config(config, classes)),
        base_model=None if start is None else start.outputs["model"],
    )
    trainer.add_upstream_nodes(stops)
    model = trainer.outputs["model"]
    baseline, evaluator, serving, pusher = promote(
        config, examples, model, ground, engine
    )
    reporter = Reporter(
        evaluation=evaluator.outputs["evaluation"],
        blessing=evaluator.outputs["blessing"],
        infra_blessing=serving.outputs["infra_blessing"],
        pushed_model=pusher.outputs["pushed_model"],
        model=model,
        examples=examples,
        quarantine=ingest.outputs["quarantine"],
        pixel_counts=ingest.outputs["pixel_counts"],
        model_run=trainer.outputs["model_run"],
        config=engine.given("config", keep_config(config)),
        written=engine.given("written", written),
        manifest=listed,
        origin=engine.given("origin", engine.origin),
        code=code_digest("pipeline.report.reporter"),
    )
    components: list[BaseNode] = [
        ingest,
        statistics,
        imported,
        validator,
        *stops,
        trainer,
        baseline,
        evaluator,
        serving,
        pusher,
        reporter,
    ]
    if start is not None:
        components.insert(0, start)
    return as_pipeline(config, components, engine)


def trainer_config(config: RunConfig, classes: ClassSet) -> dict[str, str]:
    """Returns the Trainer's `custom_config`: the file of what it is told.

    Args:
        config: The configuration, by value.
        classes: The class set.
    """
    settings = training_settings(
        config.training, classes, config.folder("checkpoints")
    )
    folder = config.folder("configs")
    return {SETTINGS: keep(folder, "training.json", settings)}


def promote(
    config: PipelineConfig,
    examples: Any,
    model: Any,
    ground: GroundMatrix,
    engine: Engine = Engine(),
) -> list[Any]:
    """Returns the components that judge a model and push it if it is good.

    Args:
        config: The configuration.
        examples: Channel of the records; their split `eval` is judged on.
        model: Channel of the model.
        ground: The ground matrix of the expected severity.
        engine: What will run them; this machine by default.

    Returns:
        The baseline's resolver, the Evaluator, the serving check and the
        Pusher, in this order.
    """
    classes = config.data.class_set
    baseline = engine.blessed("Baseline", model)
    evaluator = Evaluator(
        examples=examples,
        example_splits=["eval"],
        model=model,
        baseline_model=baseline.outputs["model"],
        eval_config=engine.given(
            "gate",
            eval_config(config.gate, classes, ground, config.folder("configs")),
        ),
    )
    check = ServingCheck(
        model=model,
        examples=examples,
        evaluation=evaluator.outputs["evaluation"],
        model_blessing=evaluator.outputs["blessing"],
        classes=classes.to_json(),
        code=code_digest("pipeline.release.serving_check"),
    )
    # Not the trained model but what the check served: the very same files.
    pusher = Pusher(
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=check.outputs["infra_blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(
                base_directory=config.folder("serving")
            )
        ),
        custom_config={
            SIGNING_KEY: config.gate.signing_key,
            "signer": signer(config.gate.signing_key),
            "code": code_digest("pipeline.release.push"),
        },
    )
    return [baseline, evaluator, check, pusher]


def as_pipeline(
    config: PipelineConfig,
    components: Sequence[BaseNode],
    engine: Engine = Engine(),
) -> tfx.dsl.Pipeline:
    """Returns components as a pipeline, with its root, metadata and engine.

    Args:
        config: The configuration.
        components: The components, in any order.
        engine: What will run them; this machine by default.
    """
    return tfx.dsl.Pipeline(
        pipeline_name=config.name,
        pipeline_root=config.folder("pipeline"),
        components=list(components),
        enable_cache=True,
        metadata_connection_config=(
            tfx.orchestration.metadata.sqlite_metadata_connection_config(
                config.local_folder("metadata.sqlite")
            )
            if engine.metadata
            else None
        ),
        beam_pipeline_args=config.beam_options(),
    )
