"""What is compiled: options in their places, and refusals."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.screen import USER_ERROR
from pipeline.config.kubeflow_options import Secret, quantity
from pipeline.config.loading import load_pipeline
from pipeline.runners.kubeflow.run_parameters import refuse_fixed
from tests.pipeline.runners.kubeflow import engine
from tests.pipeline.runners.small import IMAGE, SMALL, on_cluster
from wseg_tf.configuration import ConfigurationError

CONFIG = str(Path(__file__).parents[4] / "configs" / "demo.yaml")


def wseg(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def plain(folder: Path) -> list[str]:
    """What Vertex can have too."""
    return [
        CONFIG,
        *SMALL,
        *on_cluster(folder),
        "kubeflow.default={cpu: 500m, memory: 4Gi, retries: 2}",
        "kubeflow.steps=[{name: Trainer, memory: 16Gi, gpus: 1}]",
    ]


@pytest.fixture(scope="module")
def full(plain: list[str]) -> list[str]:
    return [
        *plain,
        "kubeflow.steps.0.node_selector={pool: gpu}",
        "kubeflow.steps.0.timeout=3600",
        "kubeflow.secrets=[{name: store, environment: {KEY: key}},"
        "{name: cloud, mount: /secrets/cloud}]",
    ]


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
    assert {*values} == {
        "manifest",
        "training",
        "gate",
        "config",
        "written",
        "pipeline-root",
    }
    assert values["pipeline-root"] == f"{folder}/runs/demo/pipeline"
    listed = Path(values["manifest"]) / "train.jsonl"
    assert len(listed.read_text().splitlines()) == 4


def test_a_pipeline_spec_asks_for_the_same(
    folder: Path, full: list[str]
) -> None:
    path = folder / "v2.yaml"
    code, screen = wseg(
        "compile", *full, "--target=kubeflow-v2", f"--out={path}"
    )
    assert code == 0, screen
    spec, platform = yaml.safe_load_all(path.read_text())
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
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    assert {*inputs} >= {
        "manifest",
        "training",
        "gate",
        "config",
        "written",
    }
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


def test_kinds_of_artifacts_are_found_by_their_names_in_a_pipeline_spec(
    folder: Path,
) -> None:
    from tfx.utils import import_utils

    text = (folder / "v2.yaml").read_text()
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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["kubeflow.image=null"], "`kubeflow.image`. Expected the container"),
        (["root=runs"], "`root`. Expected a remote path or an absolute one"),
        (["kubeflow.volumes=[]"], "`root`. Expected a remote path"),
        (["training.initial=/a/b"], "`training.initial`. Expected a remote"),
        (["kubeflow.steps.0.name=Train"], "Received: name='Train'"),
        (["kubeflow.default.memory=4GB"], "e.g. 500m or 16Gi. Received: '4GB'"),
        (["kubeflow.default.retries=-1"], "`retries`. Expected at least 0"),
        (["kubeflow.secrets=[{name: a}]"], "`mount`. Expected a folder, or"),
        (["--out=x.json"], "`out`. Expected a name that ends in"),
    ],
)
def test_what_no_cluster_could_run_is_one_sentence(
    plain: list[str], changes: list[str], said: str
) -> None:
    code, screen = wseg("compile", *plain, *changes)
    assert code == USER_ERROR, screen
    assert said in screen
    assert len(screen.splitlines()) == 1


@pytest.mark.parametrize("value", ["AKIA/secret+value=", "-----BEGIN", "a b"])
def test_a_value_is_no_reference_to_a_secret(value: str) -> None:
    with pytest.raises(ValueError, match="keys of the secret"):
        Secret("store", {"KEY": value + "="})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("root=s3://other", "root"),
        ("data.drift_limit=2", "data.drift_limit"),
        ("training.initial=blessed", "training.initial"),
        ("kubeflow.image=other", "kubeflow"),
    ],
)
def test_a_run_differs_only_in_what_is_a_parameter(
    plain: list[str], change: str, named: str
) -> None:
    path, *overrides = plain
    compiled = load_pipeline(path, overrides)
    same = ["training.stages.0.epochs=3", "data.limit=1", "kubeflow.host=h"]
    refuse_fixed(compiled, load_pipeline(path, [*overrides, *same]))
    with pytest.raises(ConfigurationError, match=f"argument `{named}`"):
        refuse_fixed(compiled, load_pipeline(path, [*overrides, change]))


def test_quantities_are_those_of_kubernetes() -> None:
    assert quantity("4") == 4
    assert quantity("250m") == 0.25
    assert quantity("3Gi") == 3 * 2**30
    assert quantity("3G") == 3e9
    with pytest.raises(ValueError, match="Received: '3 GB'"):
        quantity("3 GB")


def test_a_compiled_workflow_holds_its_configuration(workflow: Any) -> None:
    gate = json.loads(engine.defaults(workflow)["gate"])
    assert gate["metrics_specs"][0]["per_slice_thresholds"]
    kept = Path(engine.defaults(workflow)["config"])
    assert "name: demo" in kept.read_text()
