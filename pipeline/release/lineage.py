"""What a run did, read back from ML Metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata

from pipeline.release.metadata_file import fault, lost


@dataclass(frozen=True)
class Artifact:
    """An artifact of a run: its folder and properties."""

    uri: str
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A component's part in a run.

    Args:
        state: `"complete"`, `"cached"`, `"failed"`, ... in ML Metadata's words.
        outputs: Output artifacts by channel.
    """

    state: str
    outputs: Mapping[str, list[Artifact]]


def is_service(place: str) -> bool:
    """Whether a place is HOST:PORT of a metadata service, not a file.

    Example:

    >>> is_service("localhost:8080"), is_service("runs/demo/metadata.sqlite")
    (True, False)
    """
    host, _, port = place.rpartition(":")
    return bool(host) and port.isdigit() and "/" not in place


def open_store(place: str) -> metadata_store.MetadataStore:
    """Opens metadata.

    Args:
        place: The SQLite file of a pipeline, or HOST:PORT of the metadata
            service of a cluster.

    Raises:
        DataError: If the file is damaged.
        InUseError: If another program holds it all the time.
    """
    if is_service(place):
        host, _, port = place.rpartition(":")
        return metadata_store.MetadataStore(
            metadata_store_pb2.MetadataStoreClientConfig(
                host=host, port=int(port)
            )
        )
    if found := fault(place):
        raise lost(place, found)
    return metadata_store.MetadataStore(
        metadata.sqlite_metadata_connection_config(place)
    )


def run_ids(path: str) -> list[int]:
    """Returns the ids of all runs, the latest last.

    Args:
        path: The SQLite file of the pipeline's metadata.
    """
    runs = open_store(path).get_contexts_by_type("pipeline_run")
    return sorted(run.id for run in runs)


def latest_run(path: str) -> dict[str, Step]:
    """Returns the steps of the latest run, by component id.

    Args:
        path: The SQLite file of the pipeline's metadata.

    Returns:
        Steps in the order they started; empty if there was no run.
    """
    runs = run_ids(path)
    return run_steps(path, runs[-1]) if runs else {}


def run_steps(path: str, run: int) -> dict[str, Step]:
    """Returns the steps of a run, by component id.

    Args:
        path: The SQLite file of the pipeline's metadata.
        run: One of `run_ids`.

    Returns:
        Steps in the order they started.
    """
    store = open_store(path)
    executions = store.get_executions_by_context(run)
    return {
        _component(store, execution): _step(store, execution)
        for execution in sorted(executions, key=lambda each: each.id)
    }


def _component(
    store: metadata_store.MetadataStore,
    execution: metadata_store_pb2.Execution,
) -> str:
    contexts = store.get_contexts_by_execution(execution.id)
    names = [each.name for each in contexts if each.type == "node"]
    # A node's context is named `pipeline.component`.
    return str(names[0] if names else execution.type).rpartition(".")[2]


def _step(
    store: metadata_store.MetadataStore,
    execution: metadata_store_pb2.Execution,
) -> Step:
    state = metadata_store_pb2.Execution.State.Name(
        execution.last_known_state
    ).lower()
    events = [
        event
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type == metadata_store_pb2.Event.OUTPUT
    ]
    artifacts = {
        artifact.id: artifact
        for artifact in store.get_artifacts_by_id(
            [event.artifact_id for event in events]
        )
    }
    outputs: dict[str, list[Artifact]] = {}
    for event in events:
        channel = next(
            (step.key for step in event.path.steps if step.HasField("key")), ""
        )
        artifact = artifacts[event.artifact_id]
        outputs.setdefault(channel, []).append(
            Artifact(artifact.uri, _properties(artifact))
        )
    return Step(state, outputs)


def _properties(artifact: metadata_store_pb2.Artifact) -> dict[str, Any]:
    return {
        name: getattr(value, value.WhichOneof("value"))
        for properties in (artifact.properties, artifact.custom_properties)
        for name, value in properties.items()
        if value.WhichOneof("value")
    }
