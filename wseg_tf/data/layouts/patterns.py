"""Paths by patterns such as `frames/{drive}/{name}.jpg`.

`{name}`, `{drive}` and `{split}` stand for any text within one folder's or
file's name, `{name:[0-9]+}` for what a regular expression matches, `*` for
anything. All else, `[` and `?` included, means itself.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

from wseg_tf.data.pairs import files, folders, normal

PLACES = ("name", "split", "drive")
Places = Mapping[str, str]
Frame = tuple[str, str, str]  # split, drive and name, empty if not given

# The expression of a place may hold braces that count, as in [0-9]{6}.
_TOKEN = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[\d,]+\})*))?\}|\*")


def places_of(pattern: str) -> set[str]:
    """Returns the places of a pattern.

    Raises:
        ValueError: If one is unknown, or its expression is none.
    """
    for token in _TOKEN.finditer(pattern):
        if token[1] and token[1] not in PLACES:
            raise ValueError(
                f"unknown place {{{token[1]}}}. Expected {{name}}, {{split}} "
                "or {drive}."
            )
    for part in pattern.split("/"):
        try:
            _expression(normal(part))
        except re.error as error:
            raise ValueError(
                f"{part}: expected a regular expression after the colon "
                f"({error})."
            ) from None
    return {token[1] for token in _TOKEN.finditer(pattern) if token[1]}


def find(
    folder: str, patterns: Iterable[str]
) -> Iterator[tuple[Frame, int, str]]:
    """Yields files by split, drive and name, in NFC.

    Names that begin with a dot are left out, unless the pattern's do.

    Args:
        folder: The folder that patterns start from.
        patterns: Patterns with `{name}`.

    Yields:
        The frame, the number of the pattern that found the file, and its path.

    Raises:
        DataError: If there is no such folder.
    """
    folders(folder)  # says if there is none
    for number, pattern in enumerate(patterns):
        parts = [part for part in normal(pattern).split("/") if part]
        for path, places in _walk(folder.rstrip("/") or "/", parts, {}):
            split, drive = (places.get(p, "") for p in ("split", "drive"))
            yield (split, drive, places["name"]), number, path


def _walk(
    folder: str, parts: list[str], places: Places
) -> Iterator[tuple[str, Places]]:
    """Goes down one folder a part of the pattern."""
    part, *rest = parts
    if part in (".", ".."):
        yield from _walk(posixpath.join(folder, part), rest, places)
        return
    expression = _expression(part)
    for path in _folders(folder, part) if rest else files(folder):
        name = posixpath.basename(path)
        if name.startswith(".") and not part.startswith("."):
            continue
        matched = expression.fullmatch(normal(name))
        if matched is None:
            continue
        own = matched.groupdict()
        if any(places.get(place, text) != text for place, text in own.items()):
            continue  # one place stands for two different texts
        if rest:
            yield from _walk(path, rest, {**places, **own})
        else:
            yield path, {**places, **own}


def _folders(folder: str, part: str) -> list[str]:
    """Returns the folders that a part may mean; hidden ones if it is one."""
    if part.startswith("."):
        return [posixpath.join(folder, part)]
    return folders(folder)


def _expression(part: str) -> re.Pattern[str]:
    """Turns a part of a pattern into an expression with a group per place."""
    pieces, seen, end = [], set(), 0
    for token in _TOKEN.finditer(part):
        pieces.append(re.escape(part[end : token.start()]))
        place, own, end = token[1], token[2], token.end()
        if place is None:
            pieces.append(".*")
        elif place in seen:
            pieces.append(f"(?P={place})")
        else:
            pieces.append(f"(?P<{place}>{own or '.+'})")
            seen.add(place)
    return re.compile("".join([*pieces, re.escape(part[end:])]), re.DOTALL)
