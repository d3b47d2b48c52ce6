"""What a run needs before its graph: the listed pairs and the schema."""

from __future__ import annotations

import hashlib
import json
import os

import tensorflow as tf

from pipeline.config.pipeline_config import DataOptions, PipelineConfig
from pipeline.ingest import pixel_counts
from pipeline.ingest.manifest import SPLITS, write_manifest
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.layouts import find_pairs
from wseg_tf.data.pairs import Pair
from wseg_tf.data.streets import write_streets


def prepare_manifest(config: PipelineConfig) -> str:
    """Finds the images and labels and lists them for ingest.

    Args:
        config: The configuration.

    Returns:
        The manifest's folder.

    Raises:
        ConfigurationError: If there is no data path.
        DataError: If a file has no partner; names it.
    """
    folder = config.folder("manifest")
    data = config.data
    return write_manifest(
        folder, find_splits(config), data.dataset, data.shard_megabytes
    )


def find_splits(config: PipelineConfig) -> dict[str, list[Pair]]:
    """Finds the pairs of both splits; draws the embedded streets.

    Args:
        config: The configuration.

    Returns:
        Pairs by the pipeline's split, `train` and `eval`.

    Raises:
        ConfigurationError: If there is no data path.
        DataError: If a file has no partner; names it.
    """
    data = config.data
    path = data.path
    if data.dataset == "streets":
        path = _draw_streets(config)
    if path is None:
        raise ConfigurationError(
            f"Invalid value for argument `data.path`. Expected the folder of "
            f"the {data.dataset} data set; give it with --data. "
            "Received: data.path=None."
        )
    return {split: _pairs(data, path, split) for split in SPLITS}


def _draw_streets(config: PipelineConfig) -> str:
    streets = config.data.streets
    folder = config.folder("streets")
    write_streets(
        folder,
        counts={
            config.data.train: streets.train,
            config.data.eval: streets.eval,
        },
        size=(streets.height, streets.width),
        seed=streets.seed,
        look=streets.look,
    )
    return folder


def _pairs(data: DataOptions, path: str, split: str) -> list[Pair]:
    source = data.train if split == "train" else data.eval
    return find_pairs(data.dataset, path, source)[: data.limit]


def prepare_schema(config: PipelineConfig) -> str:
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
        counts = pixel_counts.read(path)
        drives = counts.get("train") or {
            f"{split} {drive}": statistics
            for split, own in counts.items()
            for drive, statistics in own.items()
        }
        statistics = pixel_counts.total(drives)
    except (tf.errors.OpError, ValueError, KeyError, AttributeError):
        raise ConfigurationError(
            "Invalid value for argument `data.drift_reference`. Expected a "
            "`statistics.json` of `wseg data convert` or of a run. Received: "
            f"{path}."
        ) from None
    if len(statistics.frames) != len(data.classes):
        raise ConfigurationError(
            "Invalid value for argument `data.drift_reference`. Expected "
            f"counts of {len(data.classes)} classes ({data.classes.name}). "
            f"Received: {path} of {len(statistics.frames)}."
        )
    return json.dumps(pixel_counts.as_json(statistics))
