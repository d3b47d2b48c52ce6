"""Which split a frame belongs to, where its path does not say it."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts.patterns import Frame
from wseg_tf.data.pairs import normal, read_file

TRAIN = "train"
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


def assign(
    splits: Splits, folder: str, images: Mapping[Frame, str]
) -> tuple[dict[Frame, str], str | None]:
    """Returns the split of each frame that one names, and that of the others.

    Args:
        splits: How they are told.
        folder: The folder of the data.
        images: Path of each image by its frame.

    Returns:
        The splits by frame, and `train`, or None if the others are left out.

    Raises:
        DataError: If what is named does not exist, or is in two splits.
    """
    named: set[str] = set()
    found: dict[Frame, str] = {}
    for way in splits.ways():
        named |= set(getattr(splits, way))
    if splits.shares:
        return _draw(splits, images), TRAIN
    for split, frames in _named(splits, folder, images):
        for frame in frames:
            if found.setdefault(frame, split) != split:
                raise DataError(
                    f"{splits.source}: expected each frame in one split. "
                    f"Found: {images[frame]} in {found[frame]!r} and in "
                    f"{split!r}."
                )
    return found, None if TRAIN in named else TRAIN


def _named(
    splits: Splits, folder: str, images: Mapping[Frame, str]
) -> Iterable[tuple[str, list[Frame]]]:
    start = len(folder.rstrip("/")) + 1
    paths = {frame: normal(path[start:]) for frame, path in images.items()}
    for split, drives in splits.drives.items():
        yield split, _of_drives(splits.source, split, drives, images)
    for split, expression in splits.expressions.items():
        search = re.compile(normal(expression)).search
        own = [frame for frame, path in paths.items() if search(path)]
        if not own:
            raise DataError(
                f"{splits.source}: expected an expression that finds images "
                f"(split {split!r}). Found: {expression!r} in none."
            )
        yield split, own
    if not splits.lists:
        return
    names: dict[str, set[Frame]] = {}
    for frame, path in paths.items():
        _, drive, name = frame
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
        yield split, _of_list(posixpath.join(folder, listed), names)


def _of_drives(
    source: str, split: str, drives: Sequence[str], images: Iterable[Frame]
) -> list[Frame]:
    there = {drive for _, drive, _ in images}
    wanted = {normal(drive) for drive in drives}
    missing = sorted(wanted - there)
    if missing:
        shown = ", ".join(sorted(there)[:_SHOWN])
        more = f" and {len(there) - _SHOWN} more" * (len(there) > _SHOWN)
        raise DataError(
            f"{source}: expected drives that are there: {shown}{more}. Found: "
            f"{missing[0]!r} (split {split!r})."
        )
    return [frame for frame in images if frame[1] in wanted]


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


def _draw(splits: Splits, images: Iterable[Frame]) -> dict[Frame, str]:
    """Draws whole drives until each split has about its share of frames."""
    images = list(images)
    sizes = Counter(drive for _, drive, _ in images)

    def lot(drive: str) -> bytes:
        return hashlib.sha256(f"{splits.seed}/{drive}".encode()).digest()

    drawn: dict[str, str] = {}
    for split, share in splits.shares.items():
        wanted, taken = share * len(images), 0
        for drive in sorted(sizes.keys() - drawn.keys(), key=lot):
            size = sizes[drive]
            if not taken or abs(taken + size - wanted) < wanted - taken:
                drawn[drive], taken = split, taken + size
    if len(drawn) == len(sizes) or len({*drawn.values()}) < len(splits.shares):
        raise DataError(
            f"{splits.source}: expected a drive for each of the "
            f"{len(splits.shares) + 1} splits. Found: {len(sizes)} drives."
        )
    return {frame: drawn[frame[1]] for frame in images if frame[1] in drawn}
