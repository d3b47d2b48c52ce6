"""Typed configuration: dataclasses filled from YAML and overrides.

A configuration is a plain dataclass, so its fields, types and defaults are
read in one place; `load` fills it strictly and explains what does not fit.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeVar, cast

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from wseg_tf.filesystems import prepare, read_bytes

Configuration = TypeVar("Configuration")


_UNIONS = (typing.Union, types.UnionType)
MOST_VALUES = 100_000  # more than any configuration
MOST_BYTES = 2**24


class ConfigurationError(ValueError):
    """A configuration that cannot be used; its message is one sentence."""


def text_of(path: str) -> str:
    """Returns the text of a file.

    Args:
        path: A file; remote paths TensorFlow can read are allowed.

    Raises:
        ConfigurationError: If it cannot be read, or is no text.
    """
    open_remote(path)
    try:
        text = read_bytes(path, MOST_BYTES).decode()
    except FileNotFoundError:
        reason = "no such file"
    except UnicodeDecodeError:
        reason = "no text"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    else:
        # What it names is opened next.
        open_remote(text)
        return text
    raise ConfigurationError(
        "Invalid configuration file. Expected a YAML file. Received: "
        f"{path} ({reason})."
    )


def open_remote(*texts: str) -> None:
    """Makes TensorFlow open the remote paths in some texts.

    Args:
        texts: Paths, or texts with paths in them.

    Raises:
        ConfigurationError: If the package it takes is not installed.
    """
    try:
        prepare(*texts)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def parse(text: str, source: str) -> dict[str, Any]:
    """Returns the keys and values of YAML text.

    Args:
        text: YAML, a mapping or nothing.
        source: Name of the file the text came from, for error messages.

    Raises:
        ConfigurationError: If it is no YAML, or no mapping.

    Example:

    >>> parse("height: 180", "camera.yaml")
    {'height': 180}
    """
    values = parse_any(text, source)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigurationError(
            f"Invalid configuration {source}. Expected keys and values. "
            f"Received: a {type(values).__name__}."
        )
    return values


def parse_any(text: str, source: str, as_written: bool = False) -> Any:
    """Returns what YAML text holds, of whatever type, strictly read.

    Args:
        text: YAML of one document.
        source: Name of the file the text came from, for error messages.
        as_written: Whether all scalars stay the text that was written: `07`
            is `"07"`, not 7.

    Returns:
        Dicts, lists and scalars.

    Raises:
        ConfigurationError: If it is not YAML, a key is there twice, or
            aliases make it larger than any configuration.

    Example:

    >>> parse_any("drives: [07, 2011_09_26]", "yard.yaml", as_written=True)
    {'drives': ['07', '2011_09_26']}
    """
    try:
        loader = (yaml.BaseLoader if as_written else yaml.SafeLoader)(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, source, loader, {}) > MOST_VALUES:
            raise ConfigurationError(
                f"Invalid YAML in {source}. Expected at most {MOST_VALUES} "
                "values, aliases counted as what they stand for. Received: "
                "more."
            )
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        reason = " ".join(str(problem).split())
    except ConfigurationError:
        raise
    except RecursionError:
        place, reason = "", "nested too deeply"
    except (ValueError, TypeError, OverflowError) as error:
        # Such as the thirteenth month, or a list that is a key.
        place, reason = "", " ".join(str(error).split())
    raise ConfigurationError(f"Invalid YAML in {source}{place}: {reason}.")


def _size(
    node: yaml.Node, source: str, loader: Any, known: dict[int, int]
) -> int:
    """Counts values, aliases as what they stand for; refuses repeated keys."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MOST_VALUES + 1  # an alias within itself has no end
    size = 1
    if isinstance(node, yaml.ScalarNode) and "\0" in node.value:
        line = node.start_mark.line + 1
        raise ConfigurationError(
            f"Invalid YAML in {source} line {line}. Expected text without NUL "
            "bytes, which no path has. Received: one."
        )
    if isinstance(node, yaml.SequenceNode):
        size += sum(_size(each, source, loader, known) for each in node.value)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[Any, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            # By value: 1 and 0x1 are one key. Merge keys (`<<`) are none.
            scalar = isinstance(key, yaml.ScalarNode) and not key.tag.endswith(
                ":merge"
            )
            mark = loader.construct_object(key) if scalar else None
            if scalar and mark in lines:
                raise ConfigurationError(
                    f"Invalid YAML in {source} line {line}. Expected each key "
                    f"once. Received: `{key.value}` again (line "
                    f"{lines[mark]})."
                )
            lines[mark] = line
            size += _size(key, source, loader, known)
            size += _size(value, source, loader, known)
    known[id(node)] = min(size, MOST_VALUES + 1)
    return size


def load(
    schema: type[Configuration],
    text: str,
    source: str,
    overrides: Sequence[str] = (),
) -> Configuration:
    """Fills a dataclass from YAML text and `key=value` overrides.

    Args:
        schema: A dataclass; nested dataclasses and lists of them are allowed.
        text: YAML; keys must be fields of `schema`.
        source: Name of the file the text came from, for error messages.
        overrides: Dotted assignments applied last, e.g.
            `"training.batch=4"`; lists are indexed, e.g. `"stages.0.epochs=1"`.

    Returns:
        An instance of `schema`.

    Raises:
        ConfigurationError: If a key is unknown, a value has the wrong type or
            a required value is missing; names the file and the key.

    Example:

    >>> @dataclasses.dataclass
    ... class Camera:
    ...     height: int = 360
    >>> load(Camera, "height: 180", "camera.yaml")
    Camera(height=180)
    >>> load(Camera, "hieght: 180", "camera.yaml")
    Traceback (most recent call last):
        ...
    wseg_tf.configuration.ConfigurationError: Invalid key `hieght` in
    camera.yaml. Expected one of ['height'] (did you mean `height`?).
    """
    return fill(schema, parse(text, source), source, overrides)


def fill(
    schema: type[Configuration],
    values: Mapping[str, Any],
    source: str,
    overrides: Sequence[str] = (),
) -> Configuration:
    """Fills a dataclass, as `load` does, from what `parse` returned.

    Args:
        schema: A dataclass.
        values: Values by field.
        source: Name of the file they came from, for error messages.
        overrides: Dotted assignments applied last.

    Returns:
        An instance of `schema`.

    Raises:
        ConfigurationError: As `load` raises it.
    """
    _refuse_misfits(schema, values, source)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), values)
        for override in overrides:
            merged = _override(merged, override, schema)
        return cast(Configuration, OmegaConf.to_object(merged))
    except ConfigurationError:
        raise
    except OmegaConfBaseException as error:
        raise ConfigurationError(_one_sentence(error, source)) from error
    except ValueError as error:
        raise ConfigurationError(f"{source}: {error}") from error


