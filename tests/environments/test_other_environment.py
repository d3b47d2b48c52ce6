"""What one environment wrote is read by the other: nobody loses a baseline."""

import json
from pathlib import Path

import numpy as np
import pytest
from tfx.types import artifact_utils
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.gate.baseline import LastBlessedModel
from pipeline.release.lineage import latest_run, open_store
from pipeline.release.releases import reset_baseline
from pipeline.release.statement import verify_version
from tests.environments.kept_run import (
    CONFIG,
    OTHER,
    OVERRIDES,
    images,
    unpack,
)
from tests.pipeline.runners.small import ARGO
from wseg_tf.data.damage import record_files
from wseg_tf.serving import ServedModel


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The pipeline's folder, as the other environment left it."""
    return unpack(OTHER, tmp_path)


def baseline(pipeline: Path) -> list[str]:
    """What the resolver of a run finds in the metadata."""
    store = open_store(str(pipeline / "metadata.sqlite"))
    given = {
        key: [
            artifact_utils.deserialize_artifact(
                store.get_artifact_type(name), artifact
            )
            for artifact in store.get_artifacts_by_type(name)
        ]
        for key, name in (
            ("model", "Model"),
            ("model_blessing", "ModelBlessing"),
        )
    }
    found = LastBlessedModel().resolve_artifacts(store, given)
    return [artifact.uri for artifact in found["model"]]


def version(pipeline: Path) -> Path:
    (found,) = (pipeline / "serving").iterdir()
    return found


def test_its_version_is_whole_and_segments_its_records_alike(
    made: Path,
) -> None:
    statement, _ = verify_version(str(version(made)))
    assert statement.pipeline == "demo"
    model = ServedModel(str(version(made)))
    found = np.stack([model.segment(image) for image in images(made)])
    kept = np.load(made / "classes.npy")
    assert found.shape == kept.shape == (3, 48, 64)
    # Kernels add in another order; a pixel between two classes may go over.
    assert np.mean(found == kept) > 0.99


def test_its_records_are_counted_by_its_model(made: Path) -> None:
    import tensorflow as tf

    model = ServedModel(str(version(made)))
    pattern = f"{made}/pipeline/Ingest/examples/*/Split-eval/*"
    records = tf.data.TFRecordDataset(record_files(pattern), "")
    counts = sum(model.count_confusion(each.numpy()) for each in records)
    assert 0.8 * 3 * 48 * 64 < counts.sum() <= 3 * 48 * 64


def test_its_run_is_known_and_its_blessed_model_is_the_baseline(
    made: Path,
) -> None:
    steps = latest_run(str(made / "metadata.sqlite"))
    assert {step.state for step in steps.values()} == {"complete"}
    (trained,) = steps["Trainer"].outputs["model"]
    assert Path(trained.uri).is_relative_to(made)
    assert baseline(made) == [trained.uri]


def test_a_decision_is_noted_in_its_metadata(made: Path) -> None:
    reset_baseline(str(made), "Other cameras.")
    assert baseline(made) == []


@pytest.mark.skipif(ARGO, reason="a run goes on after an upgrade, not before")
def test_a_run_goes_on_after_an_upgrade_and_can_be_taken_back(
    made: Path,
) -> None:
    before, old = version(made), baseline(made)
    arguments = [CONFIG, *OVERRIDES, f"root={made.parent}"]
    done = CliRunner().invoke(app, ["run", *arguments])
    assert done.exit_code == 0, done.output
    (report,) = (made / "pipeline/Reporter").glob("report/*/report.json")
    facts = json.loads(report.read_text())
    assert facts["baseline"].startswith(old[0])
    assert facts["blessed"] is True
    assert len(list((made / "serving").iterdir())) == 2
    done = CliRunner().invoke(app, ["rollback", *arguments])
    assert done.exit_code == 0, done.output
    assert version(made) == before
    assert baseline(made) == old
