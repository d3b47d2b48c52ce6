"""How images and labels find each other, whatever their folders are called."""

from __future__ import annotations

import itertools
import posixpath
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from wseg_tf.data.discovery.patterns import (
    ANY,
    DRIVE,
    LAST_WORD,
    SPLIT,
    Key,
    Pattern,
    Place,
)

_SEPARATORS = "_-. "
_TEMPLATES, _NAMES, _LOOKED_AT = 8, 4, 60
_LAST = 4  # characters of a name that may tell frames of a block
# All of a text up to its last separator, and from its first one.
_HEAD, _TAIL = re.compile(r".*[_\-. ]"), re.compile(r"[_\-. ].*")
# The first word of a name with its separator, such as `mask_`.
_FIRST = re.compile(r"^[^\d_\-. {}]+[_\-. ]")


@dataclass(frozen=True)
class Match:
    """Images and labels that find each other.

    Args:
        images: Pattern of the images.
        labels: Pattern of the labels.
        pairs: Image and label of each frame, by split, drive and name.
        alone: Paths of labels without an image.
        unlabelled: Images without a label, in the splits that have some.
        in_colours: Whether the labels are painted in colours.
    """

    images: Pattern
    labels: Pattern
    pairs: dict[Key, tuple[Place, Place]]
    alone: tuple[str, ...] = ()
    unlabelled: tuple[Place, ...] = ()
    in_colours: bool = False

    @property
    def splits(self) -> list[str]:
        """The splits that have pairs, the largest first."""
        counted = Counter(split for split, _, _ in self.pairs)
        return [split for split, _ in counted.most_common() if split]

    @property
    def labelled(self) -> frozenset[str]:
        """The paths of the labels."""
        return frozenset(label.path for _, label in self.pairs.values())

    @property
    def imaged(self) -> frozenset[str]:
        """The paths of the images."""
        return frozenset(image.path for image, _ in self.pairs.values())


def matches(
    images: Sequence[Place], labels: Sequence[Place]
) -> Iterator[Match]:
    """Yields the ways in which images and labels find each other.

    Args:
        images: The images.
        labels: The labels, of one kind.
    """
    for (own, some), (other, others) in itertools.product(
        templates(images), templates(labels)
    ):
        names = _names(some, others)
        for folders, their_folders in _placed(own, other):
            for head, tail, their_head, their_tail in names:
                match = _match(
                    Pattern(folders, head, tail=tail),
                    Pattern(their_folders, their_head, tail=their_tail),
                    some,
                    others,
                )
                if match is not None:
                    yield match


def _match(
    images: Pattern,
    labels: Pattern,
    some: Sequence[Place],
    others: Sequence[Place],
) -> Match | None:
    """Matches the files of two patterns; None if there is no pair."""
    left, right = images.keys(some), labels.keys(others)
    if left is None or right is None or not (left.keys() & right.keys()):
        return None
    both = sorted(left.keys() & right.keys())
    pairs = {key: (left[key], right[key]) for key in both}
    splits = {split for split, _, _ in both}
    unlabelled = [
        left[key]
        for key in sorted(left.keys() - right.keys())
        if key[0] in splits
    ]
    alone = [right[key].path for key in sorted(right.keys() - left.keys())]
    endings = (
        {pair[side].ending for pair in pairs.values()} for side in (0, 1)
    )
    own, theirs = (e.pop() if len(e) == 1 else ".*" for e in endings)
    return Match(
        replace(images, ending=own),
        replace(labels, ending=theirs),
        pairs,
        tuple(alone),
        tuple(unlabelled),
    )


def templates(
    places: Sequence[Place],
) -> list[tuple[tuple[str, ...], list[Place]]]:
    """Returns folders, with `*` for those that vary, and the files in them.

    Args:
        places: Paths.

    Returns:
        Those with most files first.
    """
    found: dict[tuple[str, ...], list[Place]] = {}
    by_depth: dict[int, list[Place]] = {}
    for place in places:
        by_depth.setdefault(len(place.folders), []).append(place)
    for depth, some in by_depth.items():
        varying = [
            level
            for level in range(depth)
            if len({place.folders[level] for place in some}) > 1
            and not any(SPLIT in place.folders[level] for place in some)
        ]
        for count in range(3):
            for levels in itertools.combinations(varying, count):
                for place in some:
                    folders = tuple(
                        ANY if level in levels else part
                        for level, part in enumerate(place.folders)
                    )
                    found.setdefault(folders, []).append(place)
    ordered = sorted(
        found.items(), key=lambda item: (-len(item[1]), item[0].count(ANY))
    )
    # One of those that hold the same files: the one that says most.
    distinct: dict[tuple[int, str, str], int] = {}
    for index, (_, some) in enumerate(ordered):
        distinct.setdefault((len(some), some[0].path, some[-1].path), index)
    return [ordered[index] for index in distinct.values()][:_TEMPLATES]


