"""Tells a refusal in a sentence from a fault, and holds values to types."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import io
import math
import re
import signal
import traceback
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.commands.screen import USER_ERROR, first_line
from tests.wseg_tf.data.fuzz import MOST_SECONDS
from wseg_tf.ranges import Range, range_of

LONGEST_SENTENCE = 600
INTERNALS = re.compile(r"0x[0-9a-f]{6}|<class|object_type|Traceback|full_key")
SAYS = re.compile(
    r"[Ee]xpected|Invalid|Received|Found|/.*: (the key|give `|`.*` needs)"
)
Random = np.random.Generator


class TooLongError(BaseException):
    """A reader took more than `MOST_SECONDS`."""


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Args:
        name: In the table.
        make: Makes one, a text, of a random generator.
        read: Reads it; what it returns is held to its types.
    """

    name: str
    make: Callable[[Random], bytes]
    read: Callable[[bytes], Any]


def misfit(value: Any, kind: Any, place: str = "", within: Any = None) -> str:
    """Says what of a value is not as its type promises; nothing if all is."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, kind):
            return f"{place}: {type(value).__name__} for {kind.__name__}"
        hints = typing.get_type_hints(kind)
        return next(
            filter(
                None,
                (
                    misfit(
                        getattr(value, each.name),
                        hints[each.name],
                        f"{place}.{each.name}",
                        range_of(each),
                    )
                    for each in dataclasses.fields(kind)
                ),
            ),
            "",
        )
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return ""
    if origin in (typing.Union, types.UnionType):
        wrong = [misfit(value, each, place, within) for each in parts]
        return wrong[0] if all(wrong) else ""
    if origin in (dict, collections.abc.Mapping):
        if not isinstance(value, collections.abc.Mapping):
            return f"{place}: {value!r} for {kind}"
        each_of = [(k, parts[0]) for k in value]
        each_of += [(v, parts[1]) for v in value.values()]
        return next(
            filter(None, (misfit(*e, place, within) for e in each_of)), ""
        )
    if origin in (list, tuple, frozenset, collections.abc.Sequence):
        if not isinstance(value, (list, tuple, frozenset)):
            return f"{place}: {value!r} for {kind}"
        fixed = origin is tuple and parts[-1] is not Ellipsis
        if fixed and len(parts) != len(value):
            return f"{place}: {value!r} for {kind}"
        return next(
            filter(None, (misfit(v, parts[0], place, within) for v in value)),
            "",
        )
    return _scalar_misfit(value, kind, place, within or Range())


def _scalar_misfit(value: Any, kind: type, place: str, within: Range) -> str:
    if kind in (int, float):
        allowed = int if kind is int else (int, float)
        fits = isinstance(value, allowed) and not isinstance(value, bool)
        if not fits or not math.isfinite(value) or value not in within:
            return f"{place}: {value!r} for {kind.__name__}, {within}"
        return ""
    if not isinstance(value, kind):
        return f"{place}: {value!r} for {kind.__name__}"
    if isinstance(value, str) and "\0" in value:
        return f"{place}: {value!r} with NUL"
    return ""


def is_refusal(error: BaseException) -> str:
    """Says why an error is no refusal in a sentence; nothing if it is one."""
    own = type(error).__module__.startswith(("wseg_tf.", "pipeline."))
    if isinstance(error, SystemExit):
        return "" if error.code == USER_ERROR else f"exit code {error.code}"
    if not isinstance(error, ValueError) or not (
        own or type(error) is ValueError
    ):
        return type(error).__name__
    text = str(error)
    if "\n" in text:
        return "not one line"
    shown = first_line(error)
    if len(shown) > LONGEST_SENTENCE or not shown.isprintable():
        return "too long, or not for a screen"
    if INTERNALS.search(text):
        return "internals"
    return "" if SAYS.search(text) else "neither Expected nor Received"


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Ends what takes too long."""

    def stop(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(kind: Kind, given: bytes) -> tuple[str, str, str]:
    """Reads an input.

    Returns:
        The outcome; of a fault what it is, and its story.
    """
    try:
        with limited(), contextlib.redirect_stderr(io.StringIO()):
            value = kind.read(given)
    except (Exception, SystemExit, TooLongError) as error:
        reason = is_refusal(error)
        if not reason:
            return "refused", "", ""
        frames = traceback.extract_tb(error.__traceback__)
        own = [
            f
            for f in frames
            if "/wseg_tf/" in f.filename.replace("tests/wseg_tf", "")
            or "/pipeline/" in f.filename
        ]
        where = f"{Path(own[-1].filename).name}:{own[-1].name}" if own else ""
        return "fault", f"{reason} in {where}", traceback.format_exc()
    if dataclasses.is_dataclass(value):
        wrong = misfit(value, type(value))
        if wrong:
            return "fault", f"misfit {wrong.partition(':')[0]}", wrong
    return "accepted", "", ""
