"""The pairs of a manifest become record files, by Beam; TFX is not needed.

Only places in the manifest are shuffled, one for each record file, neither
lines nor images: each record file is read, checked and written by one worker,
so memory is flat and the bytes do not depend on the number of workers. Where
there is but one, as in memory, it checks a pair on each core.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.options.pipeline_options import DirectOptions, StandardOptions

from pipeline.ingest import pixel_counts
from pipeline.ingest.manifest import layout_of, refuse_changed
from pipeline.ingest.pixel_counts import STATISTICS, StatisticsBySplit
from wseg_tf.data.checks import DataError
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.layouts import Layout
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise
from wseg_tf.data.statistics import PixelStatistics
from wseg_tf.data.threads import in_order
from wseg_tf.filesystems import read_bytes, read_lines, whole_file
from wseg_tf.json_files import parse_json

LOG = logging.getLogger(__name__)

QUARANTINE = "quarantine.jsonl"
_SHOWN = 3

ShardKey = tuple[str, int, int]
# A record file, and where its lines lie: path of the list, first byte and end.
Shard = tuple[ShardKey, tuple[str, int, int]]


def write_records(
    root: Any,
    manifest: str,
    splits: Sequence[str],
    records: str,
    quarantine: str,
    counts: str,
) -> None:
    """Checks every pair of a manifest and writes those that pass.

    Args:
        root: A Beam pipeline; it is run, and waited for.
        manifest: The folder `write_manifest` returned.
        splits: The manifest's splits.
        records: Folder to write `Split-NAME/data_tfrecord-*` to.
        quarantine: Folder for `quarantine.jsonl`: what failed its checks.
        counts: Folder for `statistics.json`: pixels by split and drive. It
            is written beside the records, too.
    """
    meaning = layout_of(manifest).meaning()
    with root:
        shards = (
            [_shards(root, manifest, split) for split in splits]
            | beam.Flatten()
            | "SpreadShards" >> beam.Reshuffle()
            | "WriteShards"
            >> beam.ParDo(WriteShard(records, meaning, threads(root.options)))
        )
        _ = (
            shards
            | "GatherFindings" >> beam.CombineGlobally(GatherFindings())
            | "WriteFindings"
            >> beam.Map(
                _write_findings, list(splits), records, quarantine, counts
            )
        )
    scratch = _scratch(records)
    if tf.io.gfile.exists(scratch):
        tf.io.gfile.rmtree(scratch)


@dataclass(frozen=True)
class LeftOut:
    """A pair that failed its checks and is not in the records.

    Args:
        split: Its split.
        name: Name of the frame.
        reason: One sentence that names the file.
    """

    split: str
    name: str
    reason: str


@dataclass
class Findings:
    """What record files came to.

    Args:
        left_out: The pairs that failed their checks.
        counts: Pixels of the others.
    """

    left_out: list[LeftOut] = field(default_factory=list)
    counts: StatisticsBySplit = field(default_factory=dict)


def read_quarantine(folder: str) -> list[LeftOut]:
    """Returns the pairs that were left out, by split and name.

    Args:
        folder: A folder with `quarantine.jsonl`, such as the `Quarantine`
            artifact of a run.

    Raises:
        ValueError: If it is damaged.
    """
    path = os.path.join(folder, QUARANTINE)
    lines = read_bytes(path).splitlines()
    return [parse_json(line, path, LeftOut) for line in lines]


def refuse_unfit(
    quarantine: str, counts: str, allowed_failures: float
) -> StatisticsBySplit:
    """Refuses records that hold less than was asked for.

    Args:
        quarantine: The folder of `quarantine.jsonl`.
        counts: The folder of `statistics.json`.
        allowed_failures: Share of all pairs that may fail, 0..1.

    Returns:
        The pixel counts.

    Raises:
        DataError: If more pairs failed, or no pair of a split passed; names
            the first ones. All are in the log.
    """
    problems = read_quarantine(quarantine)
    found = pixel_counts.read(os.path.join(counts, STATISTICS))
    for problem in problems:
        LOG.warning("Left out: %s", problem.reason)
    kept = {
        split: sum(drive.images for drive in drives.values())
        for split, drives in found.items()
    }
    total = sum(kept.values()) + len(problems)
    empty = [split for split, images in kept.items() if images == 0]
    if empty and not problems:
        raise DataError(f"Expected pairs in split {empty[0]!r}. Found: none.")
    if len(problems) > allowed_failures * total:
        refusal = f"the run allows a share of {allowed_failures:g}"
    elif empty:
        refusal = f"they are all there are of split {empty[0]!r}"
    else:
        return found
    shown = " ".join(problem.reason for problem in problems[:_SHOWN])
    more = len(problems) - _SHOWN
    raise DataError(
        f"{len(problems)} of {total} pairs cannot be used, and {refusal}: "
        + shown
        + (f" (and {more} more; `wseg data check` lists all)" * (more > 0))
    )


def _shards(root: Any, manifest: str, split: str) -> Any:
    path = os.path.join(manifest, f"{split}.jsonl")
    return (
        root
        # Beam's own reader would take a folder's name for a pattern.
        | f"Name[{split}]" >> beam.Create([(split, path)])
        | f"Find[{split}]" >> beam.FlatMapTuple(find_shards)
    )


def find_shards(split: str, path: str) -> Iterator[Shard]:
    """Yields where the lines of each record file lie, one after the other.

    Args:
        split: The manifest's split.
        path: Its `SPLIT.jsonl`.
    """
    start = end = 0
    before = None
    for line in read_lines(path):
        row = json.loads(line)
        key = split, row["shard"], row["shards"]
        if before not in (None, key):
            yield before, (path, start, end)
            start = end
        before, end = key, end + len(line)
    if before is not None:
        yield before, (path, start, end)


def _lines(path: str, start: int, end: int) -> list[bytes]:
    with tf.io.gfile.GFile(path, "rb") as file:
        file.seek(start)
        content: bytes = file.read(end - start)
    return content.splitlines()


def threads(options: Any) -> int:
    """Returns how many pairs a worker checks at a time.

    Decoding leaves Python's lock, so one worker of many threads uses all
    cores. An engine that has several workers sees to its cores itself.

    Args:
        options: Beam's `PipelineOptions`.

    Returns:
        The number of cores where Beam runs in memory, otherwise 1.
    """
    runner = options.view_as(StandardOptions).runner or "DirectRunner"
    mode = options.view_as(DirectOptions).direct_running_mode
    alone = runner == "DirectRunner" and mode == "in_memory"
    return (os.cpu_count() or 1) if alone else 1


class WriteShard(beam.DoFn):
    """Reads, checks and writes the pairs of one record file.

    Args:
        folder: Where the splits' folders are.
        meaning: What the labels mean, see `Layout.meaning`.
        threads: Pairs that are checked at a time.
    """

    def __init__(
        self, folder: str, meaning: Mapping[str, Any], threads: int = 1
    ) -> None:
        super().__init__()
        self._folder = folder
        self._meaning = meaning
        self._threads = threads

    def setup(self) -> None:
        """Reads what the labels mean, once for a worker."""
        self._layout = Layout.of_meaning(self._meaning)

    def process(self, element: Shard) -> Iterator[Findings]:
        """Yields the problems and statistics of the file."""
        (split, shard, shards), place = element
        target = os.path.join(
            self._folder,
            f"Split-{split}",
            f"data_tfrecord-{shard:05d}-of-{shards:05d}",
        )
        found = Findings()

        def examine(line: bytes) -> tuple[Pair, bytes, PixelStatistics | str]:
            row = json.loads(line)
            pair = Pair(**row["pair"])
            try:
                checked = read_checked(pair, self._layout)
            except DataError as error:
                return pair, b"", str(error)
            refuse_changed(pair, row)
            size = checked.height, checked.width
            frame = PixelStatistics.of_frame(checked.counts, size)
            return pair, serialise(pair, checked), frame

        lines = _lines(*place)
        with (
            _writing(target),
            whole_file(target, _scratch(self._folder)) as unfinished,
            tf.io.TFRecordWriter(unfinished) as writer,
        ):
            for pair, record, frame in in_order(examine, lines, self._threads):
                if isinstance(frame, str):
                    found.left_out.append(LeftOut(split, pair.name, frame))
                    continue
                writer.write(record)
                pixel_counts.add(found.counts, split, pair.drive, frame)
        yield found


class GatherFindings(beam.CombineFn):
    """Adds up what record files came to: a sum a drive, not a row a file."""

    def create_accumulator(self) -> Findings:
        """Returns the findings of no file."""
        return Findings()

    def add_input(self, total: Findings, new: Findings) -> Findings:
        """Adds those of one file."""
        total.left_out += new.left_out
        for split, drives in new.counts.items():
            for drive, statistics in drives.items():
                pixel_counts.add(total.counts, split, drive, statistics)
        return total

    def merge_accumulators(self, totals: Iterable[Findings]) -> Findings:
        """Adds those of several workers."""
        total = self.create_accumulator()
        for each in totals:
            self.add_input(total, each)
        return total

    def extract_output(self, total: Findings) -> Findings:
        """Returns the sum."""
        return total


def _scratch(folder: str) -> str:
    """Where record files are until they are whole; no split looks there."""
    return os.path.join(folder, "partial")


def _write_findings(
    found: Findings,
    splits: Sequence[str],
    records: str,
    quarantine: str,
    counts: str,
) -> None:
    """Writes problems and statistics in an order of their own."""
    total = {split: found.counts.get(split, {}) for split in splits}
    left_out = sorted(found.left_out, key=lambda each: (each.split, each.name))
    for folder in (records, quarantine, counts):
        tf.io.gfile.makedirs(folder)
    path = os.path.join(quarantine, QUARANTINE)
    with _writing(path), tf.io.gfile.GFile(path, "w") as file:
        lines = (json.dumps(dataclasses.asdict(each)) for each in left_out)
        file.write("".join(f"{line}\n" for line in lines))
    for folder in sorted({records, counts}):
        path = os.path.join(folder, STATISTICS)
        with _writing(path):
            pixel_counts.write(path, total)


@contextlib.contextmanager
def _writing(path: str) -> Iterator[None]:
    """Says which file could not be written, e.g. when the disk is full."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = " ".join((error.message or type(error).__name__).split())
        raise DataError(f"{path}: cannot be written ({reason}).") from None
