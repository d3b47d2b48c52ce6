"""Plain values held to the types of dataclasses, whoever wrote them."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from wseg_tf.ranges import Range, range_of

_UNIONS = (typing.Union, types.UnionType)
_LISTS = (list, tuple, Sequence)
_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}


def misfit(
    kind: Any,
    value: Any,
    source: str,
    place: str = "",
    strict: bool = False,
    within: Range | None = None,
) -> str | None:
    """Says in a sentence where plain values are not as a type wants them.

    Args:
        kind: A type: a dataclass, `list[str]`, `int | None`, ...
        value: Dicts, lists and scalars.
        source: Where they came from.
        place: The dotted name of the value there.
        strict: Whether scalars must be what they are to be, all fields be
            there, and numbers be in their range. Defaults to shapes, texts
            and keys alone: whoever fills the dataclass does the rest.
        within: The numbers there may be, where strict.

    Returns:
        The sentence, or None where all fits.

    Example:

    >>> misfit(list[str], ["a", ["b"]], "a.yaml", "drives")
    "Invalid value for `drives.1` in a.yaml. Expected text. Received: ['b']."
    """
    kinds = _alternatives(kind)
    if Any in kinds or (value is None and (not strict or None in kinds)):
        return None
    found = [
        _misfit(each, value, source, place, strict, within)
        for each in kinds
        if each is not None
    ]
    return None if None in found else found[0]


def _misfit(
    kind: Any,
    value: Any,
    source: str,
    place: str,
    strict: bool,
    within: Range | None,
) -> str | None:
    inner: Iterator[tuple[Any, Any, Any, Range | None]]
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if (hints := fields_of(kind)) is not None:
        if not isinstance(value, Mapping):
            return _refused(place, "keys and values", value, source)
        for key in value:
            if key not in hints:
                own = f"{place}.{key}" if place else str(key)
                return unknown_key(own, str(key), hints, source)
        own_ranges = {}
        for field in dataclasses.fields(kind):
            own_ranges[field.name] = range_of(field)
            missing = field.name not in value and not _has_default(field)
            if strict and missing:
                own = f"{place}.{field.name}".lstrip(".")
                return _refused(own, "a value", None, source)
        inner = (
            (key, hints[key], each, own_ranges.get(key))
            for key, each in value.items()
        )
    elif origin in _LISTS:
        fixed = origin is tuple and parts[-1] is not Ellipsis
        if not isinstance(value, (list, tuple)):
            return _refused(place, "a list", value, source)
        if fixed and len(value) != len(parts):
            return _refused(place, f"{len(parts)} values", value, source)
        inner = ((n, parts[0], each, within) for n, each in enumerate(value))
    elif origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            return _refused(place, "keys and values", value, source)
        for key in value:
            if parts[0] is str and not isinstance(key, str):
                return _refused(f"{place}.{key}", "a text as key", key, source)
        inner = ((key, parts[1], each, within) for key, each in value.items())
    else:
        return _scalar(kind, value, source, place, strict, within or Range())
    for key, each_kind, each, own_range in inner:
        own = f"{place}.{key}" if place else str(key)
        said = misfit(each_kind, each, source, own, strict, own_range)
        if said is not None:
            return said
    return None


def _scalar(
    kind: type, value: Any, source: str, place: str, strict: bool, within: Range
) -> str | None:
    word = _WORDS.get(kind, kind.__name__)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is str:
        if isinstance(value, str) and not (strict and "\0" in value):
            return None
        if isinstance(value, str):
            word += " without NUL bytes"
            return _refused(place, word, value, source)
        if not isinstance(value, (list, dict)):
            word += (
                ", which YAML wants in quotes where it looks like a "
                f"{type(value).__name__}"
            ) * (not strict)
        return _refused(place, word, value, source)
    if isinstance(value, (list, dict)):
        return _refused(place, word, value, source)
    if not strict:
        return None
    if kind not in (int, float):
        fits = isinstance(value, kind)
    elif fits := number and (kind is float or isinstance(value, int)):
        fits, word = value in within, f"{word}, {within}"
    return None if fits else _refused(place, word, value, source)


def _refused(place: str, expected: str, received: Any, source: str) -> str:
    where = "Invalid content of"
    if place:
        where = f"Invalid value for `{_in_line(place)}` in"
    return (
        f"{where} {PurePath(source)}. Expected {expected}. Received: "
        f"{received!r}."
    )


def _in_line(key: str) -> str:
    """Returns a key as it is shown: it may hold the end of a line."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in key)


def built(kind: Any, value: Any) -> Any:
    """Returns plain values as the type that `misfit` held them to, strictly.

    Args:
        kind: The type.
        value: Values that fit.
    """
    if value is None:
        return None
    for each in _alternatives(kind):
        origin, parts = typing.get_origin(each), typing.get_args(each)
        if (hints := fields_of(each)) is not None:
            return each(**{k: built(hints[k], v) for k, v in value.items()})
        if origin in _LISTS and isinstance(value, list):
            inner = [built(parts[0], one) for one in value]
            return inner if origin is list else tuple(inner)
    return value


def fields_of(kind: Any) -> dict[str, Any] | None:
    """Returns the types of a dataclass' fields; None of any other type."""
    return (
        typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else None
    )


def element(kind: Any) -> Any:
    """Returns the type of what a list or a mapping holds; None of others."""
    for each in _alternatives(kind):
        if typing.get_origin(each) in (*_LISTS, dict, Mapping):
            parts = [p for p in typing.get_args(each) if p is not Ellipsis]
            return parts[-1]
    return None


def bare(kind: Any) -> Any:
    """Returns a type without `None`, where that leaves one."""
    kinds = [each for each in _alternatives(kind) if each is not None]
    return kinds[0] if len(kinds) == 1 else kind


def may_be_none(kind: Any) -> bool:
    """Whether `None` is of a type."""
    return None in _alternatives(kind)


def unknown_key(
    path: str, key: str, fields: Mapping[str, Any], source: str
) -> str:
    """Says that there is no such key, and which one is near.

    Args:
        path: The key's dotted name.
        key: The key.
        fields: Those there are.
        source: Where it was found.
    """
    inside = [
        f"{name}.{key}"
        for name, kind in fields.items()
        if key in (fields_of(bare(kind)) or ())
    ]
    close = inside or difflib.get_close_matches(key, fields, n=1)
    hint = f" (did you mean `{close[0]}`?)" if close else ""
    return (
        f"Invalid key `{_in_line(path)}` in {PurePath(source)}. Expected one "
        f"of {sorted(fields)}{hint}."
    )


def _alternatives(kind: Any) -> list[Any]:
    if typing.get_origin(kind) in _UNIONS:
        kinds = typing.get_args(kind)
        return [None if each is type(None) else each for each in kinds]
    return [kind]


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return not (field.default is missing and field.default_factory is missing)