def _placed(
    images: tuple[str, ...], labels: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yields the ways to take one varying folder of each for the drive."""
    own = [level for level, part in enumerate(images) if part == ANY]
    theirs = [level for level, part in enumerate(labels) if part == ANY]
    for level, other in itertools.product(own, theirs):
        yield (
            (*images[:level], DRIVE, *images[level + 1 :]),
            (*labels[:other], DRIVE, *labels[other + 1 :]),
        )
    yield images, labels


def _names(
    images: Sequence[Place], labels: Sequence[Place]
) -> list[tuple[str, str, str, str]]:
    """Returns what stands around the frames' names, the likeliest first.

    Heads and tails of images, then of labels; found by the image whose name
    begins, or ends, most like a label's, and by what all names begin and end
    with.
    """
    found: Counter[tuple[str, str, str, str]] = Counter()
    step = max(1, len(labels) // _LOOKED_AT)
    for is_tail in (True, False):
        turned = 1 if is_tail else -1
        known = sorted({place.stem[::turned] for place in images})
        for place in labels[::step]:
            stem = place.stem[::turned]
            at = bisect_left(known, stem)
            near = max(
                known[max(0, at - 1) : at + 1],
                key=lambda each: len(_common(each, stem)),
            )
            cut = _cut(near, stem)
            own, theirs = near[cut:][::turned], stem[cut:][::turned]
            found[
                ("", own, "", theirs) if is_tail else (own, "", theirs, "")
            ] += 1
    around = (*_around(images), *_around(labels))
    return [names for names, _ in found.most_common(_NAMES)] + [around]


def _around(places: Sequence[Place]) -> tuple[str, str]:
    """Returns what all names begin and end with, up to a separator.

    `img-003` and `img-007` begin with `img-`, not with `img-00`.
    """
    stems = [place.stem for place in places]
    first = posixpath.commonprefix(stems)
    last = posixpath.commonprefix([stem[::-1] for stem in stems])[::-1]
    head, tail = _HEAD.search(first), _TAIL.search(last)
    found = head[0] if head else "", tail[0] if tail else ""
    shortest = min(map(len, stems))
    return found if sum(map(len, found)) < shortest else ("", "")


def _common(one: str, other: str) -> str:
    return posixpath.commonprefix([one, other])


def _cut(one: str, other: str) -> int:
    """Returns where two names part, at a separator where there is one.

    `1_left` and `1_label` part after `1`, not after `1_l`.
    """
    common = _common(one, other)
    if common in (one, other):
        return len(common)
    cut = len(common)
    while cut and common[cut - 1].isalpha():
        cut -= 1
    if cut and common[cut - 1] in _SEPARATORS:
        return cut - 1
    return len(common)


def with_splits(match: Match) -> Match:
    """Names the splits that have pairs, so that no other folder is one.

    Args:
        match: What `matches` yielded.
    """
    words = "|".join(re.escape(split) for split in match.splits)

    def told(pattern: Pattern) -> Pattern:
        place = f"{SPLIT[:-1]}:{words}}}"
        folders = [part.replace(SPLIT, place) for part in pattern.folders]
        return replace(pattern, folders=tuple(folders))

    return replace(match, images=told(match.images), labels=told(match.labels))


def with_drives(match: Match) -> Match:
    """Tells the drives by the names of frames, if no folder does.

    A drive is what stands before the last separator of a name, if it is
    common to several frames.

    Args:
        match: What `matches` yielded.
    """
    names = [name for _, _, name in match.pairs]
    if DRIVE in match.images.folders:
        return match
    for separator in _SEPARATORS:
        drives = [name.rpartition(separator)[0] for name in names]
        distinct = {*drives}
        if "" in distinct or any(name.endswith(separator) for name in names):
            continue
        if 1 < len(distinct) <= len(names) / 2:
            return _regrouped(match, separator)
    return match


def in_blocks(match: Match) -> Match | None:
    """Takes frames whose names begin alike for drives.

    So a folder without drives can be split into runs of frames that follow
    each other: names are parted before their last characters.

    Args:
        match: What `matches` yielded.

    Returns:
        The same with drives; None if there would be one.
    """
    names = [name for _, _, name in match.pairs]
    shortest = min(map(len, names))
    for count in range(1, min(_LAST, shortest - 1) + 1):
        blocks = {name[:-count] for name in names}
        if 1 < len(blocks) <= max(2, len(names) / 2):
            return _regrouped(match, "", count)
    return None


def _regrouped(match: Match, separator: str, count: int = 0) -> Match:
    def parted(name: str) -> tuple[str, str]:
        if not separator:
            return name[:-count], name[-count:]
        drive, _, frame = name.rpartition(separator)
        return drive, frame

    def told(pattern: Pattern) -> Pattern:
        return replace(pattern, separator=separator, count=count)

    return replace(
        match,
        images=told(match.images),
        labels=told(match.labels),
        pairs={
            (split, *parted(name)): pair
            for (split, _, name), pair in match.pairs.items()
        },
    )


def apart(match: Match, others: Sequence[Place]) -> Match:
    """Keeps the pattern of the images from naming other files beside them.

    Args:
        match: What `matches` yielded.
        others: The files that are none of its images.
    """
    folders = {posixpath.dirname(path) for path in match.imaged}
    stems = [image.stem for image, _ in match.pairs.values()]
    words: set[tuple[str, str]] = set()
    for place in others:
        if posixpath.dirname(place.path) in folders and (
            match.images.ending in (place.ending, ".*")
        ):
            first, last = (
                found[0] if (found := word.search(place.stem)) else ""
                for word in (_FIRST, LAST_WORD)
            )
            words.add((first, last))
    before, behind = set(), set()
    for first, last in words:
        if last and not any(stem.endswith(last) for stem in stems):
            behind.add(last)
        elif first and not any(stem.startswith(first) for stem in stems):
            before.add(first)
    images = replace(
        match.images,
        not_before=tuple(sorted(before)),
        not_behind=tuple(sorted(behind)),
    )
    named = images.keys(match.unlabelled) or {}
    return replace(match, images=images, unlabelled=tuple(named.values()))
