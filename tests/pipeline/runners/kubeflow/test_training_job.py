"""A training of several machines: what Kubernetes and its workers are told."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kubernetes import client
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config.loading import load

CONFIG = str(Path(__file__).parents[4] / "configs" / "demo.yaml")


@pytest.fixture(scope="module")
def arguments(folder: Path) -> list[str]:
    return [
        "compile",
        CONFIG,
        "--target=tfjob",
        "--workers=4",
        f"--out={folder}/job.yaml",
        f"root={folder}/runs",
        "training.execution.distribute=multi_worker",
        "kubeflow.image=registry.example.com/wseg:1",
        "kubeflow.namespace=streets",
        "kubeflow.service_account=trainer",
        f"kubeflow.volumes=[{{claim: data.1, path: {folder}}}]",
        "kubeflow.default={cpu: 500m, memory: 4Gi, retries: 2}",
        "kubeflow.steps=[{name: Trainer, memory: 16Gi, gpus: 1,"
        "node_selector: {pool: gpu}, timeout: 3600}]",
        "kubeflow.secrets=[{name: store, environment: {KEY: key}},"
        "{name: cloud, mount: /secrets/cloud}]",
    ]


@pytest.fixture(scope="module")
def job(folder: Path, arguments: list[str]) -> Any:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert f"{folder}/runs/demo/training" in done.output
    return yaml.safe_load((folder / "job.yaml").read_text())


def test_the_operator_starts_the_workers(job: Any) -> None:
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    assert job["metadata"] == {"name": "demo-training", "namespace": "streets"}
    assert job["spec"]["runPolicy"] == {
        "cleanPodPolicy": "None",
        "backoffLimit": 2,
        "activeDeadlineSeconds": 3600,
    }
    ((role, worker),) = job["spec"]["tfReplicaSpecs"].items()
    assert (role, worker["replicas"]) == ("Worker", 4)
    assert worker["restartPolicy"] == "OnFailure"


def test_the_pod_is_one_that_kubernetes_knows(job: Any) -> None:
    """Its client drops what it does not know, and refuses what must be."""
    template = job["spec"]["tfReplicaSpecs"]["Worker"]["template"]

    api = client.ApiClient()
    answer = SimpleNamespace(data=json.dumps(template))
    read = api.deserialize(answer, "V1PodTemplateSpec")
    assert api.sanitize_for_serialization(read) == template
    (container,) = read.spec.containers
    assert container.name == "tensorflow"
    assert container.resources.requests == {"cpu": "500m", "memory": "16Gi"}
    assert container.resources.limits == {"nvidia.com/gpu": "1"}
    assert container.env[0].value_from.secret_key_ref.name == "store"
    assert {each.mount_path for each in container.volume_mounts} > {
        "/secrets/cloud"
    }
    mounted = {each.name for each in container.volume_mounts}
    assert mounted == {each.name for each in read.spec.volumes}
    assert not any("." in name for name in mounted)
    assert read.spec.node_selector == {"pool": "gpu"}
    assert read.spec.service_account_name == "trainer"


def test_its_command_trains_the_same_recipe(job: Any, folder: Path) -> None:
    template = job["spec"]["tfReplicaSpecs"]["Worker"]["template"]
    (container,) = template["spec"]["containers"]
    program, command, config, out = container["command"]
    assert (program, command) == ("wseg", "train")
    assert out == f"--out={folder}/runs/demo/training"
    written = load(config)
    assert written.training.execution.distribute == "multi_worker"
    assert (
        written.training
        == load(CONFIG, ["training.execution.distribute=multi_worker"]).training
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("training.execution.distribute=none", "Expected multi_worker"),
        ("training.batch=6", "Expected a multiple of the 4 workers"),
        ("root=runs", "Expected a remote path or an absolute one"),
    ],
)
def test_what_several_machines_cannot_do_is_refused(
    arguments: list[str], change: str, sentence: str
) -> None:
    done = CliRunner().invoke(app, [*arguments, change])
    assert done.exit_code == 2
    assert sentence in done.output
