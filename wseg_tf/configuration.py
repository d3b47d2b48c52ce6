"""Typed configuration: dataclasses filled from YAML and overrides.

A configuration is a plain dataclass, so its fields, types and defaults are
read in one place; `load` fills it strictly and explains what does not fit.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar, cast

import yaml
from omegaconf import Container, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from wseg_tf import overriding
from wseg_tf.filesystems import prepare, read_bytes
from wseg_tf.typed import misfit

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


def kept_text(path: str) -> str:
    """Returns the text that `wseg_tf.filesystems.keep` wrote.

    Args:
        path: What it returned.

    Raises:
        ConfigurationError: If it cannot be read, or was changed since.
    """
    text = text_of(path)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    if os.path.basename(os.path.dirname(path)) != digest:
        raise ConfigurationError(
            f"Invalid configuration file {path}. Expected the text whose "
            f"SHA-256 its folder is named by. Received: another ({digest}); "
            "run again to write it anew."
        )
    return text


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

    Where fields are alternatives, of which one counts, a dataclass may have a
    static method `chosen`: given what is assigned to its fields, it returns
    that and what it replaces. A warning says what an override replaced.

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
            _override(merged, override, schema)
        return cast(Configuration, OmegaConf.to_object(merged))
    except ConfigurationError:
        raise
    except OmegaConfBaseException as error:
        raise ConfigurationError(_one_sentence(error, source)) from error
    except ValueError as error:
        place = _failing(merged)
        said = re.sub(r"(?<=argument `)", place, str(error), count=1)
        own = [
            each if each.isprintable() else repr(each)
            for each in overrides
            if each.startswith(place)
        ]
        origin = " with ".join([source, ", ".join(own)] if own else [source])
        raise ConfigurationError(f"{origin}: {said}") from error


def _failing(node: Any) -> str:
    """The dotted name, up to its fields, of the innermost refused part."""
    keys = range(len(node)) if isinstance(node, ListConfig) else list(node)
    for key in keys:
        inner = None if OmegaConf.is_missing(node, key) else node[key]
        if isinstance(inner, Container):
            try:
                OmegaConf.to_object(inner)
            except ValueError:
                return f"{key}.{_failing(inner)}"
    return ""


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


def _override(merged: Any, override: str, schema: type) -> None:
    try:
        key, kind, value = overriding.target(merged, override, schema)
        is_text = overriding.is_text(kind)
        content = parse_any(value, overriding.SOURCE, as_written=is_text)
        overriding.assign(merged, schema, key, content)
    except OmegaConfBaseException as error:
        said = _one_sentence(error, overriding.SOURCE)
        raise ConfigurationError(said) from error
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _one_sentence(error: OmegaConfBaseException, source: str) -> str:
    key = getattr(error, "full_key", None) or getattr(error, "key", None)
    reason = str(error).partition("\n")[0].rstrip(".")
    reason = re.sub(r"<class '([^']*)'>", r"\1", reason)
    expected = getattr(error, "ref_type", None)
    if isinstance(expected, type) and issubclass(expected, Enum):
        reason += f"; expected one of {[each.value for each in expected]}"
    where = f"value for `{key}` in" if key else "configuration"
    return f"Invalid {where} {source}: {reason}."
