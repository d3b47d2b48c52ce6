"""Data validation that stops the pipeline, not only reports."""

# TFX reads the annotations of components as they stand: none may be a string.

import json
import os

import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import v1 as tfx
from tfx.types import artifact_utils, standard_artifacts

from pipeline.ingest.component import PixelCounts
from pipeline.ingest.pixel_counts import STATISTICS, from_json, total
from pipeline.ingest.pixel_counts import PixelCounts as Counts
from pipeline.ingest.pixel_counts import read as read_counts
from wseg_tf.classes import ClassSet, class_set
from wseg_tf.data.drift import class_drift
from wseg_tf.data.statistics import PixelStatistics


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


def find_drift(
    counts: Counts,
    classes: ClassSet,
    limit: float,
    reference: PixelStatistics | None = None,
) -> list[str]:
    """Returns what has drifted: a class too frequent, or too rare.

    The split `eval` is compared with `train`, and `train` with a reference
    where there is one.

    Args:
        counts: The pixel counts of both splits.
        classes: Their class set.
        limit: Largest factor between two shares of a class, above 1.
        reference: Of the data that are known to be good.

    Returns:
        A sentence for each comparison that fails; it names the classes, the
        most important first, and their shares.

    Raises:
        ValueError: If the reference has another number of classes.
    """
    train, evaluation = (total(counts[split]) for split in ("train", "eval"))
    compared = [("eval", "train", train, evaluation)]
    if reference is not None:
        compared.insert(0, ("train", "the reference", reference, train))
    found = []
    for name, other, before, now in compared:
        drifted = class_drift(before, now, classes, limit)
        if drifted:
            classes_and_shares = "; ".join(
                drift.sentence.removesuffix(".") for drift in drifted
            )
            found.append(
                f"{name} differs from {other} by more than a factor of "
                f"{limit:g}: {classes_and_shares}"
            )
    return found


@tfx.dsl.components.component
def StopOnDrift(  # noqa: N802
    pixel_counts: tfx.dsl.components.InputArtifact[PixelCounts],
    classes: tfx.dsl.components.Parameter[str],
    limit: tfx.dsl.components.Parameter[float],
    reference: tfx.dsl.components.Parameter[str],
    verdict: tfx.dsl.components.OutputArtifact[standard_artifacts.String],
) -> None:
    """Fails when classes occur much more, or less, often than they should.

    Args:
        pixel_counts: What Ingest counted.
        classes: Name of the class set.
        limit: Largest factor between two shares of a class, above 1.
        reference: Statistics of good data as JSON, or nothing.
        verdict: Written only when nothing has drifted.

    Raises:
        InvalidDataError: If a class has drifted.
    """
    found = find_drift(
        read_counts(os.path.join(pixel_counts.uri, STATISTICS)),
        class_set(classes),
        limit,
        from_json(json.loads(reference)) if reference else None,
    )
    if found:
        raise InvalidDataError(
            "Class frequencies have drifted: " + "; ".join(found) + "."
        )
    verdict.value = "no drift"
