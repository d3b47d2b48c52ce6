"""Leaks: what a model is judged on must not be what it learned from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import tensorflow as tf

from pipeline.ingest.manifest import stats
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.pairs import Pair
from wseg_tf.filesystems import read_bytes, write_whole
from wseg_tf.json_files import read_json

SHARED = "shared.json"
_SHOWN = 3


@dataclass(frozen=True)
class Shared:
    """What training and evaluation have in common.

    Args:
        images: Names of images that are judged and trained on: the same file,
            or the same bytes.
        drives: Drives that have images in both.
    """

    images: tuple[str, ...] = ()
    drives: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What is shared, in words; empty if nothing is."""
        said = []
        if self.images:
            count = len(self.images)
            are = "is a training image" if count == 1 else "are training images"
            said.append(
                f"{count} of the images judged on {are} ({_few(self.images)})"
            )
        if self.drives:
            count = len(self.drives)
            are = "1 drive is" if count == 1 else f"{count} drives are"
            said.append(
                f"{are} both trained and judged on ({_few(self.drives)})"
            )
        return "; ".join(said)


def find_shared(training: Sequence[Pair], judged: Sequence[Pair]) -> Shared:
    """Finds what training and evaluation have in common.

    Args:
        training: What is trained on.
        judged: What the gate judges on.

    Returns:
        What is shared. Where a data set does not tell its drives, none is.
    """
    known = {pair.drive for pair in training if pair.drive != pair.dataset}
    drives = sorted({p.drive for p in judged if p.drive in known})
    paths = {pair.image for pair in training}
    images = {pair.image for pair in judged if pair.image in paths}
    # Only files of one size can hold the same bytes.
    sizes = _by_size(training), _by_size(judged)
    alike = [
        sorted({p for size in {*sizes[0]} & {*sizes[1]} for p in own[size]})
        for own in sizes
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        learned, seen = (list(pool.map(_digest, each)) for each in alike)
    images |= {
        path
        for path, digest in zip(alike[1], seen, strict=True)
        if digest in {*learned}
    }
    names = [pair.name for pair in judged if pair.image in images]
    return Shared(tuple(names), tuple(drives))


def refuse_shared(
    shared: Shared,
    allowed: Sequence[str],
    field: str = "gate.allow_shared",
) -> None:
    """Refuses a run that would judge a model by what it learned.

    Args:
        shared: What `find_shared` returned.
        allowed: The value of `field`.
        field: What allows it. Defaults to `"gate.allow_shared"`.

    Raises:
        ConfigurationError: If images, or drives, are shared and it is not
            allowed.
    """
    for kind, found in (("image", shared.images), ("drive", shared.drives)):
        if found and kind not in allowed:
            own = Shared(**{f"{kind}s": found})
            raise ConfigurationError(
                f"Invalid data: {own.sentence}, so a verdict would say little "
                "about streets it has not seen. Expected other splits or "
                f"drives, or {field}=[{kind}], which the report shows. "
                f"Received: {field}={list(allowed)}."
            )


def write_shared(manifest: str, shared: Shared) -> None:
    """Writes what is shared beside the list of what is ingested."""
    path = os.path.join(manifest, SHARED)
    write_whole(path, json.dumps(asdict(shared)) + "\n")


def read_shared(manifest: str) -> Shared:
    """Reads what `write_shared` wrote; nothing if nobody did.

    Args:
        manifest: The manifest's folder.

    Raises:
        ValueError: If it is damaged.
    """
    path = os.path.join(manifest, SHARED)
    if not tf.io.gfile.exists(path):
        return Shared()
    shared: Shared = read_json(path, Shared)
    return shared


def _by_size(pairs: Sequence[Pair]) -> dict[int, list[str]]:
    """Returns the images of each size in bytes."""
    found: dict[int, list[str]] = {}
    for pair, files in zip(pairs, stats(pairs), strict=True):
        found.setdefault(files[0][0], []).append(pair.image)
    return found


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except OSError:
        return path  # Whoever reads it says why it cannot.


def _few(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
