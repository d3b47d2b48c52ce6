"""`wseg compile` and `wseg submit`: the pipeline on a cluster."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands.screen import refusals, refuse, say, with_data

if TYPE_CHECKING:
    from pipeline.config.adaptation_config import AdaptationConfig
    from pipeline.config.pipeline_config import PipelineConfig
    from pipeline.runners.kubeflow.argo import Build


class Target(str, Enum):
    """What a pipeline is compiled for."""

    KUBEFLOW = "kubeflow"
    KUBEFLOW_V2 = "kubeflow-v2"
    TFJOB = "tfjob"


def compile_pipeline(
    config: Annotated[str, typer.Argument(help="A file of configs/.")],
    overrides: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads it at run time)
        typer.Argument(help="Changes, e.g. kubeflow.image=registry/wseg:1"),
    ] = None,
    target: Annotated[
        Target,
        typer.Option(
            help="KFP v1 on Argo; KFP v2 and Vertex; or the training alone, on "
            "several machines."
        ),
    ] = Target.KUBEFLOW,
    workers: Annotated[
        int, typer.Option(min=1, help="Machines of a tfjob.")
    ] = 2,
    out: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="File to write; NAME.TARGET.yaml by default."),
    ] = None,
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Folder of the data set."),
    ] = None,
) -> None:
    """Compiles the pipeline for a cluster, and lists its data there.

    A configuration with `adaptation` learns a second domain without labels.
    """
    with refusals():
        from pipeline.config import adaptation_config
        from pipeline.config.pipeline_config import load
        from pipeline.runners.kubeflow.argo import compile_argo
        from pipeline.runners.kubeflow.pipeline_spec import compile_spec

        settings: PipelineConfig | AdaptationConfig
        if adaptation_config.is_adaptation(config):
            settings = adaptation_config.load(config, overrides or [], data)
        else:
            settings = load(config, with_data(overrides, data))
        path = out or f"{settings.name}.{target.value}.yaml"
        _refuse_ending(path, target)
        if target is Target.TFJOB:
            model = _training_job(settings, workers, path)
            say(f"Compiled: {path}")
            say(f"Model:    {model}")
            return
        build, listed = _graph(settings)
        write = compile_argo if target is Target.KUBEFLOW else compile_spec
        write(build, settings.kubeflow, path)
    say(f"Compiled: {path}")
    for manifest in listed:
        say(f"Data:     {manifest}")


def _graph(
    settings: PipelineConfig | AdaptationConfig,
) -> tuple[Build, list[str]]:
    """Returns what makes the graph, and the data that were listed for it."""
    from pipeline.adaptation.graph import create_adaptation_pipeline
    from pipeline.config.adaptation_config import AdaptationConfig
    from pipeline.graph import create_pipeline
    from pipeline.ingest.domains import prepare_domain
    from pipeline.ingest.listing import prepare_schema
    from pipeline.runners.kubeflow.argo import check_cluster

    if not isinstance(settings, AdaptationConfig):
        check_cluster(settings)
        manifest, schema = _prepare(settings)
        return (
            lambda engine: create_pipeline(settings, manifest, schema, engine),
            [manifest],
        )
    domains = ("source", "target")
    for domain in domains:
        check_cluster(settings.of(domain), domain)
    schema = prepare_schema(settings.of("target"))
    listed = {domain: prepare_domain(settings, domain) for domain in domains}
    return (
        lambda engine: create_adaptation_pipeline(
            settings, listed, schema, engine
        ),
        [*listed.values()],
    )


def _training_job(
    settings: PipelineConfig | AdaptationConfig, workers: int, path: str
) -> str:
    """Writes the training of several machines; returns the model's folder."""
    from pipeline.config.pipeline_config import PipelineConfig
    from pipeline.runners.kubeflow.argo import check_cluster
    from pipeline.runners.kubeflow.training_job import write_training_job

    if not isinstance(settings, PipelineConfig):
        raise ValueError(
            "Invalid value for argument `target`. Expected kubeflow or "
            "kubeflow-v2 for an adaptation. Received: target=tfjob."
        )
    check_cluster(settings)
    return write_training_job(settings, workers, path)


def _refuse_ending(path: str, target: Target) -> None:
    """Refuses a file whose name says that it is something else."""
    endings = [".yaml", ".yml"]
    if target is Target.KUBEFLOW_V2:
        endings.append(".json")
    if not path.endswith(tuple(endings)):
        raise ValueError(
            f"Invalid value for argument `out`. Expected a name that ends in "
            f"one of {endings}. Received: out={path}."
        )


def _prepare(settings: PipelineConfig) -> tuple[str, str]:
    """Lists the data and puts the schema where the cluster sees them."""
    from pipeline.ingest.listing import prepare_manifest, prepare_schema

    schema = prepare_schema(settings)
    return prepare_manifest(settings), schema


def submit(
    package: Annotated[
        str, typer.Argument(help="What `wseg compile` wrote for kubeflow.")
    ],
    config: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="The configuration, where a run is to differ."),
    ] = None,
    overrides: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(help="Changes, e.g. training.stages.0.epochs=60"),
    ] = None,
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Folder of other data of the same data set."),
    ] = None,
    host: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Address of Kubeflow Pipelines."),
    ] = None,
    experiment: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Experiment; the pipeline's name by default."),
    ] = None,
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Name of the run."),
    ] = None,
) -> None:
    """Starts a run on Kubeflow Pipelines, with other data, recipe or gate."""
    with refusals():
        from pipeline.config.adaptation_config import is_adaptation
        from pipeline.config.pipeline_config import load
        from pipeline.runners.kubeflow import submit as kubeflow_submit
        from pipeline.runners.kubeflow.argo import check_cluster
        from pipeline.runners.kubeflow.run_parameters import (
            refuse_fixed,
            run_values,
        )

        compiled = kubeflow_submit.read_package(package)
        settings, values = compiled.config, {}
        if config is None and (data or overrides):
            raise ValueError(
                "Invalid value for argument `config`. Expected the "
                "configuration, since the run is to differ. Received: none."
            )
        if config is not None:
            if is_adaptation(config):
                raise ValueError(
                    "Invalid value for argument `config`. Expected none: an "
                    "adaptation is compiled with all that decides it; compile "
                    f"it again to change that. Received: config={config}."
                )
            settings = load(config, with_data(overrides, data))
            refuse_fixed(compiled.config, settings)
        address = kubeflow_submit.find_host(settings.kubeflow, host)
        if config is not None:
            check_cluster(settings)
            values = run_values(settings, *_prepare(settings))
        try:
            run = kubeflow_submit.submit(
                compiled,
                values,
                settings.kubeflow,
                address,
                experiment or settings.name,
                name,
            )
        except kubeflow_submit.SubmissionError as error:
            refuse(error)
    say(f"Started: {address}/#/runs/details/{run}")
