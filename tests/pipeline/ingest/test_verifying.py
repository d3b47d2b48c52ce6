"""Each step of both graphs holds what it reads to what was noted."""

from pathlib import Path
from typing import Any

import pytest
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model

from pipeline.config.loading import load
from pipeline.gate.digests import COUNTED, WARMED, WARMUP, digest, record
from pipeline.gate.evaluator import JUDGED, ON
from pipeline.graph import Engine
from pipeline.ingest.pixel_counts import STATISTICS
from pipeline.runners.prepared import prepare
from tests.pipeline.runners.small import SMALL_DOMAINS
from wseg_tf.data.checks import DataError

CONFIGS = Path(__file__).parents[3] / "configs"
RUN = """
name: run
data: {drift_limit: 9}
training: {model: enet}
gate: {rules: [{metric: mean_iou, floor: 0.1}]}
"""
# They hold no files: what they say is in ML Metadata.
WITHOUT_FILES = {"ModelBlessing", "PushedModel"}
# Of these a step reads what ML Metadata say alone.
UNREAD = {("Reporter", "infra_blessing")}


def places(kind: Any, folder: Path) -> dict[str, Path]:
    """Which files of an artifact, or folders of one, are noted by which key."""
    if kind.TYPE_NAME in WITHOUT_FILES:
        return {}
    if kind is Examples:
        splits = {name: folder / f"Split-{name}" for name in ("train", "eval")}
        return {**splits, COUNTED: folder / STATISTICS}
    if kind is Model:
        return {"sha256": folder / "Format-Serving"}
    if kind is InfraBlessing:
        served = folder / "stamped_model"
        return {WARMED: served / WARMUP, "sha256": served}
    return {"sha256": folder}


def made(kind: Any, folder: Path) -> Any:
    """An artifact that a step wrote and noted; its files mean nothing."""
    artifact = kind()
    artifact.uri = str(folder)
    if kind is Examples:
        splits = artifact_utils.encode_split_names(["train", "eval"])
        artifact.split_names = splits
    for key, place in places(kind, folder).items():
        file = place if key in (COUNTED, WARMED) else place / "file"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("written")
        record(artifact, str(place), key)
    return artifact


def given(step: Any, folder: Path) -> dict[str, list[Any]]:
    """What a step reads, all of it as it was noted."""
    found = {
        name: [made(channel.type, folder / name)]
        for name, channel in step.inputs.items()
    }
    for name in ("model_blessing", "infra_blessing"):
        for blessing in found.get(name, []):
            blessing.set_int_custom_property("blessed", 1)
            blessing.set_int_custom_property("has_model", 1)
    if step.id == "ServingCheck":
        [blessing] = found["model_blessing"]
        judged = {JUDGED: "model/Format-Serving", ON: "examples/Split-eval"}
        for key, place in judged.items():
            noted = digest(str(folder / place))
            blessing.set_string_custom_property(key, noted)
    return found


def run(step: Any, inputs: dict[str, list[Any]], folder: Path) -> None:
    """Runs the executor of a step alone."""
    outputs = {name: [each.type()] for name, each in step.outputs.items()}
    for name, [artifact] in outputs.items():
        artifact.uri = str(folder / f"written-{name}")
    executor = step.executor_spec.executor_class()
    executor.Do(inputs, outputs, dict(step.exec_properties))


@pytest.mark.parametrize("graph", ["run", "adaptation"])
def test_no_step_reads_what_was_changed(tmp_path: Path, graph: str) -> None:
    config = CONFIGS / "day_to_dusk.yaml"
    overrides = [f"root={tmp_path}/runs", *SMALL_DOMAINS]
    if graph == "run":
        config = tmp_path / "run.yaml"
        config.write_text(RUN)
        small = ["data.streets.train=2", "data.streets.eval=1"]
        overrides = [overrides[0], *small]
    pipeline = prepare(load(str(config), overrides)).build(Engine())
    tried = set()
    for step in pipeline.components:
        if not isinstance(step, BaseComponent):
            continue  # A resolver reads no file.
        for name in step.inputs:
            folder = tmp_path / step.id / name
            inputs = given(step, folder)
            files = list((folder / name).rglob("*"))
            for file in filter(Path.is_file, files):
                file.write_text("changed")
            if not files or (step.id, name) in UNREAD:
                continue
            with pytest.raises(DataError, match="Found: others") as refused:
                run(step, inputs, folder)
            assert str(folder / name) in str(refused.value) or (
                # It was copied before it was held to the verdict.
                (step.id, name) == ("ServingCheck", "model")
            )
            tried.add((type(step).__name__, name))
    expected = {
        ("StatisticsGen", "examples"),
        ("ExampleValidator", "statistics"),
        ("ExampleValidator", "schema"),
        ("StopOnAnomalies", "anomalies"),
        ("Trainer", "examples"),
        ("Evaluator", "model"),
        ("Evaluator", "baseline_model"),
        ("ServingCheck", "evaluation"),
        ("Pusher", "infra_blessing"),
        ("Reporter", "quarantine"),
    }
    if graph == "adaptation":
        expected |= {
            ("PseudoLabeller", "model"),
            ("RoundTrainer", "labels"),
            ("RoundTrainer", "start"),
            ("RoundJudge", "before"),
        }
    assert tried >= expected
