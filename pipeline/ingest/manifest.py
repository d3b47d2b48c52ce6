"""The manifest: every pair a run ingests, listed before it starts.

One JSON line per pair, with the size and dates of both files, and beside them
what the labels mean. The folder's name is a digest of what it holds, so that a
label that changes, or is added, or is mapped to another class makes another
manifest, and TFX ingests anew. Each line names the record file it goes to:
records are the same bytes however many workers write them, and in the order of
hashes, so that neighbours in a drive lie apart. Lines are sorted, written and
read one after the other, so that memory does not grow with them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from typing import Any

import tensorflow as tf

from pipeline.config.data_options import SHARD_MEGABYTES
from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts import Layout
from wseg_tf.data.pairs import Pair
from wseg_tf.data.rows import Rows
from wseg_tf.data.threads import in_order
from wseg_tf.filesystems import (
    is_remote,
    read_bytes,
    read_lines,
    whole_file,
    write_bytes,
)

MEANING = "labels.json"
_LIST = ".jsonl"
# An object store answers after tens of milliseconds, but many at a time; a
# block of pairs is one's work.
ASKED_AT_ONCE, _BLOCK = 32, 8
_COPIED_AT_ONCE = 2**20

# Of a pair's image and its label: bytes, and nanoseconds since 1970 when it was
# modified, which may be set back, and changed in any way, which may not.
Files = list[tuple[int, int, int]]
Listed = tuple[Pair, Files]


def write_manifest(
    folder: str,
    pairs: Mapping[str, Iterable[Pair]],
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
    listed = {split: with_files(own) for split, own in pairs.items()}
    return write_listed(folder, listed, layout, shard_megabytes)


def write_listed(
    folder: str,
    listed: Mapping[str, Rows[Listed]],
    layout: Layout,
    shard_megabytes: float = SHARD_MEGABYTES,
) -> str:
    """Writes the manifest of pairs whose files were looked at.

    Args:
        folder: The manifest becomes a folder in it.
        listed: What `with_files` returned of each split.
        layout: The layout they were found by.
        shard_megabytes: MiB of images and labels for each record file.

    Returns:
        The manifest's folder.
    """
    shard_bytes = max(1, round(shard_megabytes * 2**20))
    with tempfile.TemporaryDirectory() as scratch:
        # Labels come first, so that whoever finds a list finds what it means.
        names = [MEANING, *(f"{split}{_LIST}" for split in listed)]
        meaning = json.dumps(layout.meaning(), indent=1) + "\n"
        write_bytes(os.path.join(scratch, MEANING), meaning.encode())
        for split, own in listed.items():
            path = os.path.join(scratch, f"{split}{_LIST}")
            with tf.io.gfile.GFile(path, "w") as file:
                file.write("")  # An empty split has its file, too.
                for row in _rows(own, shard_bytes):
                    file.write(json.dumps(row, sort_keys=True) + "\n")
        manifest = os.path.join(folder, _digest(scratch))
        for name in names:
            path = os.path.join(manifest, name)
            if not tf.io.gfile.exists(path):
                # A file is whole or it is not there. Not so the folder: an
                # object store has none that could change its name.
                _copy(os.path.join(scratch, name), path)
    verify_manifest(manifest)
    return manifest


def splits_of(manifest: str) -> list[str]:
    """Returns the splits that a manifest lists.

    Args:
        manifest: What `write_manifest` returned.
    """
    names = tf.io.gfile.listdir(manifest)
    return sorted(
        name.removesuffix(_LIST) for name in names if name.endswith(_LIST)
    )


def verify_manifest(manifest: str) -> None:
    """Refuses a manifest that is not what was listed: its name says what was.

    Args:
        manifest: What `write_manifest` returned.

    Raises:
        DataError: If a line was added, cut or changed since.
    """
    if os.path.basename(manifest.rstrip("/")) != _digest(manifest):
        raise DataError(
            f"{manifest}: expected the pairs that were listed, of which its "
            "name is the digest. Found: others; delete it and run again."
        )


def _digest(folder: str) -> str:
    """Returns SHA-256 of `repr([(name, text), ...])`, read line by line."""
    names = (
        name
        for name in tf.io.gfile.listdir(folder)
        if name == MEANING or name.endswith(_LIST)
    )
    digest = hashlib.sha256(b"[")
    for number, name in enumerate(sorted(names)):
        digest.update(f"{', ' * (number > 0)}({name!r}, '".encode())
        for line in read_lines(os.path.join(folder, name)):
            # Any text with a double quote, as JSON has, is put in single ones.
            text = '"' + line.decode(errors="replace")
            digest.update(repr(text)[2:-1].encode())
        digest.update(b"')")
    digest.update(b"]")
    return digest.hexdigest()[:16]


def _copy(source: str, path: str) -> None:
    with (
        whole_file(path) as place,
        tf.io.gfile.GFile(source, "rb") as content,
        tf.io.gfile.GFile(place, "wb") as file,
    ):
        file.write(b"")
        while part := content.read(_COPIED_AT_ONCE):
            file.write(part)


def contents_digest(pairs: Mapping[str, Sequence[Pair]], layout: Layout) -> str:
    """Returns what tells data from others, wherever and since when they lie.

    Args:
        pairs: The pairs of each split.
        layout: The layout they were found by.

    Returns:
        SHA-256 of names, drives, the bytes of files and what labels mean;
        sixteen hexadecimal digits.

    Raises:
        DataError: If a file cannot be read.
    """
    rows = [
        (split, pair.drive, files)
        for split, own in pairs.items()
        for pair, files in zip(own, contents(own), strict=True)
    ]
    content = repr((rows, layout.meaning()))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def contents(pairs: Iterable[Pair]) -> list[tuple[str, ...]]:
    """Returns the name of each pair, and the SHA-256 of its files.

    Args:
        pairs: The pairs.

    Raises:
        DataError: If a file cannot be read.
    """
    return [*in_order(_contents, iter(pairs), ASKED_AT_ONCE)]


def _contents(pair: Pair) -> tuple[str, ...]:
    try:
        files = [read_bytes(path) for path in (pair.image, pair.label) if path]
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}.") from error
    return (pair.name, *(hashlib.sha256(file).hexdigest() for file in files))


def layout_of(manifest: str) -> Layout:
    """Returns the layout that reads the labels of a manifest.

    Args:
        manifest: What `write_manifest` returned.
    """
    with tf.io.gfile.GFile(os.path.join(manifest, MEANING)) as file:
        return Layout.of_meaning(json.load(file))


def _rows(listed: Rows[Listed], shard_bytes: int) -> Iterator[dict[str, Any]]:
    # In no order: training shuffles a few hundred records at a time, and
    # would see one drive after the other.
    drawn = Rows.in_order(
        (_lot(pair), place, pair, files)
        for place, (pair, files) in enumerate(listed)
    )

    def shards() -> Iterator[int]:
        end = 0
        for _, _, _, files in drawn:
            end += sum(size for size, *_ in files)
            # A pair goes where its last byte falls.
            yield (end - 1) // shard_bytes

    count = sum(1 for _ in groupby(shards()))
    number, before = -1, None
    for index, (row, shard) in enumerate(zip(drawn, shards(), strict=True)):
        number += shard != before
        before = shard
        _, _, pair, files = row
        yield {
            "pair": dataclasses.asdict(pair),
            "index": index,
            "shard": number,
            "shards": count,
            "bytes": [size for size, *_ in files],
            "modified": [date for _, date, _ in files],
            "changed": [date for *_, date in files],
        }


def _lot(pair: Pair) -> bytes:
    named = f"{pair.dataset}/{pair.drive}/{pair.name}"
    return hashlib.sha256(named.encode()).digest()


def with_files(pairs: Iterable[Pair]) -> Rows[Listed]:
    """Looks at the files of pairs, several at a time.

    Args:
        pairs: The pairs.

    Returns:
        Each pair with the `Files` of its image and, if it has one, its label;
        zeros for what is not there.
    """
    left = iter(pairs)
    blocks = iter(lambda: [*islice(left, _BLOCK)], [])

    def look(block: list[Pair]) -> list[Listed]:
        return [(pair, _files(pair)) for pair in block]

    looked = in_order(look, blocks, ASKED_AT_ONCE)
    return Rows(chain.from_iterable(looked))


def refuse_changed(pair: Pair, row: Mapping[str, Any]) -> None:
    """Refuses local files of other sizes or dates than were listed.

    Args:
        pair: The pair, whose files were read.
        row: Its line of the manifest.

    Raises:
        DataError: If one was changed since; names it.
    """
    listed = zip(row["bytes"], row["modified"], strict=True)
    paths = [path for path in (pair.image, pair.label) if path]
    for path, (size, date) in zip(paths, listed, strict=True):
        if is_remote(path) or not date:
            continue
        # When it was changed, another machine's copy may say otherwise.
        now, then, _ = _size_and_dates(path)
        # To the second: another machine may see no more of a date.
        if (size, date // 10**9) != (now, then // 10**9):
            raise DataError(
                f"{path}: expected the file that was listed when the run "
                "began. Found: it was changed meanwhile; run again."
            )


def marks(pairs: Iterable[Pair]) -> list[Files]:
    """Returns what shows that a file of a pair was changed meanwhile.

    Args:
        pairs: The pairs.
    """
    return [files for _, files in with_files(pairs)]


def _files(pair: Pair) -> Files:
    return [_size_and_dates(path) for path in (pair.image, pair.label) if path]


def _size_and_dates(path: str) -> tuple[int, int, int]:
    """Returns what `Files` holds of a file; zeros of what is not there.

    A link that leads nowhere is listed: who reads it says why it cannot.
    """
    try:
        if not is_remote(path):
            # TensorFlow knows local dates to the second: a label corrected at
            # once, of the same size, would pass for the old one.
            local = os.stat(path)
            return local.st_size, local.st_mtime_ns, local.st_ctime_ns
        remote = tf.io.gfile.stat(path)
    except (OSError, tf.errors.OpError):
        return 0, 0, 0
    # A store's own date, which nobody sets.
    return remote.length, remote.mtime_nsec, remote.mtime_nsec
