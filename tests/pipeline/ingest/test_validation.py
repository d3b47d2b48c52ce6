"""What stops a run before its Trainer: TFDV's findings, and drift."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tfx.types import artifact_utils, standard_artifacts

from pipeline.config.contents import schema_file
from pipeline.config.data_options import DataOptions
from pipeline.config.pipeline_config import PipelineConfig
from pipeline.gate.digests import record
from pipeline.gate.rules import Gate, Rule
from pipeline.graph import create_pipeline
from pipeline.ingest import pixel_counts
from pipeline.ingest.component import PixelCounts
from pipeline.ingest.drift import StopOnDrift, drift_reference
from pipeline.ingest.validation import InvalidDataError, StopOnAnomalies
from wseg_tf.classes import CAMVID
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.checks import DataError
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.layouts import find_pairs, layout
from wseg_tf.data.records import example
from wseg_tf.data.statistics import PixelStatistics

Change = Callable[[Any], None]
ANY = PipelineConfig("any", gate=Gate(rules=[Rule("mean_iou", floor=0.1)]))


def execute(component: Any, inputs: dict[str, Any], **properties: Any) -> str:
    """Runs a component's executor alone; returns its verdict."""
    verdict = standard_artifacts.String()
    (artifact,) = inputs.values()
    verdict.uri = f"{artifact.uri}.verdict"
    executor = component.EXECUTOR_SPEC.executor_class()
    wrapped = {key: [each] for key, each in inputs.items()}
    executor.Do(wrapped, {"verdict": [verdict]}, {"code": "", **properties})
    value: str = verdict.value
    return value


@pytest.fixture
def judged(street_folder: Path, tmp_path: Path) -> Callable[[Change], str]:
    """Writes records, changed, and runs TFDV and StopOnAnomalies on them."""

    def judge(change: Change) -> str:
        uri = tmp_path / "anomalies"
        for split, source in (("train", "train"), ("eval", "val")):
            path = str(tmp_path / f"{split}.tfrecord")
            with tf.io.TFRecordWriter(path) as writer:
                for pair in find_pairs("camvid", str(street_folder), source):
                    checked = read_checked(pair, layout("camvid"))
                    text = example(pair, checked)
                    if split == "eval":
                        change(text.features.feature)
                    writer.write(text.SerializeToString())
            found = tfdv.validate_statistics(
                tfdv.generate_statistics_from_tfrecord(path),
                tfdv.load_schema_text(schema_file(ANY)),
            )
            (uri / f"Split-{split}").mkdir(parents=True)
            (uri / f"Split-{split}" / "SchemaDiff.pb").write_bytes(
                found.SerializeToString()
            )
        artifact = standard_artifacts.ExampleAnomalies()
        artifact.uri = str(uri)
        artifact.split_names = artifact_utils.encode_split_names(
            ["train", "eval"]
        )
        record(artifact, artifact.uri)
        return execute(StopOnAnomalies, {"anomalies": artifact})

    return judge


def test_good_records_pass(judged: Callable[[Change], str]) -> None:
    assert judged(lambda features: None) == "no anomalies"


def test_a_missing_feature_stops_the_run(
    judged: Callable[[Change], str],
) -> None:
    def forget(features: Any) -> None:
        del features["checksum"]

    with pytest.raises(InvalidDataError) as caught:
        judged(forget)
    assert "eval: feature `checksum`" in str(caught.value)
    assert "train:" not in str(caught.value)


def test_a_new_format_stops_the_run(judged: Callable[[Change], str]) -> None:
    def rename(features: Any) -> None:
        features["image/format"].bytes_list.value[:] = [b"webp"]

    with pytest.raises(InvalidDataError) as caught:
        judged(rename)
    assert "eval: feature `image/format`" in str(caught.value)
    assert "webp" in str(caught.value)


def test_an_unknown_feature_stops_the_run(
    judged: Callable[[Change], str],
) -> None:
    def add(features: Any) -> None:
        features["weather"].bytes_list.value[:] = [b"fog"]

    with pytest.raises(InvalidDataError, match="`weather`"):
        judged(add)


def statistics(**pixels: int) -> PixelStatistics:
    counts = [pixels.get(name, 0) for name in (*CAMVID.names, "void")]
    return PixelStatistics.of_frame(counts, (1, sum(counts)))


GOOD = statistics(road=80, car=15, pedestrian=5)
FEW_PEOPLE = statistics(road=84, car=15, pedestrian=1)


