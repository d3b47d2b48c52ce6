"""Digests: what a step made is what the steps after it read, or they stop.

A digest is recorded on the artifact, in ML Metadata, by the step that wrote
the files; whoever reads the files next holds them to it.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

from wseg_tf.data.checks import DataError
from wseg_tf.file_digests import file_digests

# Where TensorFlow Serving looks for requests to warm up with.
WARMUP = os.path.join("assets.extra", "tf_serving_warmup_requests")
# What TensorBoard reads of a training.
BOARD = os.path.join("tensorboard", "")
# Where a pushed version states what it is.
STATEMENT = os.path.join("assets.extra", "release.json")
SIGNATURE = os.path.join("assets.extra", "release.sig")
# The custom property of an artifact that holds its files' digest; of records,
# that of what was counted when they were written; of a served model, that of
# the requests.
DIGEST = "sha256"
COUNTED = "counted"
WARMED = "warmed"


def digest(folder: str) -> str:
    """Returns what tells the files of a folder from others.

    Args:
        folder: The folder, of a SavedModel, of records, or of a training; or
            one file.

    Returns:
        SHA-256 of every file's name and content, hexadecimal; what a push adds
        to a SavedModel is not part of it, nor what TensorBoard reads, which
        may be written later and decides nothing.
    """
    total = hashlib.sha256()
    for name, own in each_digest(folder).items():
        if name != WARMUP and not name.startswith(BOARD):
            total.update(f"{name}\0{own}\n".encode())
    return total.hexdigest()


def each_digest(folder: str) -> dict[str, str]:
    """Returns the SHA-256 of each file below a folder, by its path there.

    Args:
        folder: As `file_digests` takes it; a statement of its own, and its
            signature, are left out.

    Returns:
        Hexadecimal digests, sorted by path.
    """
    return {
        name: own
        for name, own in file_digests(folder).items()
        if name not in (STATEMENT, SIGNATURE)
    }


def record(artifact: Any, folder: str, key: str = DIGEST) -> str:
    """Notes the digest of what an artifact holds, and returns it.

    Args:
        artifact: TFX's artifact.
        folder: Where its files are.
        key: What they are, where it holds more than one folder.
    """
    found = digest(folder)
    artifact.set_string_custom_property(key, found)
    return found


def verify(artifact: Any, folder: str, key: str = DIGEST) -> str:
    """Returns the digest of what an artifact holds, if it is what was noted.

    Args:
        artifact: TFX's artifact.
        folder: Where its files are.
        key: As `record` took it.

    Raises:
        DataError: If the files are others than those that were noted, or
            nothing was.
    """
    noted = artifact.get_string_custom_property(key)
    if not noted:
        raise DataError(
            f"{folder}: expected files whose digest was noted. Found: none "
            "noted, as by an earlier version; make them anew or, of a "
            "baseline, forget it by `wseg baseline --reset REASON`."
        )
    found = digest(folder)
    if found != noted:
        raise DataError(
            f"{folder}: expected the files that were written there (sha256 "
            f"{noted[:12]}). Found: others (sha256 {found[:12]}); something "
            "changed them after the step that made them."
        )
    return found
