"""The pipeline of an adaptation: two domains, a source model, K rounds."""

from __future__ import annotations

import json
from typing import Any

from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode

from pipeline.adaptation.rounds import round_settings
from pipeline.adaptation.self_training import (
    PseudoLabeller,
    RoundJudge,
    RoundTrainer,
)
from pipeline.config.adaptation_config import AdaptationConfig
from pipeline.config.contents import keep_config, schema_file
from pipeline.graph import Engine, as_pipeline, promote, trainer_config
from pipeline.ingest.component import Ingest
from pipeline.ingest.validation import (
    ExampleValidator,
    ImportSchemaGen,
    StatisticsGen,
    StopOnAnomalies,
)
from pipeline.report.reporter import Reporter
from pipeline.training import PICTURES, Trainer
from wseg_tf.code import code_digest
from wseg_tf.training.objectives import check


def create_adaptation_pipeline(
    config: AdaptationConfig,
    manifests: dict[str, str],
    written: str = "",
    engine: Engine = Engine(),  # noqa: B008 (it is frozen)
) -> tfx.dsl.Pipeline:
    """Returns the graph of components an adaptation executes.

    Args:
        config: The configuration, by value: what `resolved` returned.
        manifests: What `prepare_domains` returned.
        written: Path of the configuration as it was written, for the report.
        engine: What will run it; this machine by default.

    Returns:
        A TFX pipeline for any runner.

    Raises:
        ConfigurationError: If the network is unknown, or the ground matrix
            does not fit the classes.
    """
    classes = config.target.data.class_set
    ground = check(config.training, classes)
    imported = ImportSchemaGen(schema_file=schema_file(config))
    components: list[BaseNode] = [imported]
    ingests = {}
    stops = []
    for domain in ("source", "target"):
        nodes = _ingest(config, domain, manifests[domain], imported)
        ingests[domain] = nodes[0]
        stops.append(nodes[-1])
        components += nodes
    examples = {
        domain: ingest.outputs["examples"] for domain, ingest in ingests.items()
    }
    trainer = Trainer(
        run_fn="pipeline.training.run_fn",
        examples=examples["source"],
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["eval"]),
        custom_config=trainer_config(config, classes),
    ).with_id("SourceTrainer")
    trainer.add_upstream_nodes(stops)
    components.append(trainer)
    rounds = _rounds(config, examples, trainer.outputs["model"])
    components += rounds
    last = next(each for each in reversed(rounds) if "model" in each.outputs)
    model = last.outputs["model"]
    judged = config.of("target")
    promoted = promote(judged, examples["target"], model, ground, engine)
    _, evaluator, serving, pusher = promoted
    target = ingests["target"]
    reporter = Reporter(
        evaluation=evaluator.outputs["evaluation"],
        blessing=evaluator.outputs["blessing"],
        infra_blessing=serving.outputs["infra_blessing"],
        pushed_model=pusher.outputs["pushed_model"],
        model=model,
        examples=examples["target"],
        quarantine=target.outputs["quarantine"],
        pixel_counts=target.outputs["pixel_counts"],
        model_run=last.outputs["model_run"],
        config=engine.given("config", keep_config(judged)),
        written=engine.given("written", written),
        manifest=manifests["target"],
        origin=engine.given("origin", engine.origin),
        code=code_digest("pipeline.report.reporter"),
    )
    return as_pipeline(judged, [*components, *promoted, reporter], engine)


def _ingest(
    config: AdaptationConfig, domain: str, manifest: str, schema: Any
) -> list[Any]:
    """Returns a domain's ingest, its checks, and what stops at anomalies."""
    name = domain.capitalize()
    failures = config.of(domain).data.allowed_failures
    ingest = Ingest(
        manifest=manifest,
        allowed_failures=failures,
        code=code_digest("pipeline.ingest.component", without=PICTURES),
    )
    ingest = ingest.with_id(f"{name}Ingest")
    statistics = StatisticsGen(examples=ingest.outputs["examples"]).with_id(
        f"{name}Statistics"
    )
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
    ).with_id(f"{name}Validator")
    stop = StopOnAnomalies(
        anomalies=validator.outputs["anomalies"],
        code=code_digest("pipeline.ingest.validation"),
    )
    return [ingest, statistics, validator, stop.with_id(f"{name}Check")]


def _rounds(
    config: AdaptationConfig, examples: dict[str, Any], model: Any
) -> list[Any]:
    """Returns the components of all rounds, each from the last one's model."""
    given = json.dumps(round_settings(config))
    judge = RoundJudge(
        examples=examples["target"], model=model, settings=given
    ).with_id("SourceJudge")
    nodes = [judge]
    for number in range(config.adaptation.rounds):
        labeller = PseudoLabeller(
            examples=examples["target"],
            model=model,
            settings=given,
            number=number,
        ).with_id(f"PseudoLabels{number + 1}")
        trainer = RoundTrainer(
            examples=examples["source"],
            labels=labeller.outputs["labels"],
            start=model,
            settings=given,
        ).with_id(f"RoundTrainer{number + 1}")
        model = trainer.outputs["model"]
        judge = RoundJudge(
            examples=examples["target"],
            model=model,
            labels=labeller.outputs["labels"],
            before=judge.outputs["scores"],
            settings=given,
        ).with_id(f"RoundJudge{number + 1}")
        nodes += [labeller, trainer, judge]
    return nodes
