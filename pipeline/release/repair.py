"""Metadata that was lost: what decides about releases is noted anew.

The record of what ran is gone, so every step runs again. What the next run
must know all the same is which models were released, and which were taken
back: that is read from the versions, their statements and the decisions.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

import tensorflow as tf
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.portable.mlmd import context_lib, execution_lib
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from pipeline.gate.baseline import WITHDRAWN
from pipeline.gate.digests import DIGEST, digest
from pipeline.release.blessings import IS_BLESSED, REVOKED
from pipeline.release.decisions import RESET, decisions
from pipeline.release.metadata_file import made
from pipeline.release.model_files import versions

_COMPLETE = metadata_store_pb2.Execution.COMPLETE
_PLACES = ("serving", "withdrawn")
# What stands for the steps that were forgotten.
STEPS = ("wseg_tf.repair.Trained", "wseg_tf.repair.Pushed")


@dataclass(frozen=True)
class Repaired:
    """What was noted anew of one version.

    Args:
        version: Its number.
        model: The trained model that it is a copy of, or None if that is gone:
            then it is no baseline.
        revoked: Why it is no baseline; empty if it is.
        withdrawn: Whether it was withdrawn.
    """

    version: int
    model: str | None
    revoked: str = ""
    withdrawn: bool = False


def repair(root: str, path: str) -> list[Repaired]:
    """Writes metadata anew; a file that is there is kept beside it.

    Args:
        root: The pipeline's folder.
        path: The SQLite file.

    Returns:
        What was noted, the oldest version first.
    """
    found = _released(root)
    unfinished = f"{path}.unfinished"
    with contextlib.suppress(FileNotFoundError):
        os.remove(unfinished)
    settings = metadata.sqlite_metadata_connection_config(unfinished)
    with metadata.Metadata(settings) as handle:
        own = context_lib.register_context_if_not_exists(
            handle, "pipeline", os.path.basename(root.rstrip("/"))
        )
        for each in found:
            _note(handle, own, root, each)
    # What is there already is numbered by execution, and never overwritten.
    with contextlib.closing(sqlite3.connect(unfinished)) as connection:
        [last] = connection.execute("SELECT max(id) FROM Execution").fetchone()
        connection.execute("DELETE FROM sqlite_sequence WHERE name='Execution'")
        connection.execute(
            "INSERT INTO sqlite_sequence VALUES ('Execution', ?)",
            [max(last or 0, *made(root), 0)],
        )
        connection.commit()
    _put_aside(path)
    os.replace(unfinished, path)
    return found


def _released(root: str) -> list[Repaired]:
    """Finds the versions, and what people decided about them."""
    trained = {
        digest(path_utils.serving_model_path(folder)): folder
        for folder in _models(root)
    }
    served, gone = (versions(os.path.join(root, place)) for place in _PLACES)
    revoked: dict[int, str] = {}
    for each in decisions(root):
        if each.what == RESET:
            before = [v for v in (*served, *gone) if v <= (each.serving or 0)]
            revoked |= dict.fromkeys(before, "the baseline was reset")
        for version in each.restored:
            revoked.pop(version, None)
        revoked |= dict.fromkeys(each.withdrawn, each.reason)
    found = []
    for place, there in zip(_PLACES, (served, gone), strict=True):
        for version in there:
            folder = os.path.join(root, place, str(version))
            is_withdrawn = place == "withdrawn"
            why = revoked.get(version, "") or "withdrawn" * is_withdrawn
            model = trained.get(digest(folder))
            found.append(Repaired(version, model, why, is_withdrawn))
    return sorted(found, key=lambda each: each.version)


def _models(root: str) -> Iterable[str]:
    """Finds the models that runs have trained."""
    pattern = os.path.join(root, "pipeline", "*", "model", "*")
    for folder in sorted(tf.io.gfile.glob(pattern)):
        file = os.path.join(
            path_utils.serving_model_path(folder), "saved_model.pb"
        )
        if tf.io.gfile.exists(file):
            yield folder


def _note(
    handle: metadata.Metadata,
    own: metadata_store_pb2.Context,
    root: str,
    found: Repaired,
) -> None:
    """Notes one version as the steps that made it had noted it."""
    trained, pushed = STEPS
    model = standard_artifacts.Model()
    blessing = standard_artifacts.ModelBlessing()
    if found.model is None:
        return
    model.uri = found.model
    model.set_string_custom_property(
        DIGEST, digest(path_utils.serving_model_path(found.model))
    )
    _put(handle, own, trained, {}, {"model": [model]})
    place = "withdrawn" if found.withdrawn else "serving"
    version = os.path.join(root, place, str(found.version))
    blessing.uri = version
    blessing.set_int_custom_property(IS_BLESSED, int(not found.revoked))
    blessing.set_string_custom_property(REVOKED, found.revoked)
    blessing.set_int_custom_property(WITHDRAWN, int(found.withdrawn))
    blessing.set_int_custom_property("current_model_id", model.id)
    blessing.set_string_custom_property("current_model", model.uri)
    _put(handle, own, trained, {"model": [model]}, {"blessing": [blessing]})
    copy = standard_artifacts.PushedModel()
    copy.uri = version
    copy.set_string_custom_property("pushed_version", str(found.version))
    _put(handle, own, pushed, {"blessing": [blessing]}, {"pushed": [copy]})


def _put(
    handle: metadata.Metadata,
    own: metadata_store_pb2.Context,
    step: str,
    inputs: dict[str, list[standard_artifacts.Artifact]],
    outputs: dict[str, list[standard_artifacts.Artifact]],
) -> None:
    for artifacts in outputs.values():
        for each in artifacts:
            each.mlmd_artifact.state = metadata_store_pb2.Artifact.LIVE
    execution = execution_lib.prepare_execution(
        handle, metadata_store_pb2.ExecutionType(name=step), _COMPLETE
    )
    execution_lib.put_execution(handle, execution, [own], inputs, outputs)


def _put_aside(path: str) -> None:
    """Keeps a file that is there under a name that is free."""
    if not os.path.lexists(path):
        return
    number = 1
    while os.path.lexists(f"{path}.damaged-{number}"):
        number += 1
    os.replace(path, f"{path}.damaged-{number}")
    with contextlib.suppress(FileNotFoundError):
        os.replace(f"{path}-journal", f"{path}.damaged-{number}-journal")
