"""Every container's command of a compiled workflow, down to push and refusal.

Takes two and a half minutes on two busy cores; one step imports TFX anew.
"""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config import load
from pipeline.inputs import prepare_manifest, prepare_schema
from pipeline.lineage import Step, latest_run
from pipeline.runners.run_parameters import run_values
from tests.pipeline.runners import engine
from tests.pipeline.runners.metadata_service import metadata_service

CONFIG = str(Path(__file__).parents[3] / "configs" / "demo.yaml")
STRICT = "gate.rules=[{metric: mean_iou, floor: 0.99}]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("volume")


@pytest.fixture(scope="module")
def overrides(folder: Path) -> list[str]:
    return [
        f"root={folder}/runs",
        "data.streets.train=4",
        "data.streets.eval=2",
        "data.streets.height=48",
        "data.streets.width=64",
        "training.height=32",
        "training.width=64",
        "training.batch=2",
        "training.stages=[{name: only, loss: mixture, epochs: 7}]",
        "gate.rules=[{metric: mean_iou, floor: 0.0}]",
        "kubeflow.image=registry.example.com/wseg:1",
        f"kubeflow.volumes=[{{claim: data, path: {folder}}}]",
    ]


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with metadata_service(folder / "metadata.sqlite") as found:
        yield found


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """A step sets the level for its process."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


def run(folder: Path, port: int, overrides: list[str], name: str) -> list[str]:
    """Runs the compiled workflow with the parameters of a submission."""
    config = load(CONFIG, overrides)
    values = run_values(
        config, prepare_manifest(config), prepare_schema(config)
    )
    environment = {
        "METADATA_GRPC_SERVICE_HOST": "localhost",
        "METADATA_GRPC_SERVICE_PORT": str(port),
        "WORKFLOW_ID": name,
        "KFP_POD_NAME": f"{name}-pod",
    }
    workflow = engine.read(folder / "demo.yaml")
    alone = "stoponanomalies" if name == "first" else ""
    return engine.run(workflow, values, environment, alone, folder)


@pytest.fixture(scope="module")
def pushed(folder: Path, port: int, overrides: list[str]) -> list[str]:
    """Steps of a first run, of fewer epochs than were compiled in."""
    arguments = ["compile", CONFIG, *overrides, f"--out={folder}/demo.yaml"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return run(
        folder, port, [*overrides, "training.stages.0.epochs=1"], "first"
    )


def steps(folder: Path) -> dict[str, Step]:
    return latest_run(str(folder / "metadata.sqlite"))


def report(folder: Path) -> dict[str, object]:
    (written,) = steps(folder)["Reporter"].outputs["report"]
    found: dict[str, object] = json.loads(
        (Path(written.uri) / "report.json").read_text()
    )
    return found


def test_the_commands_of_all_steps_push_a_model(
    folder: Path, pushed: list[str]
) -> None:
    assert len(pushed) == 11
    assert pushed[-1] == "reporter"
    assert {step.state for step in steps(folder).values()} == {"complete"}
    (version,) = (folder / "runs" / "demo" / "serving").iterdir()
    found = report(folder)
    assert (found["blessed"], found["pushed"]) == (True, str(version))
    assert (version / "saved_model.pb").exists()


def test_the_epochs_of_the_submission_count_not_the_compiled_ones(
    folder: Path, pushed: list[str]
) -> None:
    trainer = folder / "runs" / "demo" / "pipeline" / "Trainer"
    (history,) = trainer.glob("model_run/*/history.csv")
    assert len(history.read_text().splitlines()) == 2


def test_the_floor_of_a_submission_refuses_and_the_rest_is_reused(
    folder: Path, port: int, overrides: list[str], pushed: list[str]
) -> None:
    changes = ["training.stages.0.epochs=1", STRICT]
    run(folder, port, [*overrides, *changes], "second")
    found = steps(folder)
    anew = {name for name, step in found.items() if step.state == "complete"}
    assert anew == {
        "Baseline",
        "Evaluator",
        "ServingCheck",
        "Pusher",
        "Reporter",
    }
    assert {found[name].state for name in {*found} - anew} == {"cached"}
    assert len(list((folder / "runs" / "demo" / "serving").iterdir())) == 1
    facts = report(folder)
    assert (facts["blessed"], facts["pushed"]) == (False, None)
    assert "the rule wants at least 0.99" in str(facts["reason"])
