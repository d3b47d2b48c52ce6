"""Ctrl-C and SIGTERM: noticed at once, obeyed after the step."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGAIN = 1.0  # Seconds.
GO_ON = "Interrupted. Run the same command to go on."


class Interrupted(KeyboardInterrupt):
    """What was asked to stop, and did; a training at the end of a step.

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


@contextlib.contextmanager
def terminable(*numbers: int) -> Iterator[Requests]:
    """Ends what is done on signals as on Ctrl-C, and says which it was.

    An exception may be lost: Python drops what is raised while it collects
    garbage, and libraries catch too much. So it is raised once more each
    second, until it is on its way; and an error that comes after a signal is
    taken for it. Signals reach Python's main thread alone;
    elsewhere nothing changes.

    Args:
        *numbers: The signals; SIGINT and SIGTERM by default.
    """
    requests = Requests()
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return

    before: dict[int, Any] = {}
    timer: list[float] = []

    def end(number: int, frame: FrameType | None) -> None:
        requests.number = number
        if not timer:  # Whoever used it has it again afterwards.
            before[signal.SIGALRM] = signal.signal(signal.SIGALRM, insist)
            timer.extend(signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN))
        insist(number, frame)

    def insist(number: int, frame: FrameType | None) -> None:
        if not _is_on_its_way():
            raise Interrupted(GO_ON, requests.number)

    for number in numbers or SIGNALS:
        before[number] = signal.signal(number, end)
    try:
        yield requests
    except Exception as error:
        if not requests.number:
            raise
        # What a library made of it, in whose middle it came.
        raise Interrupted(GO_ON, requests.number) from error
    finally:
        if timer:
            signal.setitimer(signal.ITIMER_REAL, *timer)
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_on_its_way() -> bool:
    """Whether what is done now is to tidy up after an interruption."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


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
