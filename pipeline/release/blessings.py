"""The blessings of a pipeline in ML Metadata, which decide its baseline.

A decision of a person changes what a step would do that has run already; TFX
reuses no results that are not live, so the next run asks that step anew,
wherever it runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import tensorflow as tf
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from pipeline.gate.baseline import WITHDRAWN
from pipeline.release.lineage import is_service, open_store

# Custom properties of blessings.
IS_BLESSED, REVOKED = "blessed", "revoked"
_PUSHES = "PushedModel"


class Blessings:
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

    def all(self) -> list[metadata_store_pb2.Artifact]:
        """Returns those that ever were."""
        return self._artifacts("ModelBlessing")

    def valid(self) -> list[metadata_store_pb2.Artifact]:
        """Returns those that count."""
        return [
            artifact
            for artifact in self.all()
            if artifact.custom_properties[IS_BLESSED].int_value == 1
        ]

    def of(self, pushed: Iterable[int]) -> list[metadata_store_pb2.Artifact]:
        """Returns those with which versions were pushed."""
        names = {str(version) for version in pushed}
        if self._store is None or not names:
            return []
        models = [
            artifact.id
            for artifact in self._artifacts(_PUSHES)
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
        return [artifact for artifact in self.all() if artifact.id in inputs]

    def mark(
        self,
        blessings: list[metadata_store_pb2.Artifact],
        blessed: int,
        reason: str,
        withdrawn: int | None = None,
    ) -> None:
        """Marks them as they count from now on; TFX's resolver reads it.

        Args:
            blessings: The blessings.
            blessed: 1 if they count, else 0.
            reason: Why not.
            withdrawn: 1 if their models were withdrawn, 0 if restored; None
                leaves it.
        """
        for each in blessings:
            each.custom_properties[IS_BLESSED].int_value = blessed
            each.custom_properties[REVOKED].string_value = reason
            if blessed:
                each.state = metadata_store_pb2.Artifact.LIVE
            if withdrawn is not None:
                each.custom_properties[WITHDRAWN].int_value = withdrawn
        self._put(blessings)

    def pushes(self) -> list[metadata_store_pb2.Artifact]:
        """Returns what was pushed, or refused to be, by every run."""
        return self._artifacts(_PUSHES)

    def end(self, results: list[metadata_store_pb2.Artifact]) -> None:
        """Lets no later run reuse results: it runs their steps again.

        Args:
            results: Blessings, or pushes.
        """
        for each in results:
            each.state = metadata_store_pb2.Artifact.ABANDONED
        self._put(results)

    def _put(self, artifacts: list[metadata_store_pb2.Artifact]) -> None:
        if self._store is not None and artifacts:
            self._store.put_artifacts(artifacts)

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
