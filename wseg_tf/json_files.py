"""JSON that was written before, by this project or by others, strictly read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from wseg_tf.filesystems import read_bytes
from wseg_tf.typed import built, misfit

MOST_BYTES = 2**28


def read_json(path: str, kind: Any = Any) -> Any:
    """Reads a JSON file.

    Args:
        path: A file, local or remote.
        kind: The type of what it holds, such as a dataclass. Defaults to any.

    Returns:
        Of that type.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it holds something else; one sentence that names it.
    """
    return parse_json(read_bytes(path, MOST_BYTES), path, kind)


def parse_json(text: str | bytes, source: str, kind: Any = Any) -> Any:
    """Reads JSON text, with each key once and text that files can hold.

    Args:
        text: JSON.
        source: Where it came from, for the error.
        kind: As `read_json` takes it.

    Returns:
        Of that type.

    Raises:
        ValueError: If it is none, or of another type.

    Example:

    >>> parse_json('[1, 2]', "a.json", tuple[int, ...])
    (1, 2)
    >>> parse_json('{"a": NaN}', "a.json", dict[str, float])
    Traceback (most recent call last):
        ...
    ValueError: Invalid value for `a` in a.json. Expected a number, a finite
    number. Received: nan.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        value = json.loads(text, object_pairs_hook=_once)
        json.dumps(value, ensure_ascii=False).encode()
        # JSON has no other way to write one.
        if "\\u0000" in text and any("\0" in each for each in _texts(value)):
            raise ValueError("Expected text without NUL bytes. Received: some")
    except RecursionError:
        reason = "Expected less depth. Received: more than Python reads"
    except UnicodeError:
        reason = "Expected text in UTF-8. Received: other bytes"
    except json.JSONDecodeError as error:
        reason = f"Expected JSON. Received: {error}"
    except ValueError as error:  # Ours, or a number of thousands of digits.
        said = str(error)
        reason = said if said.startswith("Expected") else f"Received: {said}"
    else:
        return typed(kind, value, source)
    raise ValueError(f"Invalid JSON in {source}. {reason}.")


def typed(kind: Any, value: Any, source: str, place: str = "") -> Any:
    """Returns plain values as a type.

    Args:
        kind: The type, such as a dataclass.
        value: What JSON held.
        source: Where it came from, for the error.
        place: Its name there.

    Raises:
        ValueError: If it does not fit; names what does not.
    """
    said = misfit(kind, value, source, place, strict=True)
    if said is not None:
        raise ValueError(said)
    return built(kind, value)


def _texts(value: Any) -> Iterator[str]:
    """Yields all texts and keys of plain values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"Expected each key once. Received: {twice!r} again")
    return found
