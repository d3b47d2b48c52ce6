"""`wseg compile`: the pipeline for a cluster."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Optional

import typer

from pipeline.commands.arguments import ConfigFile, DataFolder, Overrides
from pipeline.commands.screen import refusals, say


class Target(str, Enum):
    """What a pipeline is compiled for."""

    KUBEFLOW = "kubeflow"
    KUBEFLOW_V2 = "kubeflow-v2"
    TFJOB = "tfjob"


def compile_pipeline(
    config: ConfigFile,
    overrides: Overrides = None,
    target: Annotated[
        Target,
        typer.Option(
            help="KFP v1 on Argo; KFP v2 and Vertex; or the training alone, on "
            "several machines."
        ),
    ] = Target.KUBEFLOW,
    workers: Annotated[
        int, typer.Option(min=1, max=2**10, help="Machines of a tfjob.")
    ] = 2,
    out: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="File to write; NAME.TARGET.yaml by default."),
    ] = None,
    data: DataFolder = None,
) -> None:
    """Compiles the pipeline for a cluster, and lists its data there.

    A configuration with `adaptation` learns a second domain without labels.
    """
    with refusals():
        from pipeline.commands.outputs import check_outputs
        from pipeline.config.loading import load, named_files

        settings = load(config, overrides or [], data)
        path = out or f"{settings.name}.{target.value}.yaml"
        _refuse_ending(path, target)
        check_outputs([path], [config, *named_files(settings).values()])
        # After the look at the files: these take half a minute to load.
        from pipeline.runners.kubeflow.argo import check_cluster, compile_argo
        from pipeline.runners.kubeflow.pipeline_spec import compile_spec
        from pipeline.runners.kubeflow.training_job import write_training_job
        from pipeline.runners.prepared import prepare

        check_cluster(settings)
        if target is Target.TFJOB:
            say(f"Model:    {write_training_job(settings, workers, path)}")
        else:
            prepared = prepare(settings)
            write = compile_argo if target is Target.KUBEFLOW else compile_spec
            write(prepared.build, settings.kubeflow, path)
            for manifest in prepared.manifests:
                say(f"Data:     {manifest}")
    say(f"Compiled: {path}")


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
