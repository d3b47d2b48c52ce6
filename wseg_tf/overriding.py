"""`key=value` of a command line, put in its place in a configuration."""

from __future__ import annotations

import logging
from typing import Any, get_origin

from omegaconf import Container, DictConfig, OmegaConf

from wseg_tf.typed import (
    bare,
    element,
    fields_of,
    may_be_none,
    misfit,
    unknown_key,
)

LOG = logging.getLogger(__name__)
SOURCE = "the command line"


def target(merged: Any, override: str, schema: type) -> tuple[str, Any, str]:
    """Returns the key of an override, the type of its value, and the value.

    Args:
        merged: The configuration so far, OmegaConf's.
        override: A dotted assignment; lists are indexed.
        schema: The dataclass that it fills.

    Raises:
        ValueError: If it is none, or there is no such key.
    """
    key, separator, value = override.partition("=")
    key = key.strip()
    if not separator or not key:
        raise ValueError(
            "Invalid override. Expected key=value, e.g. training.batch=4. "
            f"Received: {override!r}."
        )
    path = key.split(".")
    kind = _type_at(schema, path, key)
    _check_places(merged, path, schema)
    return key, kind, value


def is_text(kind: Any) -> bool:
    """Whether a type is text, or a list of texts."""
    return bool((element(kind) if _is_list(kind) else bare(kind)) is str)


def assign(merged: Any, schema: type, key: str, content: Any) -> None:
    """Puts a value in its place; it replaces its alternatives.

    Args:
        merged: The configuration so far; it is changed.
        schema: The dataclass that it fills.
        key: What `target` returned.
        content: The value.

    Raises:
        ValueError: If it does not fit the type there.
    """
    path = key.split(".")
    kind = _type_at(schema, path, key)
    if content in ("", "~", "null", "Null", "NULL") and may_be_none(kind):
        content = None
    said = misfit(kind, content, SOURCE, key)
    if said is not None:
        raise ValueError(said)
    if isinstance(content, dict):
        content = _chosen(merged, key, kind, content)
    above, _, part = key.rpartition(".")
    owner = _type_at(schema, path[:-1], key)
    for name, each in _chosen(merged, above, owner, {part: content}).items():
        _update(merged, f"{above}.{name}" if above else name, each)


def _update(merged: Any, key: str, content: Any) -> None:
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


def _chosen(
    merged: Any, place: str, kind: Any, changes: dict[str, Any]
) -> dict[str, Any]:
    """Changes to the fields of a part, with the fields that they replace."""
    chosen = getattr(bare(kind), "chosen", None)
    if chosen is None:
        return changes
    found: dict[str, Any] = chosen(changes)
    node = OmegaConf.select(merged, place) if place else merged
    gone = [
        name
        for name in found
        if name not in changes and isinstance(node, DictConfig) and node[name]
    ]
    if gone:
        LOG.warning(
            "%s: %s of the command line replaces %s of the file.",
            place,
            " and ".join(f"`{name}`" for name in changes),
            " and ".join(f"`{name}`" for name in gone),
        )
    return found


def _check_places(merged: Any, path: list[str], schema: type) -> None:
    """Refuses a place that a list does not have."""
    node = merged
    for depth, part in enumerate(path):
        place, key = ".".join(path[:depth]), ".".join(path)
        if _is_list(_type_at(schema, path[:depth], key)):
            size = 0 if node is None else len(node)
            if int(part) >= size:
                places = f"a place in `{place}`, 0..{size - 1}"
                raise ValueError(
                    f"Invalid key `{key}` in {SOURCE}. Expected "
                    f"{places if size else f'`{place}` as a whole'}. "
                    f"Received: `{part}`."
                )
            node = node[int(part)]
        elif isinstance(node, DictConfig) and part in node:
            node = node[part]
        else:
            node = None


def _is_list(kind: Any) -> bool:
    return element(kind) is not None and get_origin(bare(kind)) is not dict


def _type_at(schema: Any, path: list[str], key: str) -> Any:
    for part in path:
        fields, within = fields_of(bare(schema)), element(schema)
        if fields is not None and part not in fields:
            raise ValueError(unknown_key(key, part, fields, SOURCE))
        if _is_list(schema) and not part.isdecimal():
            raise ValueError(
                f"Invalid key `{key}` in {SOURCE}. Expected a place in the "
                f"list, from 0. Received: `{part}`."
            )
        if fields is None and within is None and schema is not Any:
            raise _keyless(key, part)
        if fields is not None:
            schema = fields[part]
        elif within is not None:
            schema = within
    return schema


def _keyless(key: str, part: str) -> ValueError:
    return ValueError(
        f"Invalid key `{key}` in {SOURCE}. Expected a key of what has keys. "
        f"Received: `{part}` of a value."
    )
