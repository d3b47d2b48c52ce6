"""A folder of images and labels becomes a folder of TFRecords, or nothing."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence

import apache_beam as beam
import tensorflow as tf

from pipeline.config.beam_options import (
    check_options,
    parse_options,
    with_plugins,
)
from pipeline.config.data_options import SHARD_MEGABYTES, DataOptions
from pipeline.ingest.manifest import write_manifest
from pipeline.ingest.pixel_counts import StatisticsBySplit
from pipeline.ingest.records import refuse_unfit, write_records
from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts import Layout
from wseg_tf.data.pairs import Pair
from wseg_tf.filesystems import whole_folder


def convert(
    pairs: Mapping[str, Sequence[Pair]],
    layout: Layout,
    out: str,
    allowed_failures: float = 0.0,
    beam_options: str = "",
    shard_megabytes: int = SHARD_MEGABYTES,
) -> StatisticsBySplit:
    """Checks pairs and writes those that pass as TFRecords.

    Everything is written to a folder beside `out` that is renamed at the end,
    so that what is killed, or fails, never looks whole; on an object store, to
    `out` itself, where `statistics.json` comes last. `out` holds
    `Split-NAME/data_tfrecord-*`, as TFX lays examples out, `quarantine.jsonl`
    and `statistics.json`.

    Args:
        pairs: The pairs of each split; at least one split.
        layout: The layout they were found by.
        out: The folder to make; must not exist, or be empty.
        allowed_failures: Share of pairs that may fail their checks, 0..1.
        beam_options: Beam's command line, e.g. `"--direct_num_workers=2"`.
        shard_megabytes: About how many MiB each record file holds.

    Returns:
        The pixel counts of what was written.

    Raises:
        DataError: If `out` holds something, cannot be written, or more pairs
            fail.
        ValueError: If Beam refuses its options, or a number is out of range.
    """
    # Held to the ranges of a configuration.
    DataOptions(
        allowed_failures=allowed_failures, shard_megabytes=shard_megabytes
    )
    arguments = shlex.split(beam_options)
    opened = [each.image for own in pairs.values() for each in own[:1]]
    check_options(arguments, out, *opened)
    options = parse_options(with_plugins(arguments, out, *opened))
    gfile = tf.io.gfile
    out = out.rstrip("/")
    if gfile.exists(out) and not (gfile.isdir(out) and not gfile.listdir(out)):
        raise DataError(
            f"{out}: expected a new or an empty folder. Found: something in "
            "it; choose another, or delete this one."
        )
    try:
        with whole_folder(out) as records:
            listed = os.path.join(records, "manifest")
            manifest = write_manifest(listed, pairs, layout, shard_megabytes)
            root = beam.Pipeline(options=options)
            write_records(
                root, manifest, list(pairs), records, records, records
            )
            counts = refuse_unfit(records, records, allowed_failures)
            gfile.rmtree(listed)
    except tf.errors.OpError as error:
        reason = " ".join((error.message or type(error).__name__).split())
        raise DataError(f"{out}: cannot be written ({reason}).") from None
    return counts
