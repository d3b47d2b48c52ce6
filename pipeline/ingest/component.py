"""Ingest: the pairs of a manifest become TFX's examples."""

# TFX reads the annotations of components as they stand: none may be a string.
import os

import apache_beam as beam
import tensorflow as tf
from tfx import v1 as tfx
from tfx.types import artifact_utils, standard_artifacts

from pipeline.gate.digests import COUNTED, record
from pipeline.ingest.manifest import layout_of, splits_of, verify_manifest
from pipeline.ingest.pixel_counts import STATISTICS, total
from pipeline.ingest.records import refuse_unfit, write_records
from wseg_tf.plots import plot_frequencies

PICTURE = "frequencies.png"


class Quarantine(tfx.dsl.Artifact):
    """A folder with `quarantine.jsonl`: the pairs left out, and why."""

    TYPE_NAME = "pipeline.Quarantine"


class PixelCounts(tfx.dsl.Artifact):
    """A folder with `statistics.json`, exact pixel counts, and their plot."""

    TYPE_NAME = "pipeline.PixelCounts"


@tfx.dsl.components.component(use_beam=True)
def Ingest(  # noqa: N802
    examples: tfx.dsl.components.OutputArtifact[standard_artifacts.Examples],
    quarantine: tfx.dsl.components.OutputArtifact[Quarantine],
    pixel_counts: tfx.dsl.components.OutputArtifact[PixelCounts],
    manifest: tfx.dsl.components.Parameter[str],
    allowed_failures: tfx.dsl.components.Parameter[float],
    code: tfx.dsl.components.Parameter[str],
    beam_pipeline: tfx.dsl.components.BeamComponentParameter[
        beam.Pipeline
    ] = None,
) -> None:
    """Checks every pair of a manifest and writes those that pass.

    Args:
        examples: The records, by the manifest's splits.
        quarantine: What failed its checks, with the reason.
        pixel_counts: Pixels per class by split and drive.
        manifest: The folder `write_manifest` returned.
        allowed_failures: Share of pairs that may fail, 0..1.
        code: Digest of the code that ingests, part of the key.
        beam_pipeline: TFX's Beam pipeline.

    Raises:
        DataError: If the manifest is not what was listed, more pairs fail, or
            none of a split passes.
    """
    verify_manifest(manifest)
    splits = splits_of(manifest)
    examples.split_names = artifact_utils.encode_split_names(splits)
    write_records(
        beam_pipeline,
        manifest,
        splits,
        examples.uri,
        quarantine.uri,
        pixel_counts.uri,
    )
    found = refuse_unfit(quarantine.uri, pixel_counts.uri, allowed_failures)
    for split in splits:
        record(examples, artifact_utils.get_split_uri([examples], split), split)
    record(examples, os.path.join(examples.uri, STATISTICS), COUNTED)
    record(quarantine, quarantine.uri)
    counted = {split: total(drives) for split, drives in found.items()}
    figure = plot_frequencies(
        {
            split: own
            for split, own in counted.items()
            if own.pixels[:-1].any()  # images without labels have none
        },
        layout_of(manifest).classes,
    )
    path = os.path.join(pixel_counts.uri, PICTURE)
    with tf.io.gfile.GFile(path, "wb") as file:
        figure.savefig(file, format="png")
    record(pixel_counts, pixel_counts.uri)
