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

from pipeline.release.lineage import is_service, open_store
from pipeline.release.model_files import move, versions

DECISIONS = "decisions.jsonl"
# Custom properties of blessings in ML Metadata.
IS_BLESSED, REVOKED = "blessed", "revoked"


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


def rollback(
    root: str,
    reason: str,
    to: int | None = None,
    metadata: str | None = None,
) -> Decision:
    """Makes an earlier version the served one.

    Newer versions move, one by one, from `serving` to `withdrawn`
    beside it, and their blessings are revoked: they are no baseline any more.
    A version that was withdrawn can be restored the same way.

    Args:
        root: The pipeline's folder, which holds `serving`.
        reason: Why; it is recorded.
        to: The version to serve; the one before the latest by default.
        metadata: A SQLite file, or HOST:PORT of the metadata service of a
            cluster; `metadata.sqlite` of the folder by default.

    Returns:
        What was done, as it is recorded.

    Raises:
        ValueError: If there is no such version, or none before the latest, or
            a metadata service does not know the pipeline.
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
    # Asked before anything moves: a service may not answer.
    blessings = _Blessings(root, metadata)
    revoked, renewed = blessings.of(newer), blessings.of(restored)
    # The one to serve first, so that a killed rollback never serves nothing.
    for version in restored:
        move(
            os.path.join(withdrawn, str(version)),
            os.path.join(serving, str(version)),
        )
    tf.io.gfile.makedirs(withdrawn)
    for version in reversed(newer):
        move(
            os.path.join(serving, str(version)),
            os.path.join(withdrawn, str(version)),
        )
    blessings.mark(revoked, 0, reason)
    blessings.mark(renewed, 1, "")
    return _record(
        root,
        Decision(
            _now(), "rollback", reason, newer, restored, to, _ids(revoked)
        ),
    )


def reset_baseline(
    root: str, reason: str, metadata: str | None = None
) -> Decision:
    """Revokes every blessing, so that the next model has no baseline.

    Args:
        root: The pipeline's folder.
        reason: Why; it is recorded.
        metadata: As `rollback` takes it.

    Returns:
        What was done, as it is recorded.

    Raises:
        ValueError: If a metadata service does not know the pipeline.
    """
    blessings = _Blessings(root, metadata)
    found = blessings.valid()
    blessings.mark(found, 0, reason)
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


class _Blessings:
    """The blessings of a pipeline, in its own file or in a service of many.

    Args:
        root: The pipeline's folder; its name is the pipeline's.
        metadata: As `rollback` takes it.
    """

    def __init__(self, root: str, metadata: str | None) -> None:
        place = metadata or os.path.join(root, "metadata.sqlite")
        self._store: metadata_store.MetadataStore | None = None
        self._own: set[int] | None = None
        if is_service(place):
            self._store = open_store(place)
            self._own = self._of_pipeline(os.path.basename(root.rstrip("/")))
        elif tf.io.gfile.exists(place):
            self._store = open_store(place)

    def valid(self) -> list[metadata_store_pb2.Artifact]:
        """Returns those that count."""
        return [
            artifact
            for artifact in self._artifacts("ModelBlessing")
            if artifact.custom_properties[IS_BLESSED].int_value == 1
        ]

    def of(self, pushed: Iterable[int]) -> list[metadata_store_pb2.Artifact]:
        """Returns those with which versions were pushed."""
        names = {str(version) for version in pushed}
        if self._store is None or not names:
            return []
        models = [
            artifact.id
            for artifact in self._artifacts("PushedModel")
            if artifact.custom_properties["pushed_version"].string_value
            in names
        ]
        pushes = [
            event.execution_id
            for event in self._store.get_events_by_artifact_ids(models)
            if event.type == metadata_store_pb2.Event.OUTPUT
        ]
        inputs = {
            event.artifact_id
            for event in self._store.get_events_by_execution_ids(pushes)
            if event.type == metadata_store_pb2.Event.INPUT
        }
        blessings = self._artifacts("ModelBlessing")
        return [artifact for artifact in blessings if artifact.id in inputs]

    def mark(
        self,
        blessings: list[metadata_store_pb2.Artifact],
        blessed: int,
        reason: str,
    ) -> None:
        """Marks them as they count from now on; TFX's resolver reads it."""
        for each in blessings:
            each.custom_properties[IS_BLESSED].int_value = blessed
            each.custom_properties[REVOKED].string_value = reason
        if self._store is not None and blessings:
            self._store.put_artifacts(blessings)

    def _artifacts(self, kind: str) -> list[metadata_store_pb2.Artifact]:
        if self._store is None:
            return []
        return [
            artifact
            for artifact in self._store.get_artifacts_by_type(kind)
            if self._own is None or artifact.id in self._own
        ]

    def _of_pipeline(self, name: str) -> set[int]:
        store = self._store
        assert store is not None
        context = store.get_context_by_type_and_name("pipeline", name)
        if context is None:
            raise ValueError(
                "Invalid value for argument `metadata`. Expected a metadata "
                f"service that knows the pipeline {name!r}. Received: one "
                "that does not."
            )
        return {each.id for each in store.get_artifacts_by_context(context.id)}


def _ids(artifacts: list[metadata_store_pb2.Artifact]) -> tuple[int, ...]:
    return tuple(artifact.id for artifact in artifacts)