def in_one_line(value: Any) -> str:
    """Returns plain values as YAML in one line.

    >>> in_one_line({"name": "pole", "group": 2})
    '{name: pole, group: 2}'
    """
    text: str = yaml.safe_dump(
        value,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=float("inf"),
    )
    return text.strip()


def dump(configuration: object) -> str:
    r"""Returns a configuration as YAML that `load` reads back.

    Args:
        configuration: A dataclass instance.

    Returns:
        YAML text with every field, defaults included.

    Example:

    >>> @dataclasses.dataclass
    ... class Camera:
    ...     height: int = 360
    >>> dump(Camera())
    'height: 360\n'
    """
    return OmegaConf.to_yaml(OmegaConf.structured(configuration))


def _override(merged: Any, override: str, schema: type) -> Any:
    key, separator, value = override.partition("=")
    key = key.strip()
    if not separator or not key:
        raise ConfigurationError(
            "Invalid override. Expected key=value, e.g. training.batch=4. "
            f"Received: {override!r}."
        )
    kind = _type_at(schema, key.split("."), key)
    content = parse_any(value, "the command line", as_written=_is_text(kind))
    nothing = content in ("", "~", "null", "Null", "NULL")
    if nothing and type(None) in typing.get_args(kind):
        content = None
    _refuse_misfits(kind, content, "the command line", f"{key}.")
    parent = OmegaConf.select(merged, key.rpartition(".")[0]) or merged
    # OmegaConf takes a frozen dataclass for a read-only one.
    OmegaConf.set_readonly(parent, False)
    OmegaConf.update(merged, key, content, merge=True)
    return merged


