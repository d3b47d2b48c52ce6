"""The values of a description, each read from the text that was written."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from wseg_tf.classes import Colour
from wseg_tf.data.pairs import normal
from wseg_tf.ranges import LARGEST

PANOPTIC_BITS = 24  # R + 256 G + 65536 B
_BITS = (8, 16, PANOPTIC_BITS)
_MOST_CHANNEL = 255
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,9})")
# A value as YAML has it: text, a list or a mapping.
Entry = Any


def _text(entry: Entry) -> str:
    if not isinstance(entry, str) or not entry:
        raise ValueError(f"Expected text. Found: {_shown(entry)}.")
    return entry


def _texts(entry: Entry) -> tuple[str, ...]:
    """One text, or a list of several, none of them twice."""
    listed = entry if isinstance(entry, list) else [entry]
    if not listed:
        raise ValueError("Expected text, or a list of texts. Found: none.")
    texts = tuple(normal(_text(each)) for each in listed)
    repeated = [text for text in texts if texts.count(text) > 1]
    if repeated:
        raise ValueError(f"Expected each once. Found: {repeated[0]!r} again.")
    return texts


def _patterns(entry: Entry) -> tuple[str, ...]:
    # As written: a file's name may be spelled in another form of Unicode.
    listed = entry if isinstance(entry, list) and entry else [entry]
    return tuple(_text(each) for each in listed)


def _classes(entry: Entry) -> Entry:
    return entry if isinstance(entry, (dict, list)) else _text(entry)


def _number(entry: Entry) -> int:
    if not isinstance(entry, str) or not _INTEGER.fullmatch(entry):
        raise ValueError(f"Expected a decimal integer. Found: {_shown(entry)}.")
    if abs(int(entry)) > LARGEST:
        raise ValueError(f"Expected at most {LARGEST}. Found: {entry}.")
    return int(entry)


def _positive(entry: Entry) -> int:
    number = _number(entry)
    if number < 1:
        raise ValueError(f"Expected at least 1. Found: {number}.")
    return number


def _bits(entry: Entry) -> int:
    number = _number(entry)
    if number not in _BITS:
        raise ValueError(f"Expected 8, 16 or 24. Found: {number}.")
    return number


def _skip(entry: Entry) -> str:
    if entry != "skip":
        raise ValueError(f"Expected skip. Found: {_shown(entry)}.")
    return "skip"


def _share(entry: Entry) -> float:
    try:
        share = float(_text(entry))
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise ValueError(
            f"Expected a share between 0 and 1. Found: {_shown(entry)}."
        )
    return share


def _split(entry: Entry) -> str:
    """Returns the name of a split, which becomes that of a folder."""
    name = _text(entry)
    if "/" in name or name != name.strip() or name in (".", ".."):
        raise ValueError(
            f"Expected the name of a split, such as val. Found: {name!r}."
        )
    return name


def _by_split(
    of_value: Callable[[Any], Any],
) -> Callable[[Any], dict[str, Any]]:
    """Returns a reader of a mapping from one split or several."""

    def read_splits(entry: Entry) -> dict[str, Any]:
        if entry == {}:
            raise ValueError("Expected at least one split. Found: none.")
        return _mapping(_split, of_value)(entry)

    return read_splits


def _shares(entry: Entry) -> dict[str, float]:
    shares: dict[str, float] = _by_split(_share)(entry)
    if sum(shares.values()) >= 1 or "train" in shares:
        raise ValueError(
            "Expected the shares of the splits beside `train`, less than 1 "
            f"together. Found: {shares}."
        )
    return shares


def _expression(entry: Entry) -> str:
    try:
        re.compile(_text(entry))
    except re.error as error:
        raise ValueError(
            f"Expected a regular expression ({error}). Found: {entry!r}."
        ) from None
    return _text(entry)


def _colour(entry: Entry) -> Colour:
    channels = str(entry).split()
    if len(channels) != 3 or not all(
        _INTEGER.fullmatch(each) and 0 <= int(each) <= _MOST_CHANNEL
        for each in channels
    ):
        raise ValueError(
            'Invalid colour. Expected "red green blue", 0..255 each. '
            f"Received: {entry!r}."
        )
    red, green, blue = (int(each) for each in channels)
    return red, green, blue


def _mapping(
    of_key: Callable[[Any], Any], of_value: Callable[[Any], Any]
) -> Callable[[Any], dict[Any, Any]]:
    """Returns a reader of a mapping that has each key once, by its value."""

    def read_mapping(entry: Entry) -> dict[Any, Any]:
        if not isinstance(entry, dict):
            raise ValueError(
                f"Expected `key: value` pairs. Found: {_shown(entry)}."
            )
        found: dict[Any, Any] = {}
        for key, value in entry.items():
            own = of_key(key)
            if own in found:
                raise ValueError(f"Expected each key once. Found: {key} again.")
            try:
                found[own] = of_value(value)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        return found

    return read_mapping


def _shown(entry: Entry) -> str:
    if isinstance(entry, (dict, list)):
        kind = "list" if isinstance(entry, list) else "mapping"
        return f"a {kind} of {len(entry)}"
    return repr(entry)[:200] if entry else "nothing"


READERS: dict[str, Callable[[Any], Any]] = {
    "images": _patterns,
    "labels": _patterns,
    "dataset": _text,
    "classes": _classes,
    "ids": _mapping(_number, _text),
    "colours": _mapping(_colour, _text),
    "absent": _texts,
    "bits": _bits,
    "divisor": _positive,
    "unlabelled": _skip,
}
SPLIT_READERS: dict[str, Callable[[Any], Any]] = {
    "drives": _by_split(_texts),
    "lists": _by_split(_text),
    "expressions": _by_split(_expression),
    "shares": _shares,
    "seed": _number,
}
