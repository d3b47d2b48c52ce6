"""Record files that are damaged: which one, and which of its records."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

from wseg_tf.data.checks import DataError
from wseg_tf.data.records import decode, parse
from wseg_tf.filesystems import matching


def record_files(patterns: str | Sequence[str]) -> list[str]:
    """Returns record files, in the order of patterns and of names.

    Args:
        patterns: File patterns, or one.

    Raises:
        DataError: If a pattern matches no file.
    """
    files: list[str] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        found = matching(pattern)
        if not found:
            raise DataError(f"{pattern}: no such record files.")
        files += found
    return files


@contextlib.contextmanager
def naming_damage(
    patterns: str | Sequence[str], compression: str = ""
) -> Iterator[None]:
    """Says which record cannot be read, where reading fails inside.

    TensorFlow names no file, and quotes bytes that may be no text. Only after
    a failure are the files read once more.

    Args:
        patterns: File patterns of what is read.
        compression: `"GZIP"`, `"ZLIB"` or `""`, the default.

    Raises:
        DataError: If a record is damaged; names its file and its number.
    """
    try:
        yield
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        for path in record_files(patterns):
            number = _first_damaged(path, compression)
            if number:
                raise DataError(
                    f"{path}: expected whole records. Found: damage in record "
                    f"{number}, counted from 1; ingest anew."
                ) from error
        raise


def _first_damaged(path: str, compression: str) -> int:
    """Returns the number of the first record that cannot be read, or 0."""
    number = 1
    try:
        for record in tf.data.TFRecordDataset(path, compression):
            decode(parse(record))
            number += 1
    except (tf.errors.OpError, UnicodeDecodeError):
        return number
    return 0
