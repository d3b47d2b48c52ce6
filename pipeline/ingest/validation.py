"""Data validation that stops the pipeline, not only reports."""

# TFX reads the annotations of components as they stand: none may be a string.

import hashlib
import os

import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import v1 as tfx
from tfx.types import artifact_utils, standard_artifacts

from pipeline.config.pipeline_config import RunConfig
from wseg_tf.configuration import ConfigurationError


class InvalidDataError(ValueError):
    """The data are not what was agreed on; the message lists how."""


def prepare_schema(config: RunConfig) -> str:
    """Copies the curated schema under a name that changes with its content.

    TFX caches an imported schema by its path alone, so an edited schema must
    have another path.

    Args:
        config: The configuration.

    Returns:
        Path of the copy.

    Raises:
        ConfigurationError: If there is no such file.
    """
    try:
        with tf.io.gfile.GFile(config.schema) as file:
            text: str = file.read()
    except tf.errors.NotFoundError as error:
        raise ConfigurationError(
            "Invalid value for argument `schema`. Expected a text proto. "
            f"Received: {config.schema} (no such file)."
        ) from error
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    path = os.path.join(config.folder("schema"), f"{digest}.pbtxt")
    if not tf.io.gfile.exists(path):
        tf.io.gfile.makedirs(os.path.dirname(path))
        with tf.io.gfile.GFile(path, "w") as file:
            file.write(text)
    return path


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
) -> None:
    """Fails when ExampleValidator found anomalies, so nothing trains on them.

    Args:
        anomalies: What ExampleValidator found.
        verdict: Written only when there are none.

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
