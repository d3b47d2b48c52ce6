"""The file of ML Metadata: whether it is there, whole and free to be used."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable

import tensorflow as tf

from wseg_tf.data.checks import DataError
from wseg_tf.locks import InUseError

# Seconds that another program may hold the file.
PATIENCE = 30.0


def check_metadata(
    path: str,
    root: str,
    show: Callable[[str], None] = print,
    patience: float = PATIENCE,
) -> None:
    """Refuses metadata that would lose what runs before have made.

    Args:
        path: The SQLite file.
        root: The pipeline's folder.
        show: Prints one line; `print` by default.
        patience: Seconds to wait while another program holds the file.

    Raises:
        DataError: If it is damaged, or gone while what runs made is there.
        InUseError: If another program holds it all the time.
    """
    found = fault(path, show, patience)
    if found is None and made(root):
        found = "none; it was deleted or emptied"
    if found:
        raise lost(path, found)


def lost(path: str, found: str) -> DataError:
    """Returns the error of metadata that cannot be used.

    Args:
        path: The SQLite file.
        found: What `fault` said.
    """
    return DataError(
        f"{path}: expected what earlier runs noted. Found: {found}. `wseg "
        "repair CONFIG` rebuilds what decides about releases; then run again."
    )


def fault(
    path: str,
    show: Callable[[str], None] = print,
    patience: float = PATIENCE,
) -> str | None:
    """Says what is wrong with metadata.

    Args:
        path: The SQLite file.
        show: Prints one line; `print` by default.
        patience: Seconds to wait while another program holds the file.

    Returns:
        A clause; nothing where it is whole; None where there is none, or none
        of its tables.

    Raises:
        InUseError: If another program holds it all the time.
    """
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return None
    if not os.path.isfile(path):
        return "no regular file"
    end = time.monotonic() + patience
    waits = False
    while True:
        try:
            return _examined(path)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                return f"a file that cannot be used ({error})"
            if time.monotonic() > end:
                raise InUseError(
                    f"{path}: another program holds it; end that program, or "
                    "wait until it has finished."
                ) from error
            if not waits:
                show(f"Another program holds {path}; waiting {patience:g} s.")
            waits = True
            time.sleep(min(0.5, patience / 10))
        except sqlite3.DatabaseError as error:
            return f"a damaged file ({error})"


def _examined(path: str) -> str | None:
    uri = f"file:{path.replace('?', '%3f').replace('#', '%23')}?mode=rw"
    with contextlib.closing(
        sqlite3.connect(uri, timeout=0.0, uri=True)
    ) as connection:
        connection.execute("BEGIN IMMEDIATE")
        tables = connection.execute("SELECT count(*) FROM sqlite_master")
        if not tables.fetchone()[0]:
            return None
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        connection.rollback()
    return "" if said == "ok" else f"a damaged file ({said})"


def made(root: str) -> list[int]:
    """Returns the numbers of the executions that left something below a root.

    Args:
        root: The pipeline's folder.
    """
    paths = tf.io.gfile.glob(os.path.join(root, "pipeline", "*", "*", "*"))
    names = [os.path.basename(path.rstrip("/")) for path in paths]
    return sorted({int(name) for name in names if re.fullmatch(r"\d+", name)})
