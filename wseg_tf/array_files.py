"""Archives of arrays (`.npz`), whoever wrote them, strictly read."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wseg_tf.filesystems import MOST_BYTES


def parse_arrays(
    content: bytes, source: str, most: int = MOST_BYTES
) -> dict[str, NDArray[Any]]:
    """Reads an archive of arrays of numbers and texts; runs nothing in it.

    Args:
        content: All of the file.
        source: Where it came from, for the error.
        most: Bytes that its arrays may take. Defaults to 2**32.

    Returns:
        The arrays by name.

    Raises:
        ValueError: If it is none, or is larger; one sentence that names it.

    Example:

    >>> stream = io.BytesIO()
    >>> np.savez(stream, a=[1, 2])
    >>> parse_arrays(stream.getvalue(), "a.npz")
    {'a': array([1, 2])}
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(each.file_size for each in archive.infolist())
        if size > most:
            raise ValueError(f"{size} bytes, of at most {most}")
        # Arrays of objects would be pickles.
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return dict(file)
    # What is raised differs with what is damaged: a header may promise more
    # than memory holds.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"Invalid file {source}. Expected an archive of arrays of numbers. "
            f"Received: one that cannot be read ({reason})."
        ) from error
