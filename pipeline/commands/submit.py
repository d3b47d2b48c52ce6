"""`wseg submit`: a run of a compiled pipeline on Kubeflow."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from pipeline.commands.arguments import DataFolder, Overrides
from pipeline.commands.screen import refusals, refuse, say


def submit(
    package: Annotated[
        str, typer.Argument(help="The .yaml that `wseg compile` wrote.")
    ],
    config: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Argument(help="The configuration, where a run is to differ."),
    ] = None,
    overrides: Overrides = None,
    data: DataFolder = None,
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
        from pipeline.config.adaptation_config import AdaptationConfig
        from pipeline.config.loading import load
        from pipeline.report.provenance import origin
        from pipeline.runners.kubeflow import submit as kubeflow_submit
        from pipeline.runners.kubeflow.cluster import check_cluster
        from pipeline.runners.kubeflow.run_parameters import (
            refuse_fixed,
            run_values,
        )

        compiled = kubeflow_submit.read_package(package)
        settings, values = compiled.config, {"origin": origin()}
        if config is None and (data or overrides):
            raise ValueError(
                "Invalid value for argument `config`. Expected the "
                "configuration, since the run is to differ. Received: none."
            )
        if config is not None:
            changed = load(config, overrides or [], data)
            if isinstance(changed, AdaptationConfig):
                raise ValueError(
                    "Invalid value for argument `config`. Expected none: an "
                    "adaptation is compiled with all that decides it; compile "
                    f"it again to change that. Received: config={config}."
                )
            settings = changed
            refuse_fixed(compiled.config, settings)
        address = kubeflow_submit.find_host(settings.kubeflow, host)
        if config is not None:
            check_cluster(settings)
            values = run_values(settings)
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
