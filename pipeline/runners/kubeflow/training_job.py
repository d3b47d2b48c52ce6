"""The training alone, on several machines of a cluster: a TFJob.

A step of a pipeline is one pod. Kubeflow's training operator starts several
and gives each its `TF_CONFIG`; each runs `wseg train`.
"""

from __future__ import annotations

import hashlib
from typing import Any

import tensorflow as tf
import yaml

from pipeline.config.kubeflow_options import KubeflowOptions, PodOptions
from pipeline.config.loading import Config
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.runners.kubeflow.cluster import ACCELERATOR
from wseg_tf import configuration
from wseg_tf.configuration import ConfigurationError

# The operator gives TF_CONFIG to the container of this name alone.
CONTAINER = "tensorflow"
STEP = "Trainer"


def write_training_job(config: Config, workers: int, path: str) -> str:
    """Writes the manifest that `kubectl apply` takes.

    Args:
        config: The configuration; `kubeflow` says what each worker asks for,
            as the step Trainer does.
        workers: Machines that share a batch.
        path: A `.yaml` file.

    Returns:
        The folder that the model will be in.

    Raises:
        ConfigurationError: If the recipe is not one of several machines.
    """
    if not isinstance(config, PipelineConfig):
        raise ConfigurationError(
            "Invalid value for argument `target`. Expected kubeflow or "
            "kubeflow-v2 for an adaptation. Received: target=tfjob."
        )
    execution = config.training.execution
    if execution.distribute != "multi_worker":
        raise ConfigurationError(
            "Invalid value for argument `training.execution.distribute`. "
            "Expected multi_worker, since a TFJob trains on several machines. "
            f"Received: training.execution.distribute={execution.distribute!r}."
        )
    if config.training.batch % workers:
        raise ConfigurationError(
            "Invalid value for argument `training.batch`. Expected a multiple "
            f"of the {workers} workers. Received: "
            f"training.batch={config.training.batch}."
        )
    model = config.folder("training")
    job = training_job(config, workers, _write_config(config), model)
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(yaml.safe_dump(job, sort_keys=False))
    return model


def _write_config(config: PipelineConfig) -> str:
    """Writes the configuration where every worker reads it."""
    text = configuration.dump(config)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    path = config.folder("jobs", f"{digest}.yaml")
    tf.io.gfile.makedirs(config.folder("jobs"))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(text)
    return path


def training_job(
    config: PipelineConfig, workers: int, recipe: str, model: str
) -> dict[str, Any]:
    """Returns a TFJob of `kubeflow.org/v1`.

    Args:
        config: The configuration.
        workers: How many.
        recipe: Its file, where workers see it.
        model: The folder to train in.
    """
    options = config.kubeflow
    asked = options.of(STEP)
    metadata = {"name": f"{config.name.replace('_', '-').lower()}-training"}
    if options.namespace:
        metadata["namespace"] = options.namespace
    policy: dict[str, Any] = {"cleanPodPolicy": "None"}
    if asked.retries is not None:
        policy["backoffLimit"] = asked.retries
    if asked.timeout is not None:
        policy["activeDeadlineSeconds"] = asked.timeout
    worker = {
        "replicas": workers,
        # A worker that comes back goes on from the checkpoint, as all do.
        "restartPolicy": "OnFailure" if asked.retries else "Never",
        "template": {
            "metadata": {
                # Istio would end no pod, and encrypt what workers exchange.
                "annotations": {"sidecar.istio.io/inject": "false"}
            },
            "spec": _pod(options, asked, recipe, model),
        },
    }
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": metadata,
        "spec": {"runPolicy": policy, "tfReplicaSpecs": {"Worker": worker}},
    }


def _pod(
    options: KubeflowOptions, asked: PodOptions, recipe: str, model: str
) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": options.image,
        "command": ["wseg", "train", recipe, f"--out={model}"],
        "resources": _resources(asked),
        "env": [
            {
                "name": variable,
                "valueFrom": {
                    "secretKeyRef": {"name": secret.name, "key": key}
                },
            }
            for secret in options.secrets
            for variable, key in secret.environment.items()
        ],
    }
    mounts = [
        (
            f"secret-{each.name}",
            each.mount,
            {"secret": {"secretName": each.name}},
        )
        for each in options.secrets
        if each.mount is not None
    ] + [
        (
            f"volume-{each.claim}",
            each.path,
            {"persistentVolumeClaim": {"claimName": each.claim}},
        )
        for each in options.volumes
    ]
    # A volume's name is a label: shorter than that of a secret, and dotless.
    named = [
        (name.replace(".", "-")[:63].rstrip("-"), path, source)
        for name, path, source in mounts
    ]
    container["volumeMounts"] = [
        {"name": name, "mountPath": path} for name, path, _ in named
    ]
    pod: dict[str, Any] = {"containers": [_filled(container)]}
    pod["volumes"] = [{"name": name, **source} for name, _, source in named]
    pod["nodeSelector"] = asked.node_selector
    pod["serviceAccountName"] = options.service_account
    return _filled(pod)


def _resources(asked: PodOptions) -> dict[str, Any]:
    requests = {"cpu": asked.cpu, "memory": asked.memory}
    limits = {}
    if asked.gpus:
        limits[asked.accelerator or ACCELERATOR] = str(asked.gpus)
    return _filled({"requests": _filled(requests), "limits": limits})


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what nobody asked for."""
    return {name: value for name, value in values.items() if value}
