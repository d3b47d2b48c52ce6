"""Paths in parts, and the patterns that a description names them by."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from wseg_tf.data.pairs import normal

_WORDS = "training|train|trn|validation|valid|val|dev|eval|testing|test|tst"
_SPLIT = re.compile(
    rf"(?P<before>(?:.*[_\-. ])?)(?P<split>{_WORDS})"
    r"(?P<after>(?:[_\-. ].*|annot|labels?|masks?|images?|imgs?|gt|\d+)?)",
    re.IGNORECASE,
)
# The last word of a name with its separator, such as `_mask`.
LAST_WORD = re.compile(r"[_\-. ]?[^\d_\-. {}]*$")
SPLIT, DRIVE, ANY = "{split}", "{drive}", "*"
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Place:
    """A path in parts.

    Args:
        path: The path.
        folders: Its folders, with `{split}` where a split is named.
        split: The split; empty where none is named.
        stem: The file's name without its ending.
        ending: The ending, with its dot.
    """

    path: str
    folders: tuple[str, ...]
    split: str
    stem: str
    ending: str

    @classmethod
    def of(cls, path: str, has_splits: bool) -> Place:
        """Takes a path apart.

        Args:
            path: A path.
            has_splits: Whether words such as `train` name splits.

        Example:

        >>> Place.of("trainannot/a_1.png", has_splits=True).folders
        ('{split}annot',)
        """
        folder, base = posixpath.split(path)
        stem, ending = posixpath.splitext(base)
        folders, split = [], ""
        for part in folder.split("/") if folder else []:
            # A brace would begin a place of the description.
            part = re.sub(r"[{}]", ANY, part)
            found = _SPLIT.fullmatch(part) if has_splits else None
            if found is not None and split in ("", found["split"]):
                split = found["split"]
                part = f"{found['before']}{SPLIT}{found['after']}"
            folders.append(part)
        return cls(path, tuple(folders), split, stem, ending)


@dataclass(frozen=True)
class Pattern:
    """Where files of one sort lie.

    Args:
        folders: Folders; one may be `{drive}`, others hold `{split}` or are
            `*`.
        head: What stands before the name of the frame.
        tail: What stands after it.
        ending: The ending, or `.*` for several.
        separator: What parts the drive from the name, where files tell it;
            None where they do not.
        count: Characters of the name, after its drive; 0 for any number.
        not_before: What no name begins with, since others' do.
        not_behind: What no name ends with, since others' do.
    """

    folders: tuple[str, ...]
    head: str = ""
    tail: str = ""
    ending: str = ""
    separator: str | None = None
    count: int = 0
    not_before: tuple[str, ...] = ()
    not_behind: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The pattern as a description writes it."""
        before = "".join(f"(?!{re.escape(t)})" for t in self.not_before)
        behind = "".join(f"(?<!{re.escape(t)})" for t in self.not_behind)
        some = f".{{{self.count}}}" if self.count else ".+"
        if self.separator is None:
            frame = _place("name", before + some + behind)
        else:
            drive = _place("drive", before + ".+")
            frame = drive + self.separator + _place("name", some + behind)
        head, tail = (re.sub(r"[{}]", ANY, t) for t in (self.head, self.tail))
        return "/".join([*self.folders, f"{head}{frame}{tail}{self.ending}"])

    def keys(self, places: Sequence[Place]) -> dict[Key, Place] | None:
        """Returns paths by split, drive and name; None if two have the same.

        Args:
            places: Paths that match the folders.
        """
        found: dict[Key, Place] = {}
        for place in places:
            name = self._name(place.stem)
            if not name:
                continue
            drive = ""
            for own, part in zip(place.folders, self.folders, strict=True):
                drive = own if part == DRIVE else drive
            key = normal(place.split), normal(drive), normal(name)
            if found.setdefault(key, place) is not place:
                return None
        return found

    def _name(self, stem: str) -> str:
        end = len(stem) - len(self.tail)
        if not (stem.startswith(self.head) and stem.endswith(self.tail)):
            return ""
        name = stem[len(self.head) : end]
        is_others = name.startswith(self.not_before) or name.endswith(
            self.not_behind
        )
        return "" if is_others else name


def _place(name: str, expression: str) -> str:
    return f"{{{name}}}" if expression == ".+" else f"{{{name}:{expression}}}"


def split_word(path: str) -> str:
    """Returns the split that a path names, if any.

    Example:

    >>> split_word("gtFine/val/ulm/1.png"), split_word("masks/1.png")
    ('val', '')
    """
    return Place.of(path, has_splits=True).split
