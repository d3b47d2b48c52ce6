"""An adaptation's compiled workflow: its graph, and its steps to a round."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.commands.screen import USER_ERROR
from pipeline.release.lineage import latest_run
from pipeline.runners.kubeflow.submit import read_package
from tests.pipeline.runners.kubeflow import engine
from tests.pipeline.runners.kubeflow.commands import wseg
from tests.pipeline.runners.kubeflow.metadata_service import metadata_service
from tests.pipeline.runners.small import (
    ARGO,
    IMAGE,
    SMALL_DOMAINS,
    needs_argo,
    on_cluster,
)
from tests.wseg_tf.training.small import small_net
from wseg_tf import models
from wseg_tf.adaptation.labelling import read_summary

CONFIG = str(Path(__file__).parents[4] / "configs" / "day_to_dusk.yaml")


@pytest.fixture(scope="module")
def overrides(folder: Path) -> list[str]:
    return [
        *SMALL_DOMAINS,
        *on_cluster(folder),
        "adaptation.stage.epochs=1",
        "kubeflow.steps=[{name: RoundTrainer1, gpus: 1}]",
    ]


@pytest.fixture(scope="module")
def workflow(folder: Path, overrides: list[str]) -> Any:
    path = folder / "v1.yaml"
    code, screen = wseg("compile", CONFIG, *overrides, f"--out={path}")
    assert code == 0, screen
    return engine.read(path)


@needs_argo
def test_the_rounds_are_steps_each_from_the_last_one_s_model(
    workflow: Any,
) -> None:
    steps = engine.templates(workflow)
    tasks = steps.pop("day-to-dusk")["dag"]["tasks"]
    waits = {each["name"]: each.get("dependencies", []) for each in tasks}
    assert {*waits} == {*steps}
    for number, model in ((1, "sourcetrainer"), (2, "roundtrainer1")):
        labels = f"pseudolabels{number}"
        trainer = f"roundtrainer{number}"
        assert {"targetingest", model} <= {*waits[labels]}
        assert {"sourceingest", labels, model} <= {*waits[trainer]}
        judge = waits[f"roundjudge{number}"]
        assert {"targetingest", labels, trainer} <= {*judge}
    assert "roundtrainer2" in waits["evaluator"]
    for name, step in steps.items():
        assert step["container"]["image"] == IMAGE
        limits = step["container"].get("resources", {}).get("limits")
        gpus = {"nvidia.com/gpu": "1"} if name == "roundtrainer1" else None
        assert limits == gpus
    values = engine.defaults(workflow)
    own = {"gate", "config", "written", "origin", "pipeline-root"}
    assert {*values} == own


@pytest.fixture(scope="module")
def spec(folder: Path, overrides: list[str]) -> Any:
    path = folder / "v2.yaml"
    arguments = [*overrides, "--target=kubeflow-v2", f"--out={path}"]
    code, screen = wseg("compile", CONFIG, *arguments)
    assert code == 0, screen
    return next(yaml.safe_load_all(path.read_text()))


def test_a_pipeline_spec_has_the_same_rounds(spec: Any) -> None:
    tasks = spec["root"]["dag"]["tasks"]
    for number, model in ((1, "SourceTrainer"), (2, "RoundTrainer1")):
        inputs = tasks[f"PseudoLabels{number}"]["inputs"]["artifacts"]
        origin = inputs["model"]["taskOutputArtifact"]
        assert origin["producerTask"] == model
        inputs = tasks[f"RoundTrainer{number}"]["inputs"]["artifacts"]
        origin = inputs["labels"]["taskOutputArtifact"]
        assert origin["producerTask"] == f"PseudoLabels{number}"


@pytest.fixture
def _small_net(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A network of a few layers; and a step sets its process's log level."""
    monkeypatch.setattr(models, "build", small_net)
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@needs_argo
@pytest.mark.usefixtures("_small_net")
def test_the_commands_of_the_steps_label_and_train_a_round(
    folder: Path, workflow: Any
) -> None:
    with metadata_service(folder / "metadata.sqlite") as port:
        environment = {
            "METADATA_GRPC_SERVICE_HOST": "localhost",
            "METADATA_GRPC_SERVICE_PORT": str(port),
            "WORKFLOW_ID": "first",
            "KFP_POD_NAME": "first-pod",
        }
        done = engine.run(
            workflow, {}, environment, "", folder, "roundtrainer1"
        )
    assert done[-2:] == ["pseudolabels1", "roundtrainer1"]
    steps = latest_run(str(folder / "metadata.sqlite"))
    (labels,) = steps["PseudoLabels1"].outputs["labels"]
    summary = read_summary(labels.uri)
    assert (summary.round, summary.images) == (1, 4)
    assert len(list(Path(labels.uri, "Split-train").iterdir())) == 1
    (model,) = steps["RoundTrainer1"].outputs["model"]
    saved = Path(model.uri) / "Format-Serving" / "saved_model.pb"
    assert saved.exists()


def test_what_a_step_cannot_open_is_refused_by_its_own_name(
    overrides: list[str],
) -> None:
    code, screen = wseg(
        "compile", CONFIG, *overrides, "--data=/elsewhere/camvid"
    )
    assert code == USER_ERROR
    assert "Invalid value for argument `source.path`" in " ".join(
        screen.split()
    )


def test_an_adaptation_is_submitted_as_it_was_compiled(
    folder: Path, request: pytest.FixtureRequest, overrides: list[str]
) -> None:
    request.getfixturevalue("workflow" if ARGO else "spec")
    package = f"{folder}/v1.yaml" if ARGO else f"{folder}/v2.yaml"
    kept = Path(read_package(package).parameters["config"])
    assert "name: day-to-dusk" in kept.read_text()
    code, screen = wseg("submit", package, CONFIG, *overrides)
    assert code == USER_ERROR
    assert "compile it again" in " ".join(screen.split())
    code, screen = wseg("submit", package)
    assert code == USER_ERROR
    assert "`kubeflow.host`" in screen
