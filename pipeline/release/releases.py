"""Releases: what is served, taking it back, and resetting the baseline.

Both are decisions of people, so both are written down: in `decisions.jsonl`
and on the blessings in ML Metadata, which they revoke.
"""

from __future__ import annotations

import os

import tensorflow as tf
from ml_metadata.proto import metadata_store_pb2

from pipeline.gate.digests import STATEMENT, digest
from pipeline.release import decisions
from pipeline.release.blessings import Blessings
from pipeline.release.decisions import Decision
from pipeline.release.model_files import move, versions
from pipeline.release.statement import StatementError, verify_version


def rollback(
    root: str,
    reason: str,
    to: int | None = None,
    metadata: str | None = None,
) -> Decision:
    """Makes an earlier version the served one.

    Newer versions move, one by one, from `serving` to `withdrawn`
    beside it, and their blessings are revoked: they are no baseline any more,
    and the same bytes are not pushed again. A version that was withdrawn can
    be restored the same way. What is to be done is written down first, so that
    a rollback that was killed is finished by the next; the same call again
    does no more than that.

    Args:
        root: The pipeline's folder, which holds `serving`.
        reason: Why; it is recorded.
        to: The version to serve; the one before the latest by default.
        metadata: A SQLite file, or HOST:PORT of the metadata service of a
            cluster; `metadata.sqlite` of the folder by default.

    Returns:
        What was done, as it is recorded; the last decision, where that has led
        to what is asked for.

    Raises:
        ValueError: If there is no such version, none before the latest, or
            nothing to do, or a metadata service does not know the pipeline.
        StatementError: If the version to serve is not what it states.
    """
    done = finish(root, metadata)
    if done is not None and to in (None, done.serving):
        return done  # The same command, killed before.
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
    if not newer and not restored:
        last = decisions.decisions(root)[-1:]
        if last and last[0].serving == to:
            return last[0]
        raise ValueError(f"Version {to} of {serving} is served already.")
    place = os.path.join(withdrawn if restored else serving, str(to))
    if tf.io.gfile.exists(os.path.join(place, STATEMENT)):
        verify_version(place)  # Those of earlier releases state nothing.
    # Asked before anything moves: a service may not answer.
    blessings = Blessings(root, metadata)
    decision = Decision(
        when=decisions.now(),
        what=decisions.ROLLBACK,
        reason=reason,
        withdrawn=newer,
        restored=restored,
        serving=to,
        blessings=_ids(blessings.of(newer)),
        renewed=_ids(blessings.of(restored)),
        digests=tuple(
            digest(os.path.join(serving, str(version))) for version in newer
        ),
        who=decisions.who(),
    )
    decisions.intend(root, decision)
    return _do(root, decision, blessings)


def finish(root: str, metadata: str | None = None) -> Decision | None:
    """Finishes a rollback that was killed.

    Args:
        root: The pipeline's folder.
        metadata: As `rollback` takes it.

    Returns:
        What was done, or None where there is nothing to finish.
    """
    decision = decisions.intended(root)
    if decision is None:
        return None
    return _do(root, decision, Blessings(root, metadata))


def renew(root: str, metadata: str | None = None) -> str | None:
    """Lets the next run push again, where what is served was not pushed.

    Args:
        root: The pipeline's folder.
        metadata: As `rollback` takes it.

    Returns:
        What is wrong with the served version, or None.
    """
    serving = os.path.join(root, "serving")
    blessings = Blessings(root, metadata)
    there, pushes = versions(serving), blessings.pushes()
    if there:
        try:
            verify_version(os.path.join(serving, str(there[-1])))
            return None
        except StatementError as error:
            fault = str(error)
    elif any(each.state == metadata_store_pb2.Artifact.LIVE for each in pushes):
        fault = f"{serving}: expected the version that was pushed. Found: none."
    else:
        return None
    blessings.end(pushes)
    return fault


def _do(root: str, decision: Decision, blessings: Blessings) -> Decision:
    """Moves versions and marks blessings, as far as it is not done yet."""
    serving, withdrawn = os.path.join(root, "serving"), _withdrawn(root)
    # The one to serve first, so that a killed rollback never serves nothing.
    moves = [(withdrawn, serving, version) for version in decision.restored] + [
        (serving, withdrawn, version)
        for version in reversed(decision.withdrawn)
    ]
    tf.io.gfile.makedirs(withdrawn)
    for source, target, version in moves:
        if version in versions(source):
            move(
                os.path.join(source, str(version)),
                os.path.join(target, str(version)),
            )
    known = {each.id: each for each in blessings.all()}
    for ids, blessed, reason in (
        (decision.blessings, 0, decision.reason),
        (decision.renewed, 1, ""),
    ):
        found = [known[each] for each in ids if each in known]
        blessings.mark(found, blessed, reason, withdrawn=1 - blessed)
    blessings.end(blessings.pushes())
    if decision not in decisions.decisions(root):
        decisions.record(root, decision)
    decisions.finished(root)
    return decision


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
    finish(root, metadata)
    blessings = Blessings(root, metadata)
    found = blessings.valid()
    blessings.mark(found, 0, reason)
    blessings.end([*found, *blessings.pushes()])
    there = versions(os.path.join(root, "serving"))
    return decisions.record(
        root,
        Decision(
            when=decisions.now(),
            what=decisions.RESET,
            reason=reason,
            serving=there[-1] if there else None,
            blessings=_ids(found),
            who=decisions.who(),
        ),
    )


def _withdrawn(root: str) -> str:
    return os.path.join(root, "withdrawn")


def _ids(artifacts: list[metadata_store_pb2.Artifact]) -> tuple[int, ...]:
    return tuple(artifact.id for artifact in artifacts)