def drift(
    folder: Path,
    train: PixelStatistics,
    evaluation: PixelStatistics,
    limit: float = 2.0,
    reference: str = "",
) -> str:
    counted = {"train": {"A": train}, "eval": {"B": evaluation}}
    pixel_counts.write(str(folder / "statistics.json"), counted)
    artifact = PixelCounts()
    artifact.uri = str(folder)
    record(artifact, artifact.uri)
    return held_to_limit(artifact, limit, reference)


def held_to_limit(artifact: Any, limit: float, reference: str = "") -> str:
    return execute(
        StopOnDrift,
        {"pixel_counts": artifact},
        classes=CAMVID.to_json(),
        limit=limit,
        reference=reference,
    )


def test_counts_that_somebody_evened_out_are_no_counts(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError):
        drift(tmp_path, GOOD, FEW_PEOPLE)
    artifact = PixelCounts()
    artifact.uri = str(tmp_path)
    record(artifact, artifact.uri)
    counted = {"train": {"A": GOOD}, "eval": {"B": GOOD}}
    pixel_counts.write(str(tmp_path / "statistics.json"), counted)
    with pytest.raises(DataError, match="Found: others"):
        held_to_limit(artifact, 2.0)


def test_drift_between_the_splits_stops_the_run(tmp_path: Path) -> None:
    assert drift(tmp_path, GOOD, GOOD) == "no drift"
    assert drift(tmp_path, GOOD, FEW_PEOPLE, limit=5.5) == "no drift"
    with pytest.raises(InvalidDataError) as caught:
        drift(tmp_path, GOOD, FEW_PEOPLE)
    assert str(caught.value) == (
        "Class frequencies have drifted: eval differs from train by more than "
        "a factor of 2: pedestrian: 5.00% of labelled pixels before, 1.00% "
        "now (5.0 times less)."
    )


def reference(folder: Path, counts: Any) -> str:
    path = str(folder / "reference.json")
    pixel_counts.write(path, counts)
    return drift_reference(DataOptions(drift_limit=2.0, drift_reference=path))


@pytest.mark.parametrize(
    "counts",
    [
        {"train": {"A": GOOD}, "val": {"B": FEW_PEOPLE}},
        {"val": {"A": GOOD}, "test": {"A": GOOD}},
    ],
)
def test_drift_from_a_reference_stops_the_run(
    tmp_path: Path, counts: Any
) -> None:
    held_to = reference(tmp_path, counts)
    assert drift(tmp_path, GOOD, GOOD, reference=held_to) == "no drift"
    with pytest.raises(InvalidDataError) as caught:
        drift(tmp_path, FEW_PEOPLE, FEW_PEOPLE, reference=held_to)
    assert "train differs from the reference by more" in str(caught.value)
    assert "eval" not in str(caught.value)


def test_a_reference_that_is_none_is_refused(tmp_path: Path) -> None:
    assert drift_reference(DataOptions()) == ""
    with pytest.raises(ConfigurationError, match="of 19"):
        reference(tmp_path, {"train": {"A": PixelStatistics.empty(19)}})
    for contents in ("[]", "{", "{}", json.dumps({"train": {"A": {}}})):
        path = tmp_path / "no.json"
        path.write_text(contents)
        options = DataOptions(drift_limit=2.0, drift_reference=str(path))
        with pytest.raises(ConfigurationError, match="Expected a `statistics"):
            drift_reference(options)


@pytest.mark.parametrize("limit", [None, 1.5])
def test_the_trainer_waits_for_what_stops_a_run(
    tmp_path: Path, limit: float | None
) -> None:
    config = PipelineConfig(
        name="a",
        root=str(tmp_path),
        gate=Gate(rules=[Rule("mean_iou", floor=0.1)]),
        data=DataOptions(drift_limit=limit),
    )
    graph = create_pipeline(config, "manifest")
    by_name = {component.id: component for component in graph.components}
    before = {node.id for node in by_name["Trainer"].upstream_nodes}
    expected = {"StopOnAnomalies"} | ({"StopOnDrift"} if limit else set())
    assert expected <= before
    assert ("StopOnDrift" in by_name) == (limit is not None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"drift_limit": 1.0}, "`drift_limit`. Expected above 1"),
        ({"drift_reference": "a.json"}, "Expected a `drift_limit` beside it"),
        ({"shard_megabytes": 0}, "`shard_megabytes`. Expected at least 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        DataOptions(**options)
