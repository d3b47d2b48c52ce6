"""Locks: one program at a time writes a folder, and who it is can be read."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from wseg_tf.configuration import ConfigurationError


class InUseError(ValueError):
    """Something is being written by another program; names it."""


@contextlib.contextmanager
def held(folder: str, what: str, wait: float = 0.0) -> Iterator[None]:
    """Holds the lock of a folder of this machine; it ends with the process.

    The folder is made. `.lock` in it is locked, and `.lock.json` says by whom.

    Args:
        folder: The folder; a local path.
        what: What is done, for whoever is refused, e.g. `"a run"`.
        wait: Seconds to wait for another to finish. Defaults to none.

    Raises:
        InUseError: If another program holds it; one sentence that says which.
        ConfigurationError: If nothing can be written there.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with held(folder, "a run"):
    ...         os.path.exists(os.path.join(folder, ".lock"))
    True
    """
    path = Path(folder, ".lock")
    note = Path(folder, ".lock.json")
    lock = FileLock(path, is_singleton=False)
    try:
        os.makedirs(folder, exist_ok=True)
        lock.acquire(timeout=wait)
    except Timeout:
        raise InUseError(
            f"{folder} is in use{_holder(note)}; wait until it has finished, "
            "or stop it."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            "Invalid folder. Expected one that can be written to. Received: "
            f"{folder} ({error.strerror})."
        ) from error
    try:
        holder = {
            "what": what,
            "process": os.getpid(),
            "host": platform.node(),
            "command": " ".join(sys.argv),
            "since": datetime.datetime.now().isoformat(timespec="seconds"),
        }
        note.write_text(json.dumps(holder))
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    """Returns who wrote a note, as a clause; nothing if it cannot be read."""
    try:
        found = json.loads(note.read_text())
        return (
            f" by {found['what']} (process {found['process']} on "
            f"{found['host']}, since {found['since']})"
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ""
