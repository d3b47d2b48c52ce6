"""Every container's command of a compiled workflow, down to push and refusal.

Takes two and a half minutes on two busy cores; one step imports TFX anew.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config.loading import load
from pipeline.gate.digests import STATEMENT
from pipeline.release.lineage import Step, latest_run
from pipeline.release.releases import reset_baseline, rollback
from pipeline.report.provenance import command
from pipeline.runners.kubeflow.run_parameters import run_values
from tests.pipeline.runners.kubeflow import engine
from tests.pipeline.runners.kubeflow.metadata_service import metadata_service
from tests.pipeline.runners.small import needs_argo

pytestmark = [pytest.mark.usefixtures("keep_log_level"), needs_argo]

CONFIG = str(Path(__file__).parents[4] / "configs" / "demo.yaml")
COMPILED = "training.stages.0.epochs=7"
STRICT = "gate.rules=[{metric: mean_iou, floor: 0.99}]"


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with metadata_service(folder / "metadata.sqlite") as found:
        yield found


def run(folder: Path, port: int, overrides: list[str], name: str) -> list[str]:
    """Runs the compiled workflow with the parameters of a submission."""
    config = load(CONFIG, overrides)
    values = run_values(config)
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
def pushed(folder: Path, port: int, small_demo: list[str]) -> list[str]:
    """Steps of a first run, of fewer epochs than were compiled in."""
    arguments = ["compile", CONFIG, *small_demo, COMPILED]
    done = CliRunner().invoke(app, [*arguments, f"--out={folder}/demo.yaml"])
    assert done.exit_code == 0, done.output
    return run(folder, port, small_demo, "first")


def steps(folder: Path) -> dict[str, Step]:
    return latest_run(str(folder / "metadata.sqlite"))


def report(folder: Path) -> dict[str, Any]:
    (written,) = steps(folder)["Reporter"].outputs["report"]
    found: dict[str, Any] = json.loads(
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
    # Who submitted it, not the step; and the machine of the Trainer.
    assert found["started"]["command"] == command(sys.argv)
    assert len(found["trained_on"]) == 1


def test_the_epochs_of_the_submission_count_not_the_compiled_ones(
    folder: Path, pushed: list[str]
) -> None:
    trainer = folder / "runs" / "demo" / "pipeline" / "Trainer"
    (history,) = trainer.glob("model_run/*/history.csv")
    assert len(history.read_text().splitlines()) == 2


def test_the_floor_of_a_submission_refuses_and_the_rest_is_reused(
    folder: Path, port: int, small_demo: list[str], pushed: list[str]
) -> None:
    run(folder, port, [*small_demo, STRICT], "second")
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


def test_a_decision_counts_in_the_next_run_of_the_same_workflow(
    folder: Path, port: int, small_demo: list[str], pushed: list[str]
) -> None:
    root, service = str(folder / "runs" / "demo"), f"localhost:{port}"
    reset_baseline(root, "new label guide", service)
    run(folder, port, small_demo, "third")
    found = steps(folder)
    assert found["Trainer"].state == "cached"
    assert found["Evaluator"].state == found["Pusher"].state == "complete"
    (version,) = (folder / "runs" / "demo" / "serving").iterdir()
    assert report(folder)["pushed"] == str(version)

    earlier = version.with_name("1")
    shutil.copytree(version, earlier)
    (earlier / "saved_model.pb").write_bytes(b"another graph")
    (earlier / STATEMENT).unlink()  # As of an earlier release.
    rollback(root, "too slow", metadata=service)
    run(folder, port, small_demo, "fourth")
    assert steps(folder)["Pusher"].state == "complete"
    facts = report(folder)
    assert facts["pushed"] is None
    assert "too slow" in str(facts["reason"])
    assert [*earlier.parent.iterdir()] == [earlier]

    rollback(root, "no, it was fine", to=int(version.name), metadata=service)
    run(folder, port, small_demo, "fifth")
    assert report(folder)["pushed"] == str(version)
