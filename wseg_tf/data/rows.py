"""Rows in any number: in memory while they are few, on disk beyond."""

from __future__ import annotations

import heapq
import pickle
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import BinaryIO, Generic, TypeVar, cast

Row = TypeVar("Row")

# Rows that are sorted at a time, rows that are read at a time, and bytes that
# stay in memory.
_RUN, _BLOCK, _IN_MEMORY = 2**16, 2**8, 2**22


class Rows(Generic[Row]):
    """Rows that are read again and again, of which a few are in memory.

    What does not fit into 4 MiB lies in a file without a name, in `TMPDIR`: it
    is gone when nobody holds the rows, or the process ends.

    Args:
        rows: What can be pickled, taken at once.

    Example:

    >>> rows = Rows("abc")
    >>> len(rows), [*rows], [*rows]
    (3, ['a', 'b', 'c'], ['a', 'b', 'c'])
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        # It closes, and is gone, with the rows.
        file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._file = cast(BinaryIO, file)
        # Where blocks end, as numbers and not objects: each of those would keep
        # a page of the rows beside it in memory.
        self._ends = array("Q", [0])
        self._runs: list[range] = []
        self._is_sorted = False
        self._count = 0
        self._write(rows)

    @classmethod
    def in_order(cls, rows: Iterable[Row]) -> Rows[Row]:
        """Sorts rows that can be compared; equal ones stay as they came.

        Args:
            rows: The rows, taken at once.

        Example:

        >>> [*Rows.in_order([(2, "b"), (1, "c"), (2, "a")])]
        [(1, 'c'), (2, 'a'), (2, 'b')]
        """
        own = cls(())
        own._is_sorted = True
        left = iter(rows)
        # No name holds a run while the next is read.
        while own._write(sorted(islice(left, _RUN))):  # type: ignore[type-var]
            pass
        return own

    def __len__(self) -> int:
        """Returns the number of rows."""
        return self._count

    def __iter__(self) -> Iterator[Row]:
        """Yields the rows."""
        runs = map(self._read, self._runs)
        if self._is_sorted:
            return heapq.merge(*runs)  # type: ignore[type-var]
        return chain.from_iterable(runs)

    def _write(self, rows: Iterable[Row]) -> int:
        """Writes a run of blocks, each to be read at once; says how many."""
        left, first = iter(rows), len(self._ends)
        while block := [*islice(left, _BLOCK)]:
            content = pickle.dumps(block, pickle.HIGHEST_PROTOCOL)
            self._file.seek(self._ends[-1])  # Whoever reads has moved.
            self._file.write(content)
            self._ends.append(self._ends[-1] + len(content))
            self._count += len(block)
        self._runs.append(range(first, len(self._ends)))
        return len(self._runs[-1])

    def _read(self, run: range) -> Iterator[Row]:
        for number in run:
            start, end = self._ends[number - 1 : number + 1]
            self._file.seek(start)
            yield from pickle.loads(self._file.read(end - start))
