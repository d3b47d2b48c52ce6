"""`wseg compile`: the pipeline for a cluster."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands.arguments import ConfigFile, DataFolder, Overrides
from pipeline.commands.screen import refusals, say
from wseg_tf.configuration import ConfigurationError

if TYPE_CHECKING:
    from pipeline.config.kubeflow_options import KubeflowOptions
    from pipeline.runners.prepared import Build

    Compiler = Callable[[Build, KubeflowOptions, str], None]


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
            help="KFP v1 on Argo, with TFX 1.15; KFP v2 and Vertex; or the "
            "training alone, on several machines."
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
        from pipeline.runners.kubeflow.cluster import check_cluster

        check_cluster(settings)
        if target is Target.TFJOB:
            from pipeline.runners.kubeflow.training_job import (
                write_training_job,
            )

            say(f"Model:    {write_training_job(settings, workers, path)}")
        else:
            write = _compiler(target)
            from pipeline.runners.prepared import prepare

            prepared = prepare(settings)
            write(prepared.build, settings.kubeflow, path)
            for manifest in prepared.manifests:
                say(f"Data:     {manifest}")
    say(f"Compiled: {path}")


def _compiler(target: Target) -> Compiler:
    if target is Target.KUBEFLOW_V2:
        from pipeline.runners.kubeflow.pipeline_spec import compile_spec

        return compile_spec
    try:
        from pipeline.runners.kubeflow.argo import compile_argo
    except ImportError as error:
        raise ConfigurationError(
            "Invalid value for argument `target`. Expected kubeflow-v2 or "
            "tfjob: workflows for Argo are written by TFX 1.15 with KFP 1.8, "
            "on Python 3.10 (`wseg_tf[kubeflow]`). Received: target=kubeflow."
        ) from error
    return compile_argo


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
