"""A workflow for Argo: options in their places."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.runners.kubeflow import engine
from tests.pipeline.runners.kubeflow.commands import PARAMETERS, wseg
from tests.pipeline.runners.small import IMAGE, needs_argo

pytestmark = needs_argo


@pytest.fixture(scope="module")
def workflow(folder: Path, full: list[str]) -> Any:
    path = folder / "v1.yaml"
    code, screen = wseg("compile", *full, f"--out={path}")
    assert code == 0, screen
    return engine.read(path)


def test_every_step_runs_the_image_and_asks_for_what_was_configured(
    workflow: Any,
) -> None:
    steps = engine.templates(workflow)
    steps.pop("demo")
    assert len(steps) == 11
    for name, step in steps.items():
        assert step["container"]["image"] == IMAGE
        assert step["retryStrategy"]["limit"] == 2
        trains = name == "trainer"
        resources = step["container"]["resources"]
        memory = "16Gi" if trains else "4Gi"
        assert resources["requests"] == {"cpu": "500m", "memory": memory}
        gpus = {"nvidia.com/gpu": "1"} if trains else None
        assert resources.get("limits") == gpus
        selector = {"pool": "gpu"} if trains else None
        assert step.get("nodeSelector") == selector
        assert step.get("activeDeadlineSeconds") == (3600 if trains else None)
        labels = step["metadata"]["annotations"]
        assert labels["pipelines.kubeflow.org/max_cache_staleness"] == "P0D"


def test_secrets_are_names_alone(workflow: Any, folder: Path) -> None:
    for name, step in engine.templates(workflow).items():
        if name == "demo":
            continue
        variables = {each["name"]: each for each in step["container"]["env"]}
        assert variables["KEY"] == {
            "name": "KEY",
            "valueFrom": {"secretKeyRef": {"name": "store", "key": "key"}},
        }
        volumes = {each.pop("name"): each for each in step["volumes"]}
        assert volumes["secret-cloud"] == {"secret": {"secretName": "cloud"}}
        claim = {"persistentVolumeClaim": {"claimName": "data"}}
        assert volumes["volume-data"] == claim
        mounts = {
            each["name"]: each["mountPath"]
            for each in step["container"]["volumeMounts"]
        }
        assert mounts["secret-cloud"] == "/secrets/cloud"
        assert mounts["volume-data"] == str(folder)


def test_runs_may_be_given_data_recipe_gate_and_root(
    workflow: Any, folder: Path
) -> None:
    values = engine.defaults(workflow)
    assert {*values} == {*PARAMETERS, "pipeline-root"}
    assert values["pipeline-root"] == f"{folder}/runs/demo/pipeline"
    listed = Path(values["manifest"]) / "train.jsonl"
    assert len(listed.read_text().splitlines()) == 4


def test_a_compiled_workflow_holds_its_configuration(workflow: Any) -> None:
    gate = json.loads(engine.defaults(workflow)["gate"])
    assert gate["metrics_specs"][0]["per_slice_thresholds"]
    kept = Path(engine.defaults(workflow)["config"])
    assert "name: demo" in kept.read_text()
