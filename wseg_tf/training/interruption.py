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


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Ends what is done on SIGTERM as on Ctrl-C, but says which it was.

    Signals reach Python's main thread alone; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Interrupted("Terminated.", number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Requests:
    """Whether somebody asked to stop.

    Args:
        number: The signal's number; 0 before one came.
    """

    def __init__(self) -> None:
        self.number = 0


@contextlib.contextmanager
def watched() -> Iterator[Requests]:
    """Notes signals in place of dying of them; the second one kills.

    Signals reach Python's main thread alone; elsewhere nothing is noted.
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
