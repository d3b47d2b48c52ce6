"""Compiles the pipeline for Kubeflow Pipelines on Argo (KFP v1)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from kfp import dsl
from kubernetes import client as kubernetes
from tfx.orchestration.kubeflow import kubeflow_dag_runner

from pipeline.config.kubeflow_options import (
    KubeflowOptions,
    PodOptions,
    Secret,
    Volume,
)
from pipeline.graph import Engine
from pipeline.report.provenance import compiled_by, origin
from pipeline.runners.kubeflow.cluster import ACCELERATOR, check_steps
from pipeline.runners.kubeflow.run_parameters import RunParameters
from pipeline.runners.kubeflow.step import started
from pipeline.runners.prepared import Build

# TFX writes it to the root folder, which only the super-user may write to.
UI_METADATA = "/tmp/mlpipeline-ui-metadata.json"

Change = Callable[[dsl.ContainerOp], dsl.ContainerOp]


def compile_argo(build: Build, options: KubeflowOptions, path: str) -> None:
    """Writes the workflow that Kubeflow Pipelines runs.

    Args:
        build: Makes the pipeline for an engine.
        options: What the cluster must know.
        path: A `.yaml` file.

    Raises:
        ConfigurationError: If the cluster could not run it: no image, paths
            that no step can see, or options of a step there is not.
    """
    pipeline = build(
        Engine(RunParameters(), metadata=False, origin=origin(compiled_by()))
    )
    check_steps(options, pipeline)
    folder, name = os.path.split(os.path.abspath(path))
    kubeflow_dag_runner.KubeflowDagRunner(
        output_dir=folder,
        output_filename=name,
        config=kubeflow_dag_runner.KubeflowDagRunnerConfig(
            tfx_image=options.image,
            metadata_ui_path=UI_METADATA,
            pipeline_operator_funcs=[
                # The address of the metadata service.
                *kubeflow_dag_runner.get_default_pipeline_operator_funcs(),
                lambda step: _ask(step, options.of(step.human_name)),
                _start_here,
                *[_secret(secret) for secret in options.secrets],
                *[_volume(volume) for volume in options.volumes],
                _always_start,
            ],
        ),
    ).run(pipeline)


def _ask(step: dsl.ContainerOp, options: PodOptions) -> dsl.ContainerOp:
    container = step.container
    if options.cpu is not None:
        container.set_cpu_request(options.cpu)
    if options.memory is not None:
        container.set_memory_request(options.memory)
    if options.gpus:
        container.add_resource_limit(
            options.accelerator or ACCELERATOR, str(options.gpus)
        )
    for label, value in (options.node_selector or {}).items():
        step.add_node_selector_constraint(label, value)
    if options.retries:
        # Also for a pod whose node was lost; training resumes.
        step.set_retry(options.retries, policy="Always")
    if options.timeout is not None:
        step.set_timeout(options.timeout)
    return step


def _start_here(step: dsl.ContainerOp) -> dsl.ContainerOp:
    """Lets every step open an object store, TFX's own components too."""
    step.container.command = started(step.container.command)
    return step


def _secret(secret: Secret) -> Change:
    def refer(step: dsl.ContainerOp) -> dsl.ContainerOp:
        for variable, key in secret.environment.items():
            step.container.add_env_variable(
                kubernetes.V1EnvVar(
                    name=variable,
                    value_from=kubernetes.V1EnvVarSource(
                        secret_key_ref=kubernetes.V1SecretKeySelector(
                            name=secret.name, key=key
                        )
                    ),
                )
            )
        if secret.mount is not None:
            source = kubernetes.V1SecretVolumeSource(secret_name=secret.name)
            _mount(step, f"secret-{secret.name}", secret.mount, secret=source)
        return step

    return refer


def _volume(volume: Volume) -> Change:
    def mount(step: dsl.ContainerOp) -> dsl.ContainerOp:
        source = kubernetes.V1PersistentVolumeClaimVolumeSource(
            claim_name=volume.claim
        )
        _mount(
            step,
            f"volume-{volume.claim}",
            volume.path,
            persistent_volume_claim=source,
        )
        return step

    return mount


def _mount(step: dsl.ContainerOp, name: str, path: str, **source: Any) -> None:
    # A volume's name is a label: shorter than that of a secret, and dotless.
    name = name.replace(".", "-")[:63].rstrip("-")
    step.add_volume(kubernetes.V1Volume(name=name, **source))
    step.container.add_volume_mount(
        kubernetes.V1VolumeMount(name=name, mount_path=path)
    )


def _always_start(step: dsl.ContainerOp) -> dsl.ContainerOp:
    """Keeps Kubeflow's own cache out: it knows nothing of new baselines.

    TFX's cache, within the step, knows what may be reused.
    """
    step.execution_options.caching_strategy.max_cache_staleness = "P0D"
    return step
