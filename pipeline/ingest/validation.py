"""Data validation that stops the pipeline, not only reports.

TFX's three steps before the verdict note what they wrote, and hold what they
read to what was noted: an emptied file of anomalies would say that all is well.
"""

# TFX reads the annotations of components as they stand: none may be a string.

import os

import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import v1 as tfx
from tfx.components.example_validator import executor as example_validator
from tfx.components.schema_gen.import_schema_gen import (
    executor as import_schema_gen,
)
from tfx.components.statistics_gen import executor as statistics_gen
from tfx.dsl.components.base.executor_spec import (
    BeamExecutorSpec,
    ExecutorClassSpec,
)
from tfx.types import artifact_utils, standard_artifacts

from pipeline.gate.digests import record, verify
from pipeline.ingest.verifying import verify_records


class InvalidDataError(ValueError):
    """The data are not what was agreed on; the message lists how."""


class _Recording:
    """Verifies what a step reads, and notes what it wrote."""

    def Do(self, input_dict, output_dict, exec_properties):  # type: ignore[no-untyped-def]  # noqa: N802
        for each in (one for given in input_dict.values() for one in given):
            if each.type_name == standard_artifacts.Examples.TYPE_NAME:
                verify_records(each)
            else:
                verify(each, each.uri)
        super().Do(input_dict, output_dict, exec_properties)  # type: ignore[misc]
        for each in (one for made in output_dict.values() for one in made):
            record(each, each.uri)


class RecordingStatistics(_Recording, statistics_gen.Executor):
    """The executor of `StatisticsGen`."""


class RecordingImport(_Recording, import_schema_gen.Executor):
    """The executor of `ImportSchemaGen`."""


class RecordingValidator(_Recording, example_validator.Executor):
    """The executor of `ExampleValidator`."""


class StatisticsGen(tfx.components.StatisticsGen):
    """TFX's, with `RecordingStatistics`."""

    EXECUTOR_SPEC = BeamExecutorSpec(RecordingStatistics)


class ImportSchemaGen(tfx.components.ImportSchemaGen):
    """TFX's, with `RecordingImport`."""

    EXECUTOR_SPEC = ExecutorClassSpec(RecordingImport)


class ExampleValidator(tfx.components.ExampleValidator):
    """TFX's, with `RecordingValidator`."""

    EXECUTOR_SPEC = ExecutorClassSpec(RecordingValidator)


def read_anomalies(folder: str, splits: list[str]) -> list[str]:
    """Returns the anomalies ExampleValidator found, one sentence each.

    Args:
        folder: An ExampleAnomalies artifact.
        splits: Splits to read.

    Returns:
        Sentences that name the split and the feature; empty if all is well.
    """
    found = []
    for split in splits:
        path = os.path.join(folder, f"Split-{split}", "SchemaDiff.pb")
        anomalies = anomalies_pb2.Anomalies()
        with tf.io.gfile.GFile(path, "rb") as file:
            anomalies.ParseFromString(file.read())
        found += [
            f"{split}: feature `{feature}`: {_sentence(information)}"
            for feature, information in sorted(anomalies.anomaly_info.items())
        ]
        if anomalies.HasField("dataset_anomaly_info"):
            found.append(
                f"{split}: {_sentence(anomalies.dataset_anomaly_info)}"
            )
    return found


def _sentence(information: anomalies_pb2.AnomalyInfo) -> str:
    return information.description.rstrip(" .")  # type: ignore[no-any-return]


@tfx.dsl.components.component
def StopOnAnomalies(  # noqa: N802
    anomalies: tfx.dsl.components.InputArtifact[
        standard_artifacts.ExampleAnomalies
    ],
    verdict: tfx.dsl.components.OutputArtifact[standard_artifacts.String],
    code: tfx.dsl.components.Parameter[str],
) -> None:
    """Fails when ExampleValidator found anomalies, so nothing trains on them.

    Args:
        anomalies: What ExampleValidator found.
        verdict: Written only when there are none.
        code: Digest of the code that judges, part of the key.

    Raises:
        InvalidDataError: If there are anomalies.
        DataError: If what was found is not what ExampleValidator wrote.
    """
    verify(anomalies, anomalies.uri)
    splits = artifact_utils.decode_split_names(anomalies.split_names)
    found = read_anomalies(anomalies.uri, splits)
    if found:
        raise InvalidDataError(
            "The data do not fit the schema: " + "; ".join(found) + "."
        )
    verdict.value = "no anomalies"
