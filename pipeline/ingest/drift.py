"""Drift: classes that occur much more, or less, often than they should."""

# TFX reads the annotations of components as they stand: none may be a string.

import json
import os

from tfx import v1 as tfx
from tfx.types import standard_artifacts

from pipeline.config.data_options import DataOptions
from pipeline.gate.digests import verify
from pipeline.ingest import pixel_counts as counting
from pipeline.ingest.component import PixelCounts
from pipeline.ingest.pixel_counts import StatisticsBySplit
from pipeline.ingest.validation import InvalidDataError
from wseg_tf.classes import ClassSet, class_set
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.drift import class_drift
from wseg_tf.data.statistics import PixelStatistics


def drift_reference(data: DataOptions) -> str:
    """Returns what class frequencies are held to, as JSON.

    Args:
        data: The options; `drift_reference` names a `statistics.json`.

    Returns:
        The statistics of its split `train`, or of all its splits where there
        is none of that name; nothing where no file is named.

    Raises:
        ConfigurationError: If it is no such file, or of other classes.
    """
    path = data.drift_reference
    if path is None:
        return ""
    try:
        counts = counting.read(path)
        drives = counts.get("train") or {
            f"{split} {drive}": statistics
            for split, own in counts.items()
            for drive, statistics in own.items()
        }
        statistics = counting.total(drives)
    except (OSError, ValueError):
        raise ConfigurationError(
            "Invalid value for argument `data.drift_reference`. Expected a "
            "`statistics.json` of `wseg data convert` or of a run. Received: "
            f"{path}."
        ) from None
    if len(statistics.frames) != len(data.class_set):
        raise ConfigurationError(
            "Invalid value for argument `data.drift_reference`. Expected "
            f"counts of {len(data.class_set)} classes ({data.class_set.name}). "
            f"Received: {path} of {len(statistics.frames)}."
        )
    return json.dumps(counting.as_json(statistics))


def find_drift(
    counts: StatisticsBySplit,
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
    train, evaluation = (
        counting.total(counts[split]) for split in ("train", "eval")
    )
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
    code: tfx.dsl.components.Parameter[str],
) -> None:
    """Fails when classes occur much more, or less, often than they should.

    Args:
        pixel_counts: What Ingest counted.
        classes: The class set as JSON.
        limit: Largest factor between two shares of a class, above 1.
        reference: Statistics of good data as JSON, or nothing.
        verdict: Written only when nothing has drifted.
        code: Digest of the code that judges, part of the key.

    Raises:
        InvalidDataError: If a class has drifted.
    """
    verify(pixel_counts, pixel_counts.uri)
    found = find_drift(
        counting.read(os.path.join(pixel_counts.uri, counting.STATISTICS)),
        class_set(json.loads(classes)),
        limit,
        counting.from_json(json.loads(reference)) if reference else None,
    )
    if found:
        raise InvalidDataError(
            "Class frequencies have drifted: " + "; ".join(found) + "."
        )
    verdict.value = "no drift"
