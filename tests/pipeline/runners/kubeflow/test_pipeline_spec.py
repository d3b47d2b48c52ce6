"""A pipeline spec: options in their places, and refusals."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tfx.utils import import_utils

from pipeline.commands.screen import USER_ERROR
from tests.pipeline.runners.kubeflow.commands import PARAMETERS, wseg
from tests.pipeline.runners.small import ARGO, IMAGE


@pytest.fixture(scope="module")
def compiled(folder: Path, full: list[str]) -> Path:
    path = folder / "v2.yaml"
    code, screen = wseg(
        "compile", *full, "--target=kubeflow-v2", f"--out={path}"
    )
    assert code == 0, screen
    return path


def test_every_step_asks_for_what_was_configured(
    folder: Path, compiled: Path
) -> None:
    spec, platform = yaml.safe_load_all(compiled.read_text())
    containers = {
        label: executor["container"]
        for label, executor in spec["deploymentSpec"]["executors"].items()
        if "container" in executor
    }
    assert {each["image"] for each in containers.values()} == {IMAGE}
    assert containers["Trainer_executor"]["resources"] == {
        "cpuLimit": 0.5,
        "memoryLimit": pytest.approx(16 * 1.024**3),
        "accelerator": {"type": "nvidia.com/gpu", "count": "1"},
    }
    assert "accelerator" not in containers["Pusher_executor"]["resources"]
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["Ingest"]["retryPolicy"] == {"maxRetryCount": 2}
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert {*pods} == {*containers}
    assert pods["Trainer_executor"] == {
        "secretAsEnv": [
            {
                "secretName": "store",
                "keyToEnv": [{"secretKey": "key", "envVar": "KEY"}],
            }
        ],
        "secretAsVolume": [
            {"secretName": "cloud", "mountPath": "/secrets/cloud"}
        ],
        "pvcMount": [{"constant": "data", "mountPath": str(folder)}],
        "nodeSelector": {"labels": {"pool": "gpu"}},
        "activeDeadlineSeconds": 3600,
    }


def test_kinds_of_artifacts_are_found_by_their_names(compiled: Path) -> None:
    text = compiled.read_text()
    for name in ("Quarantine", "PixelCounts", "RunReport"):
        assert f"title: pipeline.{name}" in text
        found = import_utils.import_class_by_path(f"pipeline.{name}")
        assert f"pipeline.{name}" == found.TYPE_NAME


def test_a_job_of_vertex_refuses_what_only_kubernetes_has(
    folder: Path, full: list[str]
) -> None:
    path = folder / "job.json"
    arguments = ["--target=kubeflow-v2", f"--out={path}"]
    code, screen = wseg("compile", *full, *arguments)
    assert code == USER_ERROR, screen
    assert "a job of Vertex, which has none of Kubernetes'" in screen
    assert "'pvcMount', 'secretAsEnv', 'secretAsVolume']" in screen
    assert not path.exists()


def test_a_run_has_the_compiled_values_by_default(
    folder: Path, compiled: Path
) -> None:
    spec = next(yaml.safe_load_all(compiled.read_text()))
    assert spec["defaultPipelineRoot"] == f"{folder}/runs/demo/pipeline"
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    assert {*inputs} == PARAMETERS
    kept = Path(inputs["config"]["defaultValue"])
    assert "name: demo" in kept.read_text()
    assert all(each["isOptional"] for each in inputs.values())


@pytest.mark.skipif(ARGO, reason="kfp-kubernetes needs KFP 2")
def test_pods_are_what_kfp_kubernetes_would_make(
    folder: Path, compiled: Path, tmp_path: Path
) -> None:
    from google.protobuf import json_format
    from kfp import compiler, dsl, kubernetes
    from kfp.client.client import _extract_pipeline_yaml
    from kfp.kubernetes.kubernetes_executor_config_pb2 import (
        KubernetesExecutorConfig,
    )

    def trainer():
        return dsl.ContainerSpec(image=IMAGE)

    def pipeline() -> None:
        task = dsl.container_component(trainer)()
        kubernetes.add_node_selector(task, "pool", "gpu")
        kubernetes.set_timeout(task, 3600)
        kubernetes.use_secret_as_env(task, "store", {"key": "KEY"})
        kubernetes.use_secret_as_volume(task, "cloud", "/secrets/cloud")
        kubernetes.mount_pvc(task, "data", str(folder))

    path = tmp_path / "theirs.yaml"
    compiler.Compiler().compile(dsl.pipeline(pipeline), str(path))

    def pod(file: Path, executor: str) -> Any:
        platform = _extract_pipeline_yaml(str(file)).to_dict()["platform_spec"]
        executors = platform["platforms"]["kubernetes"]["deploymentSpec"]
        found = json_format.ParseDict(
            executors["executors"][executor], KubernetesExecutorConfig()
        )
        # Its names for a parameter's value; servers read the plain ones too.
        for each in found.secret_as_env:
            each.ClearField("secret_name_parameter")
            each.ClearField("optional")
        for each in found.secret_as_volume:
            each.ClearField("secret_name_parameter")
            each.ClearField("optional")
        for each in found.pvc_mount:
            each.ClearField("pvc_name_parameter")
        return found

    assert pod(compiled, "Trainer_executor") == pod(path, "exec-trainer")


@pytest.mark.skipif(ARGO, reason="Argo is there")
def test_argo_is_told_to_need_the_other_environment(full: list[str]) -> None:
    code, screen = wseg("compile", *full, "--target=kubeflow")
    assert code == USER_ERROR
    assert "Expected kubeflow-v2 or tfjob: workflows for Argo" in screen
    assert len(screen.splitlines()) == 1
