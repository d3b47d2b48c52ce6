"""Ctrl-C and SIGTERM: noticed at once, obeyed after the step."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A training that was asked to stop, and did at the end of a step.

    Args:
        message: What is kept and how to go on.
        number: The signal's number.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


class Requests:
    """Whether somebody asked to stop.

    Args:
        number: The signal's number; 0 before one came.
    """

    def __init__(self) -> None:
        self.number = 0

    def obey(self) -> None:
        """Stops, if that was asked for, also where a library did not heed it.

        Raises:
            Interrupted: If somebody asked.
        """
        if self.number:
            raise Interrupted("Terminated.", self.number)


@contextlib.contextmanager
def terminable(*numbers: int) -> Iterator[Requests]:
    """Ends what is done on signals as on Ctrl-C, and says which it was.

    An exception may be lost in a library: ask `obey` between steps. Signals
    reach Python's main thread alone; elsewhere nothing changes.

    Args:
        *numbers: The signals; SIGINT and SIGTERM by default.
    """
    requests = Requests()
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return

    def end(number: int, frame: FrameType | None) -> None:
        requests.number = number
        requests.obey()

    before = {n: signal.signal(n, end) for n in numbers or SIGNALS}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def watched() -> Iterator[Requests]:
    """Notes signals in place of dying of them; the second one kills.

    One that nobody obeyed until the end is sent again: it was meant for what
    comes next, too. Signals reach Python's main thread alone; elsewhere
    nothing is noted.
    """
    requests = Requests()
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        requests.number = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if requests.number:
        signal.raise_signal(requests.number)
