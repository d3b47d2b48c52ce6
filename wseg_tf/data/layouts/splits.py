"""Which split a frame belongs to, where its path does not say it."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts.patterns import Frame
from wseg_tf.data.pairs import normal, read_file

TRAIN = "train"
# Whether a split is that of a frame and its image, and which one is.
Test = Callable[[Frame, str], bool]
Named = Callable[[Frame, str], "str | None"]
_SHOWN = 8


@dataclass(frozen=True)
class Splits:
    """One way to tell splits; the frames that no split names are `train`.

    Where `train` is named itself, those are in no split.

    Args:
        drives: The drives of each split.
        lists: A file for each split: one frame a line, by its name, by drive
            and name, or by the path of its image.
        expressions: A regular expression for each split, searched in the
            path of the image below the folder.
        shares: The share of frames of each split, drawn drive by drive.
        seed: Another seed draws other drives.
        source: The description, for messages.
    """

    drives: Mapping[str, Sequence[str]] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    expressions: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    source: str = ""

    def ways(self) -> list[str]:
        """Returns the keys that are given."""
        names = ("drives", "lists", "expressions", "shares")
        return [name for name in names if getattr(self, name)]

    def names(self) -> list[str]:
        """Returns the splits that are named."""
        return [name for way in self.ways() for name in getattr(self, way)]


def assign(
    splits: Splits, folder: str, images: Iterable[tuple[Frame, str]]
) -> tuple[Named, str | None]:
    """Returns what names the split of a frame, and the split of the others.

    Args:
        splits: How they are told.
        folder: The folder of the data.
        images: Each frame and the path of its image, read several times.

    Returns:
        A function of a frame and its image, which returns the split or None if
        none names it; and `train`, or None if the others are left out.

    Raises:
        DataError: If what is named does not exist, or is in two splits.
    """
    if splits.shares:
        drawn = _draw(splits, images)
        return lambda frame, image: drawn.get(frame[1]), TRAIN
    tests = {
        split: test
        for way in splits.ways()
        for split, test in _TESTS[way](splits, folder, images)
    }
    for frame, image in images if tests else ():
        own = [split for split, test in tests.items() if test(frame, image)]
        if len(own) > 1:
            raise DataError(
                f"{splits.source}: expected each frame in one split. Found: "
                f"{image} in {own[0]!r} and in {own[1]!r}."
            )

    def named(frame: Frame, image: str) -> str | None:
        found = (split for split, test in tests.items() if test(frame, image))
        return next(found, None)

    return named, None if TRAIN in tests else TRAIN


def _by_expression(
    splits: Splits, folder: str, images: Iterable[tuple[Frame, str]]
) -> Iterator[tuple[str, Test]]:
    for split, expression in splits.expressions.items():
        search = re.compile(normal(expression)).search

        def test(_: Frame, image: str, search: Any = search) -> bool:
            return search(_below(folder, image)) is not None

        if not any(test(*each) for each in images):
            raise DataError(
                f"{splits.source}: expected an expression that finds images "
                f"(split {split!r}). Found: {expression!r} in none."
            )
        yield split, test


def _by_drive(
    splits: Splits, folder: str, images: Iterable[tuple[Frame, str]]
) -> Iterator[tuple[str, Test]]:
    there = {drive for (_, drive, _), _ in images}
    for split, drives in splits.drives.items():
        wanted = {normal(drive) for drive in drives}
        missing = sorted(wanted - there)
        if missing:
            shown = ", ".join(sorted(there)[:_SHOWN])
            more = f" and {len(there) - _SHOWN} more" * (len(there) > _SHOWN)
            raise DataError(
                f"{splits.source}: expected drives that are there: "
                f"{shown}{more}. Found: {missing[0]!r} (split {split!r})."
            )

        def test(frame: Frame, _: str, wanted: set[str] = wanted) -> bool:
            return frame[1] in wanted

        yield split, test


def _by_list(
    splits: Splits, folder: str, images: Iterable[tuple[Frame, str]]
) -> Iterator[tuple[str, Test]]:
    names: dict[str, set[Frame]] = {}
    for frame, image in images:
        _, drive, name = frame
        path = _below(folder, image)
        for text in (
            name,
            f"{drive}/{name}",
            path,
            posixpath.splitext(path)[0],
            posixpath.basename(path),
            posixpath.splitext(posixpath.basename(path))[0],
        ):
            names.setdefault(text, set()).add(frame)
    for split, listed in splits.lists.items():
        own = {*_of_list(posixpath.join(folder, listed), names)}

        def test(frame: Frame, _: str, own: set[Frame] = own) -> bool:
            return frame in own

        yield split, test


def _below(folder: str, path: str) -> str:
    return normal(path[len(folder.rstrip("/")) + 1 :])


def _of_list(path: str, names: Mapping[str, set[Frame]]) -> list[Frame]:
    try:
        text = read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected text in UTF-8.") from None
    found: list[Frame] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        whole = normal(line.strip()).removeprefix("./")
        # Many lists have a label's path, or a figure, in a second column.
        own = names.get(whole) or names.get(whole.split()[0], set())
        if len(own) != 1:
            count = len(own) or "none"
            raise DataError(
                f"{path} line {number}: expected the name of one frame, or "
                "the path of its image below the folder. Found: "
                f"{line.strip()[:200]!r}, which is {count}."
            )
        found += own
    if not found:
        raise DataError(f"{path}: expected one frame a line. Found: none.")
    return found


def _draw(
    splits: Splits, images: Iterable[tuple[Frame, str]]
) -> dict[str, str]:
    """Draws whole drives until each split has about its share of frames."""
    sizes = Counter(drive for (_, drive, _), _ in images)

    def lot(drive: str) -> bytes:
        return hashlib.sha256(f"{splits.seed}/{drive}".encode()).digest()

    drawn: dict[str, str] = {}
    for split, share in splits.shares.items():
        wanted, taken = share * sizes.total(), 0
        for drive in sorted(sizes.keys() - drawn.keys(), key=lot):
            size = sizes[drive]
            if not taken or abs(taken + size - wanted) < wanted - taken:
                drawn[drive], taken = split, taken + size
    if len(drawn) == len(sizes) or len({*drawn.values()}) < len(splits.shares):
        raise DataError(
            f"{splits.source}: expected a drive for each of the "
            f"{len(splits.shares) + 1} splits. Found: {len(sizes)} drives."
        )
    return drawn


_TESTS = {
    "drives": _by_drive,
    "lists": _by_list,
    "expressions": _by_expression,
}
