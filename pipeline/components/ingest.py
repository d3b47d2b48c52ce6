"""Ingest: image and label files become TFRecords, by Beam.

The files are listed first, in a manifest: one JSON line per pair, with the
size and date of both files. TFX fingerprints the manifest, so a label that
changes is ingested again, which it would not notice by itself.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from tfx import v1 as tfx
from tfx.components.example_gen.base_example_gen_executor import (
    BaseExampleGenExecutor,
)
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base import executor_spec

from wseg_tf.data.checks import check_pair
from wseg_tf.data.layouts import layout
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise

SPLITS = ("train", "eval")


def write_manifest(folder: str, pairs: Mapping[str, Sequence[Pair]]) -> None:
    """Lists the pairs of each split; leaves an unchanged listing alone.

    Args:
        folder: Where `train.jsonl` and `eval.jsonl` are written.
        pairs: The pairs of each split in `SPLITS`.
    """
    tf.io.gfile.makedirs(folder)
    for split in SPLITS:
        text = "".join(_manifest_line(pair) for pair in pairs[split])
        path = os.path.join(folder, f"{split}.jsonl")
        if tf.io.gfile.exists(path):
            with tf.io.gfile.GFile(path) as file:
                if file.read() == text:
                    continue
        with tf.io.gfile.GFile(path + ".partial", "w") as file:
            file.write(text)
        tf.io.gfile.rename(path + ".partial", path, overwrite=True)


def _manifest_line(pair: Pair) -> str:
    stats = [tf.io.gfile.stat(path) for path in (pair.image, pair.label)]
    row = {
        **dataclasses.asdict(pair),
        "bytes": [stat.length for stat in stats],
        "modified": [stat.mtime_nsec for stat in stats],
    }
    return json.dumps(row, sort_keys=True) + "\n"


class _ReadPair(beam.DoFn):
    """Reads, checks and serialises the pair of one line of the manifest."""

    def process(self, line: str) -> Iterator[bytes]:
        """Yields one tf.Example; raises DataError on an unfit pair."""
        row = json.loads(line)
        fields = [field.name for field in dataclasses.fields(Pair)]
        pair = Pair(**{name: row[name] for name in fields})
        described = layout(pair.dataset)
        checked = check_pair(
            _read(pair.image),
            _read(pair.label),
            described.classes,
            described.id_map,
            described.colour_map,
            image_name=pair.image,
            label_name=pair.label,
        )
        yield serialise(pair, checked)


def _read(path: str) -> bytes:
    file = FileSystems.open(
        path, compression_type=CompressionTypes.UNCOMPRESSED
    )
    with file:
        contents: bytes = file.read()
    return contents


@beam.ptransform_fn
def _examples(
    root: beam.Pipeline, properties: dict[str, Any], pattern: str
) -> Any:
    manifest = os.path.join(properties["input_base"], pattern)
    return (
        root
        | "ReadManifest" >> beam.io.ReadFromText(manifest)
        | "SpreadPairs" >> beam.Reshuffle()
        | "ReadPairs" >> beam.ParDo(_ReadPair()).with_output_types(bytes)
    )


class Executor(BaseExampleGenExecutor):
    """Turns the manifest's pairs into tf.Examples, split by split."""

    def GetInputSourceToExamplePTransform(self) -> Any:  # noqa: N802
        """Returns the Beam transform from a manifest to tf.Examples."""
        return _examples


def segmentation_example_gen(manifest: str) -> FileBasedExampleGen:
    """Returns the example generator that reads a manifest.

    Args:
        manifest: The folder `write_manifest` wrote.

    Returns:
        A TFX component with the output `examples`, splits train and eval.
    """
    splits = [
        tfx.proto.Input.Split(name=split, pattern=f"{split}.jsonl")
        for split in SPLITS
    ]
    return FileBasedExampleGen(
        input_base=manifest,
        input_config=tfx.proto.Input(splits=splits),
        custom_executor_spec=executor_spec.BeamExecutorSpec(Executor),
    ).with_id("Ingest")
