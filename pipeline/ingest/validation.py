"""Data validation that stops the pipeline, not only reports."""

# TFX reads the annotations of components as they stand: none may be a string.

import os

import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import v1 as tfx
from tfx.types import artifact_utils, standard_artifacts


class InvalidDataError(ValueError):
    """The data are not what was agreed on; the message lists how."""


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
    """
    splits = artifact_utils.decode_split_names(anomalies.split_names)
    found = read_anomalies(anomalies.uri, splits)
    if found:
        raise InvalidDataError(
            "The data do not fit the schema: " + "; ".join(found) + "."
        )
    verdict.value = "no anomalies"
