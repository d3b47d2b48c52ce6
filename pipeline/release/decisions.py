"""Decisions of people about releases, written down where the models are."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import json
import os
import platform
from dataclasses import asdict, dataclass, field

import tensorflow as tf

from pipeline.gate.digests import digest as digest_of
from pipeline.release.model_files import versions
from wseg_tf.filesystems import read_bytes, write_whole
from wseg_tf.json_files import parse_json, read_json

DECISIONS = "decisions.jsonl"
# What was decided: a rollback, or that no model before is a baseline.
ROLLBACK, RESET = "rollback", "baseline reset"
# A rollback that has begun and not ended.
INTENT = "rollback.json"


@dataclass(frozen=True)
class Decision:
    """Something that a person decided about releases.

    Args:
        when: UTC, ISO 8601.
        what: `ROLLBACK` or `RESET`.
        reason: Why, in the person's words.
        withdrawn: Versions taken from the serving folder.
        restored: Versions brought back to it.
        serving: The version served afterwards, or None.
        blessings: Ids in ML Metadata of the blessings revoked.
        renewed: Ids of those that count again.
        digests: What `model_files.digest` says of each version withdrawn.
        who: The user and the machine it was decided at.
    """

    when: str
    what: str
    reason: str
    withdrawn: tuple[int, ...] = ()
    restored: tuple[int, ...] = ()
    serving: int | None = None
    blessings: tuple[int, ...] = ()
    renewed: tuple[int, ...] = ()
    digests: tuple[str, ...] = ()
    who: str = field(default="")


def decisions(root: str) -> list[Decision]:
    """Returns every decision recorded, the oldest first.

    A last line that a killed program left unfinished is no decision.

    Args:
        root: The pipeline's folder.

    Raises:
        ValueError: If another line cannot be read; names the file and line.
    """
    path = os.path.join(root, DECISIONS)
    if not tf.io.gfile.exists(path):
        return []
    lines = read_bytes(path).split(b"\n")
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(parse_json(line, path, Decision))
        except ValueError as error:
            if number == len(lines):
                continue
            raise ValueError(
                f"Invalid line {number} of {path}. Expected a decision as "
                f"`wseg rollback` writes it. Received: {line[:60]!r}."
            ) from error
    return found


def record(root: str, decision: Decision) -> Decision:
    """Adds a decision to those recorded.

    Args:
        root: The pipeline's folder.
        decision: The decision.
    """
    text = "".join(f"{json.dumps(asdict(each))}\n" for each in decisions(root))
    line = f"{json.dumps(asdict(decision))}\n"
    write_whole(os.path.join(root, DECISIONS), text + line)
    return decision


def intend(root: str, decision: Decision) -> None:
    """Writes down what is about to be done, so that it can be finished."""
    write_whole(os.path.join(root, INTENT), json.dumps(asdict(decision)))


def intended(root: str) -> Decision | None:
    """Returns a decision that was begun and not finished, or None.

    Args:
        root: The pipeline's folder.

    Raises:
        ValueError: If what was written down cannot be read.
    """
    path = os.path.join(root, INTENT)
    if not tf.io.gfile.exists(path):
        return None
    decision: Decision = read_json(path, Decision)
    return decision


def finished(root: str) -> None:
    """Forgets what was intended: it is done."""
    tf.io.gfile.remove(os.path.join(root, INTENT))


def withdrawals(root: str) -> dict[str, Decision]:
    """Returns what was withdrawn and not restored.

    Args:
        root: The pipeline's folder.

    Returns:
        The decision that withdrew it, by the model's digest.
    """
    found: dict[int, tuple[str, Decision]] = {}
    for each in decisions(root):
        for version in each.restored:
            found.pop(version, None)
        for version, digest in zip(each.withdrawn, each.digests, strict=False):
            found[version] = digest, each
    folder = os.path.join(root, "withdrawn")
    for version in versions(folder):
        # It is there: whatever became of the line that says why.
        if version not in found:
            own = digest_of(os.path.join(folder, str(version)))
            found[version] = own, _unexplained(version, own)
    return dict(found.values())


def _unexplained(version: int, digest: str) -> Decision:
    return Decision(
        when="a time unknown",
        what=ROLLBACK,
        reason=f"no line of {DECISIONS} says why",
        withdrawn=(version,),
        digests=(digest,),
    )


def why_withdrawn(root: str, digest: str) -> str:
    """Says why a model that was withdrawn is not pushed again.

    Args:
        root: The pipeline's folder.
        digest: What `model_files.digest` says of the model.

    Returns:
        A clause, or nothing if it was not withdrawn, or restored since.
    """
    decision = withdrawals(root).get(digest)
    if decision is None:
        return ""
    version = decision.withdrawn[decision.digests.index(digest)]
    return (
        f"the same model was withdrawn by {decision.who or 'somebody'} at "
        f"{decision.when} ({decision.reason or 'no reason given'}); "
        f"`wseg rollback --to {version}` restores it"
    )


def now() -> str:
    """Returns the time, UTC, ISO 8601."""
    utc = datetime.datetime.now(datetime.timezone.utc)
    return utc.isoformat(timespec="seconds")


def who() -> str:
    """Returns the user and the machine, as far as they are known."""
    user = "somebody"
    with contextlib.suppress(OSError, KeyError):
        user = getpass.getuser()
    return f"{user} on {platform.node()}"
