"""Ingest: the pairs of a manifest become TFRecords, by Beam.

Only the lines of the manifest are shuffled, never images: each record file is
read, checked and written by one worker, so memory is flat and the bytes do
not depend on the number of workers.
"""

# TFX reads the annotations of components as they stand: none may be a string.
import functools
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from tfx import v1 as tfx
from tfx.types import artifact_utils, standard_artifacts

from pipeline.manifest import SPLITS
from wseg_tf.data.checks import DataError
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.layouts import Layout, layout
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise
from wseg_tf.data.statistics import PixelStatistics

QUARANTINE = "quarantine.jsonl"
STATISTICS = "statistics.json"
_SHOWN = 3

ShardKey = tuple[str, int, int]


@functools.cache
def _layout(name: str) -> Layout:
    """A described layout is read once per worker, not per pair."""
    return layout(name)


class Quarantine(tfx.dsl.Artifact):
    """A folder with `quarantine.jsonl`: the pairs left out, and why."""

    TYPE_NAME = "Quarantine"


class PixelCounts(tfx.dsl.Artifact):
    """A folder with `statistics.json`: exact pixel counts by drive."""

    TYPE_NAME = "PixelCounts"


@tfx.dsl.components.component(use_beam=True)
def Ingest(  # noqa: N802
    examples: tfx.dsl.components.OutputArtifact[standard_artifacts.Examples],
    quarantine: tfx.dsl.components.OutputArtifact[Quarantine],
    pixel_counts: tfx.dsl.components.OutputArtifact[PixelCounts],
    manifest: tfx.dsl.components.Parameter[str],
    allowed_failures: tfx.dsl.components.Parameter[float],
    beam_pipeline: tfx.dsl.components.BeamComponentParameter[
        beam.Pipeline
    ] = None,
) -> None:
    """Checks every pair of a manifest and writes those that pass.

    Args:
        examples: The records, splits `train` and `eval`.
        quarantine: What failed its checks, with the reason.
        pixel_counts: Pixels per class by split and drive.
        manifest: The folder `write_manifest` returned.
        allowed_failures: Share of pairs that may fail, 0..1.
        beam_pipeline: TFX's Beam pipeline.

    Raises:
        DataError: If more pairs fail; names the first ones.
    """
    examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
    with beam_pipeline as root:
        shards = (
            [_lines(root, manifest, split) for split in SPLITS]
            | beam.Flatten()
            | "BringShardsTogether" >> beam.GroupByKey()
            | "WriteShards" >> beam.ParDo(WriteShard(examples.uri))
        )
        _write_findings(shards, quarantine.uri, pixel_counts.uri)
    scratch = _scratch(examples.uri)
    if tf.io.gfile.exists(scratch):
        tf.io.gfile.rmtree(scratch)
    _refuse_too_many(quarantine.uri, pixel_counts.uri, allowed_failures)


def _lines(root: Any, manifest: str, split: str) -> Any:
    def keyed(line: str) -> tuple[ShardKey, tuple[int, str]]:
        row = json.loads(line)
        return (split, row["shard"], row["shards"]), (row["index"], line)

    path = os.path.join(manifest, f"{split}.jsonl")
    return (
        root
        | f"Read[{split}]" >> beam.io.ReadFromText(path)
        | f"KeyByShard[{split}]" >> beam.Map(keyed)
    )


