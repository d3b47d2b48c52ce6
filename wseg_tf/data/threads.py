"""Work on one item after the other, several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[Result]:
    """Yields the results of some work in the order of the items.

    At most `threads` results wait, so that memory stays flat however slowly
    they are taken. It pays where the work leaves Python's lock: files,
    decoding, NumPy.

    Args:
        work: What is done with each item.
        items: The items, taken in the thread that takes the results.
        threads: How many are worked on at a time.

    Yields:
        The results.

    Example:

    >>> list(in_order(abs, [-3, 1, -2], threads=2))
    [3, 1, 2]
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
