"""The manifest: every pair a run ingests, listed before it starts.

One JSON line per pair, with the size and date of both files, and beside them
what the labels mean. The folder's name is a digest of what it holds, so that a
label that changes, or is added, or is mapped to another class makes another
manifest, and TFX ingests anew. Each line names the record file it goes to:
records are the same bytes however many workers write them, and in the order of
hashes, so that neighbours in a drive lie apart.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from pipeline.config.data_options import SHARD_MEGABYTES
from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts import Layout
from wseg_tf.data.pairs import Pair
from wseg_tf.filesystems import is_remote, read_bytes, write_whole

SPLITS = ("train", "eval")
MEANING = "labels.json"
# An object store answers after tens of milliseconds, but many at a time.
ASKED_AT_ONCE = 32


def write_manifest(
    folder: str,
    pairs: Mapping[str, Sequence[Pair]],
    layout: Layout,
    shard_megabytes: float = SHARD_MEGABYTES,
) -> str:
    """Lists the pairs of each split, and what their labels mean.

    Args:
        folder: The manifest becomes a folder in it.
        pairs: The pairs of each split.
        layout: The layout they were found by.
        shard_megabytes: MiB of images and labels for each record file.

    Returns:
        The manifest's folder; it holds `SPLIT.jsonl` for each split, and
        `labels.json`.
    """
    shard_bytes = max(1, round(shard_megabytes * 2**20))
    texts = {
        f"{split}.jsonl": "".join(
            json.dumps(row, sort_keys=True) + "\n"
            for row in _rows(own, shard_bytes)
        )
        for split, own in pairs.items()
    }
    # An empty split has its file too; labels come first, so that whoever
    # finds a list finds what it means.
    texts = {MEANING: json.dumps(layout.meaning(), indent=1) + "\n", **texts}
    manifest = os.path.join(folder, _digest(texts))
    for name, text in texts.items():
        path = os.path.join(manifest, name)
        if not tf.io.gfile.exists(path):
            # A file is whole or it is not there. Not so the folder: an object
            # store has none that could change its name.
            write_whole(path, text)
    verify_manifest(manifest)
    return manifest


def verify_manifest(manifest: str) -> None:
    """Refuses a manifest that is not what was listed: its name says what was.

    Args:
        manifest: What `write_manifest` returned.

    Raises:
        DataError: If a line was added, cut or changed since.
    """
    texts = {}
    for name in tf.io.gfile.listdir(manifest):
        if name == MEANING or name.endswith(".jsonl"):
            content = read_bytes(os.path.join(manifest, name))
            texts[name] = content.decode(errors="replace")
    if os.path.basename(manifest.rstrip("/")) != _digest(texts):
        raise DataError(
            f"{manifest}: expected the pairs that were listed, of which its "
            "name is the digest. Found: others; delete it and run again."
        )


def _digest(texts: Mapping[str, str]) -> str:
    content = repr(sorted(texts.items()))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def listing_digest(pairs: Mapping[str, Sequence[Pair]], layout: Layout) -> str:
    """Returns what tells listed data from others, wherever they lie.

    Args:
        pairs: The pairs of each split.
        layout: The layout they were found by.

    Returns:
        SHA-256 of names, drives, sizes, dates and what labels mean; sixteen
        hexadecimal digits.
    """
    rows = [
        (split, pair.name, pair.drive, files)
        for split, own in pairs.items()
        for pair, files in zip(own, stats(own), strict=True)
    ]
    content = repr((rows, layout.meaning()))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def layout_of(manifest: str) -> Layout:
    """Returns the layout that reads the labels of a manifest.

    Args:
        manifest: What `write_manifest` returned.
    """
    with tf.io.gfile.GFile(os.path.join(manifest, MEANING)) as file:
        return Layout.of_meaning(json.load(file))


def _rows(pairs: Sequence[Pair], shard_bytes: int) -> Iterator[dict[str, Any]]:
    # In no order: training shuffles a few hundred records at a time, and
    # would see one drive after the other.
    pairs = sorted(pairs, key=_lot)
    found = stats(pairs)
    ends = []
    total = 0
    for files in found:
        total += sum(size for size, _ in files)
        ends.append(total)
    # A pair goes where its last byte falls.
    shards = [(end - 1) // shard_bytes for end in ends]
    numbers = {shard: number for number, shard in enumerate(sorted({*shards}))}
    for index, (pair, files) in enumerate(zip(pairs, found, strict=True)):
        yield {
            "pair": dataclasses.asdict(pair),
            "index": index,
            "shard": numbers[shards[index]],
            "shards": len(numbers),
            "bytes": [size for size, _ in files],
            "modified": [date for _, date in files],
        }


def _lot(pair: Pair) -> bytes:
    named = f"{pair.dataset}/{pair.drive}/{pair.name}"
    return hashlib.sha256(named.encode()).digest()


def stats(pairs: Sequence[Pair]) -> list[list[tuple[int, int]]]:
    """Returns size and date of the files of each pair.

    Args:
        pairs: The pairs.

    Returns:
        For each pair bytes, and nanoseconds since 1970, of its image and, if
        it has one, its label; zeros for what is not there.
    """
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        return list(pool.map(_sizes_and_dates, pairs))


def _sizes_and_dates(pair: Pair) -> list[tuple[int, int]]:
    paths = (pair.image, pair.label)
    return [_size_and_date(path) for path in paths if path]


def _size_and_date(path: str) -> tuple[int, int]:
    """Returns bytes, and nanoseconds since 1970; zeros of what is not there.

    A link that leads nowhere is listed: who reads it says why it cannot.
    """
    try:
        if not is_remote(path):
            # TensorFlow knows local dates to the second: a label corrected at
            # once, of the same size, would pass for the old one.
            local = os.stat(path)
            return local.st_size, local.st_mtime_ns
        remote = tf.io.gfile.stat(path)
    except (OSError, tf.errors.OpError):
        return 0, 0
    return remote.length, remote.mtime_nsec