class WriteShard(beam.DoFn):
    """Reads, checks and writes the pairs of one record file.

    Args:
        folder: The Examples artifact.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def process(
        self, element: tuple[ShardKey, Iterable[tuple[int, str]]]
    ) -> Iterator[tuple[ShardKey, dict[str, Any]]]:
        """Yields the shard's key with its problems and statistics."""
        (split, shard, shards), lines = element
        problems = []
        statistics: dict[str, PixelStatistics] = {}
        scratch = _scratch(self._folder)
        tf.io.gfile.makedirs(scratch)
        partial = os.path.join(scratch, uuid.uuid4().hex)
        with tf.io.TFRecordWriter(partial) as writer:
            for _, line in sorted(lines):
                row = json.loads(line)
                pair = Pair(**row["pair"])
                try:
                    checked = read_checked(pair, _layout(row["layout"]))
                except DataError as error:
                    problems.append({"name": pair.name, "reason": str(error)})
                    continue
                writer.write(serialise(pair, checked))
                frame = PixelStatistics.of_frame(
                    checked.counts, (checked.height, checked.width)
                )
                own = statistics.get(pair.drive)
                statistics[pair.drive] = frame if own is None else own + frame
        target = os.path.join(self._folder, f"Split-{split}")
        tf.io.gfile.makedirs(target)
        name = f"data_tfrecord-{shard:05d}-of-{shards:05d}"
        tf.io.gfile.rename(partial, os.path.join(target, name), overwrite=True)
        yield (
            element[0],
            {
                "problems": problems,
                "statistics": {
                    drive: _as_json(each) for drive, each in statistics.items()
                },
            },
        )


def _scratch(folder: str) -> str:
    """Where record files are until they are whole; no split looks there."""
    return os.path.join(folder, "partial")


def _as_json(statistics: PixelStatistics) -> dict[str, Any]:
    return {
        "images": statistics.images,
        "pixels": statistics.pixels.tolist(),
        "present": statistics.present.tolist(),
        "frames": statistics.frames.tolist(),
        "sizes": [[*size, n] for size, n in statistics.sizes.items()],
    }


def from_json(values: dict[str, Any]) -> PixelStatistics:
    """Returns the statistics of an entry of `statistics.json`."""
    return PixelStatistics(
        np.array(values["pixels"], np.int64),
        np.array(values["present"], np.int64),
        np.array(values["frames"], np.int64),
        values["images"],
        {(height, width): n for height, width, n in values["sizes"]},
    )


def _write_findings(shards: Any, quarantine: str, counts: str) -> None:
    """Writes problems and statistics in the order of the manifest."""

    def write(found: list[tuple[ShardKey, dict[str, Any]]]) -> None:
        total: dict[str, dict[str, PixelStatistics]] = {s: {} for s in SPLITS}
        lines = []
        for (split, _, _), shard in sorted(found, key=lambda each: each[0]):
            for problem in shard["problems"]:
                lines.append(json.dumps({"split": split, **problem}) + "\n")
            for drive, values in shard["statistics"].items():
                own, more = total[split].get(drive), from_json(values)
                total[split][drive] = more if own is None else own + more
        for folder, name, text in (
            (quarantine, QUARANTINE, "".join(lines)),
            (
                counts,
                STATISTICS,
                json.dumps(
                    {
                        split: {
                            drive: _as_json(each)
                            for drive, each in sorted(drives.items())
                        }
                        for split, drives in total.items()
                    },
                    indent=1,
                ),
            ),
        ):
            tf.io.gfile.makedirs(folder)
            with tf.io.gfile.GFile(os.path.join(folder, name), "w") as file:
                file.write(text)

    _ = (
        shards
        | "GatherFindings" >> beam.combiners.ToList()
        | "WriteFindings" >> beam.Map(write)
    )


def _refuse_too_many(quarantine: str, counts: str, allowed: float) -> None:
    with tf.io.gfile.GFile(os.path.join(quarantine, QUARANTINE)) as file:
        problems = [json.loads(line) for line in file]
    with tf.io.gfile.GFile(os.path.join(counts, STATISTICS)) as file:
        splits = json.load(file)
    kept = sum(
        drive["images"]
        for drives in splits.values()
        for drive in drives.values()
    )
    total = kept + len(problems)
    if len(problems) > allowed * total:
        shown = " ".join(problem["reason"] for problem in problems[:_SHOWN])
        more = len(problems) - _SHOWN
        raise DataError(
            f"{len(problems)} of {total} pairs cannot be used, and the run "
            f"allows a share of {allowed:g}: {shown}"
            + (f" (and {more} more, in the log)" if more > 0 else "")
        )