def _is_text(kind: Any, alone: bool = False) -> bool:
    """Whether a type is text or optional text, or else a list of texts."""
    parts = {*typing.get_args(kind)} - {type(None), Ellipsis}
    if kind is str:
        return True
    origin = typing.get_origin(kind)
    may_be = origin in _UNIONS or (not alone and origin is not dict)
    return parts == {str} and may_be


def _fields(schema: Any) -> dict[str, Any] | None:
    """The fields of a dataclass with their types, or None for other types."""
    for candidate in (schema, *typing.get_args(schema)):
        if dataclasses.is_dataclass(candidate):
            return typing.get_type_hints(candidate)
    return None


def _refuse_misfits(
    schema: Any, values: Any, source: str, prefix: str = ""
) -> None:
    """Refuses unknown keys, and numbers and truth values for texts."""
    fields = _fields(schema)
    if isinstance(values, list):
        inner = schema if fields is not None else _element(schema)
        for position, value in enumerate(values):
            _refuse_misfits(inner, value, source, f"{prefix}{position}.")
    elif isinstance(values, dict) and fields is not None:
        for key, value in values.items():
            if key not in fields:
                raise ConfigurationError(
                    _unknown_key(f"{prefix}{key}", str(key), fields, source)
                )
            _refuse_misfits(fields[key], value, source, f"{prefix}{key}.")
    elif isinstance(values, dict):
        for key, value in values.items():
            _refuse_misfits(_element(schema), value, source, f"{prefix}{key}.")
    elif _is_text(schema, alone=True) and not isinstance(
        values, (str, type(None))
    ):
        raise ConfigurationError(
            f"Invalid value for `{prefix[:-1]}` in {source}. Expected text, "
            f"which YAML wants in quotes where it looks like a "
            f"{type(values).__name__}. Received: {values}."
        )


def _element(schema: Any) -> Any:
    """The type of the values of a list, a tuple or a mapping."""
    for candidate in (schema, *typing.get_args(schema)):
        if typing.get_origin(candidate) in (list, tuple, dict):
            parts = typing.get_args(candidate)
            return parts[-1] if parts[-1] is not Ellipsis else parts[0]
    return None


def _type_at(schema: Any, path: list[str], key: str) -> Any:
    for part in path:
        fields = _fields(schema)
        if fields is None or part.isdigit():
            inner = schema if fields is not None else _element(schema)
            if inner is None and schema not in (Any, None):
                raise ConfigurationError(
                    f"Invalid key `{key}` in the command line. Expected a key "
                    f"of what has keys. Received: `{part}` of a value."
                )
            schema = inner
            continue
        if part not in fields:
            raise ConfigurationError(
                _unknown_key(key, part, fields, "the command line")
            )
        schema = fields[part]
    return schema


def _unknown_key(
    path: str, key: str, fields: dict[str, Any], source: str
) -> str:
    close = difflib.get_close_matches(key, fields, n=1)
    hint = f" (did you mean `{close[0]}`?)" if close else ""
    return (
        f"Invalid key `{path}` in {PurePath(source)}. Expected one of "
        f"{sorted(fields)}{hint}."
    )


def _one_sentence(error: OmegaConfBaseException, source: str) -> str:
    key = getattr(error, "full_key", None) or getattr(error, "key", None)
    reason = str(error).splitlines()[0].rstrip(".")
    expected = getattr(error, "ref_type", None)
    if isinstance(expected, type) and issubclass(expected, Enum):
        reason += f"; expected one of {[each.value for each in expected]}"
    where = f"Invalid value for `{key}` in {source}: " if key else f"{source}: "
    return f"{where}{reason}."
