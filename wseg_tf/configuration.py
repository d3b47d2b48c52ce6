"""Typed configuration: dataclasses filled from YAML and overrides.

A configuration is a plain dataclass, so its fields, types and defaults are
read in one place; `load` fills it strictly and explains what does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar, cast, get_origin

import yaml
from omegaconf import Container, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from wseg_tf.filesystems import prepare, read_bytes
from wseg_tf.typed import (
    bare,
    element,
    fields_of,
    may_be_none,
    misfit,
    unknown_key,
)

Configuration = TypeVar("Configuration")

MOST_VALUES = 100_000  # more than any configuration
MOST_BYTES = 2**24
MOST_DEPTH = 100
_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    AttributeError,
    KeyError,
)
_NO_TEXT = re.compile(r"[\0\ud800-\udfff]")


class ConfigurationError(ValueError):
    """A configuration that cannot be used; its message is one sentence."""


class _Composer(yaml.composer.Composer):
    """Reads no further where lists and mappings lie too deep in others."""

    _depth = 0

    def compose_node(
        self, parent: yaml.Node | None, index: int
    ) -> yaml.Node | None:
        """Composes a node and those in it."""
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise yaml.YAMLError("nested too deeply")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Typed(_Composer, yaml.SafeLoader):
    """Gives scalars their types."""


class _AsWritten(_Composer, yaml.BaseLoader):
    """Leaves scalars the text that was written."""


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
        loader = (_AsWritten if as_written else _Typed)(text)
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
    except _UNREADABLE as error:
        # Such as the thirteenth month, a list that is a key, `!!bool x`.
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
    if isinstance(node, yaml.ScalarNode) and _NO_TEXT.search(node.value):
        line = node.start_mark.line + 1
        raise ConfigurationError(
            f"Invalid YAML in {source} line {line}. Expected text without NUL "
            "bytes and lone surrogates, which no path has. Received: one."
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

    >>> from dataclasses import dataclass
    >>> @dataclass
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
    said = misfit(schema, values, source)
    if said is not None:
        raise ConfigurationError(said)
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

    >>> from dataclasses import dataclass
    >>> @dataclass
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
    if content in ("", "~", "null", "Null", "NULL") and may_be_none(kind):
        content = None
    said = misfit(kind, content, "the command line", key)
    if said is not None:
        raise ConfigurationError(said)
    parent = merged
    while "." in key:
        above, _, part = key.rpartition(".")
        parent = OmegaConf.select(merged, above)
        if isinstance(parent, Container):
            break
        if parent is not None:
            raise _keyless(key, part)
        # What is none so far becomes what has the key.
        key, content, parent = above, {part: content}, merged
    # OmegaConf takes a frozen dataclass for a read-only one.
    OmegaConf.set_readonly(parent, False)
    OmegaConf.update(merged, key, content, merge=True)
    return merged


def _is_text(kind: Any) -> bool:
    """Whether a type is text, or a list of texts."""
    within = element(kind)
    is_list = within is not None and get_origin(bare(kind)) is not dict
    return bool((within if is_list else bare(kind)) is str)


def _type_at(schema: Any, path: list[str], key: str) -> Any:
    for part in path:
        fields, within = fields_of(bare(schema)), element(schema)
        if fields is not None and part not in fields:
            raise ConfigurationError(
                unknown_key(key, part, fields, "the command line")
            )
        is_list = within is not None and get_origin(bare(schema)) is not dict
        if is_list and not part.isdecimal():
            raise ConfigurationError(
                f"Invalid key `{key}` in the command line. Expected a place "
                f"in the list, from 0. Received: `{part}`."
            )
        if fields is None and within is None and schema is not Any:
            raise _keyless(key, part)
        if fields is not None:
            schema = fields[part]
        elif within is not None:
            schema = within
    return schema


def _keyless(key: str, part: str) -> ConfigurationError:
    return ConfigurationError(
        f"Invalid key `{key}` in the command line. Expected a key of what has "
        f"keys. Received: `{part}` of a value."
    )


def _one_sentence(error: OmegaConfBaseException, source: str) -> str:
    key = getattr(error, "full_key", None) or getattr(error, "key", None)
    reason = str(error).partition("\n")[0].rstrip(".")
    reason = re.sub(r"<class '([^']*)'>", r"\1", reason)
    expected = getattr(error, "ref_type", None)
    if isinstance(expected, type) and issubclass(expected, Enum):
        reason += f"; expected one of {[each.value for each in expected]}"
    where = f"value for `{key}` in" if key else "configuration"
    return f"Invalid {where} {source}: {reason}."
