"""Compiles the pipeline to the pipeline spec of KFP v2 and of Vertex AI."""

from __future__ import annotations

import json
from typing import Any

import tensorflow as tf
import yaml
from tfx import v1 as tfx
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from pipeline.config.kubeflow_options import (
    KubeflowOptions,
    PodOptions,
    quantity,
)
from pipeline.gate.baseline import find_blessed_by_type
from pipeline.graph import Engine
from pipeline.report.provenance import compiled_by, origin
from pipeline.runners.kubeflow.cluster import ACCELERATOR, check_steps
from pipeline.runners.kubeflow.run_parameters import RunParameters
from pipeline.runners.kubeflow.step import started
from pipeline.runners.prepared import Build
from wseg_tf.configuration import ConfigurationError

GIGABYTE = 1e9


def compile_spec(build: Build, options: KubeflowOptions, path: str) -> None:
    """Writes the pipeline spec.

    A `.json` file is a job of Vertex AI. A `.yaml` file is for Kubeflow
    Pipelines 2: what only Kubernetes knows is its second document.

    Args:
        build: Makes the pipeline for an engine.
        options: What the cluster must know.
        path: A `.json` or `.yaml` file.

    Raises:
        ConfigurationError: If there are options of a step there is not, or a
            job of Vertex is to have what only Kubernetes knows.
    """
    parameters = RunParameters()
    pipeline = build(
        Engine(
            parameters,
            find_blessed_by_type,
            metadata=False,
            origin=origin(compiled_by()),
        )
    )
    check_steps(options, pipeline)
    job = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=options.image,
            default_commands=started(kubeflow_v2_dag_runner.KUBEFLOW_TFX_CMD),
            use_pipeline_spec_2_1=True,
        )
    ).run(pipeline, write_out=False)
    spec = job["pipelineSpec"]
    _ask(spec, pipeline, options)
    # KFP reads the spec alone: a run of it has these values by default.
    spec["defaultPipelineRoot"] = pipeline.pipeline_info.pipeline_root
    for name, given in spec["root"]["inputDefinitions"]["parameters"].items():
        given |= {"defaultValue": parameters.values[name], "isOptional": True}
    platform = _platform(spec, options)
    if path.endswith(".json"):
        _refuse_kubernetes(platform)
        text = json.dumps(job, indent=2, sort_keys=True)
    else:
        documents = [spec, *([platform] if platform else [])]
        text = yaml.safe_dump_all(documents)
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(text)


def _steps(spec: dict[str, Any]) -> dict[str, str]:
    """Returns the label of each container's executor by its step."""
    executors = spec["deploymentSpec"]["executors"]
    labels = {
        name: component["executorLabel"]
        for name, component in spec["components"].items()
    }
    return {
        name: label
        for name, label in labels.items()
        if "container" in executors[label]
    }


def _ask(
    spec: dict[str, Any], pipeline: tfx.dsl.Pipeline, options: KubeflowOptions
) -> None:
    """Adds each step's resources and retries to a pipeline spec."""
    executors = spec["deploymentSpec"]["executors"]
    for step, label in _steps(spec).items():
        own = options.of(step)
        resources = _resources(own)
        if resources:
            executors[label]["container"]["resources"] = resources
        if own.retries:
            task = spec["root"]["dag"]["tasks"][step]
            task["retryPolicy"] = {"maxRetryCount": own.retries}


def _resources(options: PodOptions) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if options.cpu is not None:
        found["cpuLimit"] = quantity(options.cpu)
    if options.memory is not None:
        found["memoryLimit"] = quantity(options.memory) / GIGABYTE
    if options.gpus:
        found["accelerator"] = {
            "type": options.accelerator or ACCELERATOR,
            "count": str(options.gpus),
        }
    return found


def _platform(spec: dict[str, Any], options: KubeflowOptions) -> dict[str, Any]:
    """Returns what the steps ask of Kubernetes alone."""
    executors = {
        label: found
        for step, label in _steps(spec).items()
        if (found := _pod(options, options.of(step)))
    }
    if not executors:
        return {}
    deployment = {"deploymentSpec": {"executors": executors}}
    return {"platforms": {"kubernetes": deployment}}


def _pod(options: KubeflowOptions, step: PodOptions) -> dict[str, Any]:
    found = {
        "secretAsEnv": [
            {
                "secretName": secret.name,
                "keyToEnv": [
                    {"secretKey": key, "envVar": variable}
                    for variable, key in secret.environment.items()
                ],
            }
            for secret in options.secrets
            if secret.environment
        ],
        "secretAsVolume": [
            {"secretName": secret.name, "mountPath": secret.mount}
            for secret in options.secrets
            if secret.mount is not None
        ],
        "pvcMount": [
            {"constant": volume.claim, "mountPath": volume.path}
            for volume in options.volumes
        ],
        "nodeSelector": {"labels": step.node_selector}
        if step.node_selector
        else None,
        "activeDeadlineSeconds": step.timeout,
    }
    return {name: value for name, value in found.items() if value}


def _refuse_kubernetes(platform: dict[str, Any]) -> None:
    if platform:
        raise ConfigurationError(
            "Invalid value for argument `kubeflow`. Expected no secrets, "
            "volumes, node selectors and timeouts in a .json file, a job of "
            "Vertex, which has none of Kubernetes'; write a .yaml file or "
            f"leave them out. Received: {_names(platform)}."
        )


def _names(platform: dict[str, Any]) -> list[str]:
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]
    pods = executors["executors"].values()
    return sorted({name for pod in pods for name in pod})
