"""Every key of a configuration: type, default, and meaning by its docstring."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from wseg_tf.configuration import in_one_line
from wseg_tf.ranges import range_of

WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    type(None): "null",
    Any: "any",
}
NEEDED = "needed"

# By dataclass, the key that holds one, and it or its class.
Told = dict[type, tuple[str, Any]]


@dataclass(frozen=True)
class Key:
    """One key.

    Args:
        name: Its path, e.g. `training.stages[].loss`.
        kind: What it takes, in words; empty for a key that holds others.
        default: As YAML, or `"needed"`; empty for a key that holds others.
        meaning: From the docstring of its dataclass.
    """

    name: str
    kind: str
    default: str
    meaning: str


def keys(
    configuration: Any, prefix: str = "", told: Told | None = None
) -> Iterator[Key]:
    """Yields every key of a configuration, those within after those around.

    Args:
        configuration: A dataclass, or an object of one, whose values are then
            the defaults.
        prefix: Put before each name.
        told: What was told of before, by dataclass: its keys are told of once,
            unless the defaults are others. Give one to several calls.

    Example:

    >>> from wseg_tf.training.recipe import GroundOptions
    >>> found = {key.name: key for key in keys(GroundOptions, "ground.")}
    >>> found["ground.within"].kind, found["ground.within"].default
    ('number, 0..1', '0.5')
    """
    told = {} if told is None else told
    is_class = isinstance(configuration, type)
    schema = configuration if is_class else type(configuration)
    meanings, hints = _meanings(schema), get_type_hints(schema)
    for field in dataclasses.fields(schema):
        name, meaning = f"{prefix}{field.name}", meanings.get(field.name, "")
        held, several = _held(hints[field.name])
        default = _default(configuration, field)
        if held is None:
            within = range_of(field)
            words = _words(hints[field.name])
            kind = words if within is None else f"{words}, {within}"
            yield Key(name, kind, _shown(default), meaning)
            continue
        inside = default if dataclasses.is_dataclass(default) else held
        before, same = told.setdefault(held, (name, inside))
        if before != name and same == inside:
            yield Key(name, "", "", f"{meaning} Its keys: `{before}`'s.")
            continue
        yield Key(name, "", "", meaning)
        yield from keys(inside, f"{name}[]." if several else f"{name}.", told)


def markdown(found: Iterable[Key]) -> str:
    """Returns keys as a table of Markdown.

    Args:
        found: What `keys` yielded.
    """
    lines = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    for key in found:
        default = (
            f"`{key.default}`"
            if key.default not in ("", NEEDED)
            else key.default
        )
        cells = (f"`{key.name}`", key.kind, default, key.meaning)
        lines.append(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        )
    return "\n".join(lines) + "\n"


def _default(configuration: Any, field: dataclasses.Field[Any]) -> Any:
    if not isinstance(configuration, type):
        return getattr(configuration, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return _made(field.default_factory)
    return field.default


def _made(factory: Any) -> Any:
    """What a factory makes; a dataclass that needs something stays a class."""
    try:
        return factory()
    except TypeError:
        return factory


def _shown(default: Any) -> str:
    return (
        NEEDED
        if default is dataclasses.MISSING
        else in_one_line(default).removesuffix("\n...")
    )


def _held(hint: Any) -> tuple[type | None, bool]:
    """The dataclass that a key holds, and whether it is a list of them."""
    if dataclasses.is_dataclass(hint):
        return hint, False  # type: ignore[return-value]
    inside = [_held(each)[0] for each in get_args(hint)]
    held = next((each for each in inside if each is not None), None)
    return held, held is not None and get_origin(hint) is list


def _words(hint: Any) -> str:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_words, inside))
    if origin is list or Ellipsis in inside:
        return f"list of {_words(inside[0])}"
    if origin is tuple:
        return f"[{', '.join(map(_words, inside))}]"
    if origin is dict:
        return f"{_words(inside[1])} by name"
    return WORDS[hint]


def _meanings(schema: type) -> dict[str, str]:
    """What the docstrings of a dataclass and its parents say of its fields."""
    found: dict[str, str] = {}
    for kind in reversed(schema.__mro__):
        if not dataclasses.is_dataclass(kind):
            continue
        told = (inspect.getdoc(kind) or "").partition("Args:\n")[2]
        told = re.split(r"\n(?=\S)", told)[0]
        for entry in re.split(r"\n(?=    \w+: )", "\n" + told):
            name, _, meaning = entry.strip().partition(": ")
            if name.isidentifier():
                found[name] = " ".join(meaning.split())
    return found
