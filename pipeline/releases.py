"""Releases: what is served, taking it back, and resetting the baseline.

Both are decisions of people, so both are written down: in `decisions.jsonl`
and on the blessings in ML Metadata, which they revoke.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from pipeline.lineage import open_store
from pipeline.model_files import versions

DECISIONS = "decisions.jsonl"
BLESSED, REVOKED = "blessed", "revoked"


@dataclass(frozen=True)
class Decision:
    """Something that a person decided about releases.

    Args:
        when: UTC, ISO 8601.
        what: `"rollback"` or `"baseline reset"`.
        reason: Why, in the person's words.
        withdrawn: Versions taken from the serving folder.
        restored: Versions brought back to it.
        serving: The version served afterwards, or None.
        blessings: Ids in ML Metadata of the blessings revoked.
    """

    when: str
    what: str
    reason: str
    withdrawn: tuple[int, ...] = ()
    restored: tuple[int, ...] = ()
    serving: int | None = None
    blessings: tuple[int, ...] = ()


def rollback(root: str, reason: str, to: int | None = None) -> Decision:
    """Makes an earlier version the served one.

    Newer versions move, each in one rename, from `serving` to `withdrawn`
    beside it, and their blessings are revoked: they are no baseline any more.
    A version that was withdrawn can be restored the same way.

    Args:
        root: The pipeline's folder, which holds `serving`.
        reason: Why; it is recorded.
        to: The version to serve; the one before the latest by default.

    Returns:
        What was done, as it is recorded.

    Raises:
        ValueError: If there is no such version, or none before the latest.
    """
    serving, withdrawn = os.path.join(root, "serving"), _withdrawn(root)
    there, gone = versions(serving), versions(withdrawn)
    if to is None:
        if len(there) < 2:
            raise ValueError(
                f"Nothing to roll back to. Expected at least two versions in "
                f"{serving}. Found: {there}."
            )
        to = there[-2]
    if to not in (*there, *gone):
        raise ValueError(
            f"Invalid value for argument `to`. Expected a version of "
            f"{serving}, {there}, or one withdrawn, {gone}. Received: to={to}."
        )
    newer = tuple(version for version in there if version > to)
    restored = () if to in there else (to,)
    # The one to serve first, so that a killed rollback never serves nothing.
    for version in restored:
        tf.io.gfile.rename(
            os.path.join(withdrawn, str(version)),
            os.path.join(serving, str(version)),
        )
    tf.io.gfile.makedirs(withdrawn)
    for version in reversed(newer):
        tf.io.gfile.rename(
            os.path.join(serving, str(version)),
            os.path.join(withdrawn, str(version)),
        )
    store = _store(root)
    revoked = _blessings_of(store, newer)
    _mark(store, revoked, 0, reason)
    _mark(store, _blessings_of(store, restored), 1, "")
    return _record(
        root,
        Decision(
            _now(), "rollback", reason, newer, restored, to, _ids(revoked)
        ),
    )


def reset_baseline(root: str, reason: str) -> Decision:
    """Revokes every blessing, so that the next model has no baseline.

    Args:
        root: The pipeline's folder.
        reason: Why; it is recorded.

    Returns:
        What was done, as it is recorded.
    """
    store = _store(root)
    found = [] if store is None else _blessed(store)
    _mark(store, found, 0, reason)
    there = versions(os.path.join(root, "serving"))
    return _record(
        root,
        Decision(
            _now(),
            "baseline reset",
            reason,
            serving=there[-1] if there else None,
            blessings=_ids(found),
        ),
    )


def decisions(root: str) -> list[Decision]:
    """Returns every decision recorded, the oldest first.

    Args:
        root: The pipeline's folder.
    """
    path = os.path.join(root, DECISIONS)
    if not tf.io.gfile.exists(path):
        return []
    with tf.io.gfile.GFile(path) as file:
        rows = [json.loads(line) for line in file]
    return [_read(row) for row in rows]


def _read(row: dict[str, Any]) -> Decision:
    lists = ("withdrawn", "restored", "blessings")
    return Decision(**{**row, **{name: tuple(row[name]) for name in lists}})


def _record(root: str, decision: Decision) -> Decision:
    path = os.path.join(root, DECISIONS)
    with tf.io.gfile.GFile(path, "a") as file:
        file.write(json.dumps(asdict(decision)) + "\n")
    return decision


def _withdrawn(root: str) -> str:
    return os.path.join(root, "withdrawn")


def _now() -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.isoformat(timespec="seconds")


def _store(root: str) -> metadata_store.MetadataStore | None:
    path = os.path.join(root, "metadata.sqlite")
    return open_store(path) if tf.io.gfile.exists(path) else None


def _blessed(store: Any) -> list[metadata_store_pb2.Artifact]:
    return [
        artifact
        for artifact in store.get_artifacts_by_type("ModelBlessing")
        if artifact.custom_properties[BLESSED].int_value == 1
    ]


def _blessings_of(
    store: metadata_store.MetadataStore | None, pushed: Iterable[int]
) -> list[metadata_store_pb2.Artifact]:
    """Returns the blessings with which versions were pushed."""
    names = {str(version) for version in pushed}
    if store is None or not names:
        return []
    models = [
        artifact.id
        for artifact in store.get_artifacts_by_type("PushedModel")
        if artifact.custom_properties["pushed_version"].string_value in names
    ]
    pushes = [
        event.execution_id
        for event in store.get_events_by_artifact_ids(models)
        if event.type == metadata_store_pb2.Event.OUTPUT
    ]
    inputs = {
        event.artifact_id
        for event in store.get_events_by_execution_ids(pushes)
        if event.type == metadata_store_pb2.Event.INPUT
    }
    blessings = store.get_artifacts_by_type("ModelBlessing")
    return [artifact for artifact in blessings if artifact.id in inputs]


def _mark(
    store: metadata_store.MetadataStore | None,
    blessings: list[metadata_store_pb2.Artifact],
    blessed: int,
    reason: str,
) -> None:
    """Marks blessings as they count from now on; TFX's resolver reads it."""
    for each in blessings:
        each.custom_properties[BLESSED].int_value = blessed
        each.custom_properties[REVOKED].string_value = reason
    if store is not None and blessings:
        store.put_artifacts(blessings)


def _ids(artifacts: list[metadata_store_pb2.Artifact]) -> tuple[int, ...]:
    return tuple(artifact.id for artifact in artifacts)
