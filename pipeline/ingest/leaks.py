"""Leaks: what a model is judged on must not be what it learned from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import tensorflow as tf

from pipeline.ingest.manifest import Listed, with_files
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.pairs import Pair
from wseg_tf.data.rows import Rows
from wseg_tf.data.threads import in_order
from wseg_tf.filesystems import read_bytes, write_whole
from wseg_tf.json_files import read_json

SHARED = "shared.json"
_SHOWN = 3
# A size or a digest, whether the image is judged on, and its path.
_Row = tuple[Any, bool, str]


@dataclass(frozen=True)
class Shared:
    """What training and evaluation have in common.

    Args:
        images: Names of images that are judged and trained on: the same file,
            or the same bytes.
        drives: Drives that have images in both.
        validated: Whether training counts what it was validated on.
    """

    images: tuple[str, ...] = ()
    drives: tuple[str, ...] = ()
    validated: bool = False

    @property
    def sentence(self) -> str:
        """What is shared, in words; empty if nothing is."""
        said = []
        learned = "training or validation" if self.validated else "training"
        if self.images:
            count = len(self.images)
            are = f"is a {learned} image"
            if count > 1:
                are = f"are {learned} images"
            said.append(
                f"{count} of the images judged on {are} ({named(self.images)})"
            )
        if self.drives:
            count = len(self.drives)
            are = "1 drive is" if count == 1 else f"{count} drives are"
            used = "trained or validated" if self.validated else "trained"
            said.append(
                f"{are} both {used} and judged on ({named(self.drives)})"
            )
        return "; ".join(said)


def find_shared(training: Iterable[Pair], judged: Iterable[Pair]) -> Shared:
    """Finds what training and evaluation have in common.

    Args:
        training: What is trained on.
        judged: What the gate judges on.

    Returns:
        What is shared. Where a data set does not tell its drives, none is.
    """
    return shared_of(with_files(training), with_files(judged))


def shared_of(training: Rows[Listed], judged: Rows[Listed]) -> Shared:
    """Finds what training and evaluation have in common.

    Args:
        training: What is trained on, with its files' sizes.
        judged: What the gate judges on, likewise.

    Returns:
        What is shared.
    """
    known = {pair.drive for pair, _ in training if pair.drive != pair.dataset}
    drives = sorted({p.drive for p, _ in judged if p.drive in known})
    # Only files of one size can hold the same bytes.
    sized = Rows.in_order(
        (files[0][0], is_judged, pair.image)
        for is_judged, own in ((False, training), (True, judged))
        for pair, files in own
    )
    alike = ((judged, path) for _, judged, path in _of_both(sized))
    digests = Rows.in_order(in_order(_digest, alike, os.cpu_count() or 1))
    images = {path for _, is_judged, path in _of_both(digests) if is_judged}
    names = [pair.name for pair, _ in judged if pair.image in images]
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
            own = Shared(**{f"{kind}s": found}, validated=shared.validated)
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


def _of_both(rows: Rows[_Row]) -> Iterator[_Row]:
    """Yields rows whose key both training and evaluation have."""
    both = {
        key
        for key, own in groupby(rows, itemgetter(0))
        if len({is_judged for _, is_judged, _ in own}) > 1
    }
    return (row for row in rows if row[0] in both)


def _digest(image: tuple[bool, str]) -> tuple[str, bool, str]:
    is_judged, path = image
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest(), is_judged, path
    except OSError:
        return path, is_judged, path  # Whoever reads it says why it cannot.


def named(names: Sequence[str]) -> str:
    """Returns the first few names, for a sentence."""
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
