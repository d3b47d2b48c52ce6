"""Every container's command of a compiled pipeline spec, to push and refusal.

Takes a minute and a half on two busy cores; one step imports TFX anew.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config.loading import load
from pipeline.report.provenance import command
from pipeline.runners.kubeflow.run_parameters import run_values
from tests.pipeline.runners.kubeflow import engine_v2
from tests.pipeline.runners.kubeflow.engine_v2 import Outputs, Store

pytestmark = pytest.mark.usefixtures("keep_log_level")

CONFIG = str(Path(__file__).parents[4] / "configs" / "demo.yaml")


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    return Store(folder / "outputs")


def run(
    folder: Path, overrides: list[str], store: Store, name: str, alone: str = ""
) -> dict[str, Outputs]:
    """Runs the compiled spec with the parameters of a submission."""
    config = load(CONFIG, overrides)
    values = run_values(config)
    spec = next(yaml.safe_load_all((folder / "demo.yaml").read_text()))
    return engine_v2.run(spec, values, store, name, alone)


@pytest.fixture(scope="module")
def pushed(
    folder: Path, small_demo: list[str], store: Store
) -> dict[str, Outputs]:
    arguments = ["compile", CONFIG, *small_demo, "--target=kubeflow-v2"]
    done = CliRunner().invoke(app, [*arguments, f"--out={folder}/demo.yaml"])
    assert done.exit_code == 0, done.output
    return run(folder, small_demo, store, "first", alone="StopOnAnomalies")


def report(outputs: dict[str, Outputs]) -> dict[str, Any]:
    (written,) = outputs["Reporter"]["report"]
    found: dict[str, Any] = json.loads(
        (Path(written["uri"]) / "report.json").read_text()
    )
    return found


def test_the_commands_of_all_tasks_push_a_model(
    folder: Path, pushed: dict[str, Outputs]
) -> None:
    assert len(pushed) == 12  # Ten steps, and the two resolvers.
    assert pushed["Baseline-model-resolver"] == {"model": []}
    (blessing,) = pushed["Evaluator"]["blessing"]
    (model,) = pushed["Trainer"]["model"]
    assert blessing["metadata"]["blessed"] == 1
    assert blessing["metadata"]["current_model_id"] == model["name"]
    (version,) = (folder / "runs" / "demo" / "serving").iterdir()
    assert (version / "saved_model.pb").exists()
    found = report(pushed)
    assert (found["blessed"], found["pushed"]) == (True, str(version))
    assert found["started"]["command"] == command(sys.argv)
    assert len(found["trained_on"]) == 1


def test_a_later_run_finds_the_baseline_and_refuses_below_the_floor(
    folder: Path,
    small_demo: list[str],
    store: Store,
    pushed: dict[str, Outputs],
) -> None:
    strict = "gate.rules=[{metric: mean_iou, floor: 0.99}]"
    found = run(folder, [*small_demo, strict], store, "second")
    assert found["Baseline-model-resolver"] == {
        "model": pushed["Trainer"]["model"]
    }
    (blessing,) = found["Evaluator"]["blessing"]
    assert blessing["metadata"]["blessed"] == 0
    assert len(list((folder / "runs" / "demo" / "serving").iterdir())) == 1
    facts = report(found)
    assert facts["baseline"].startswith(pushed["Trainer"]["model"][0]["uri"])
    assert (facts["blessed"], facts["pushed"]) == (False, None)
    assert "the rule wants at least 0.99" in str(facts["reason"])
