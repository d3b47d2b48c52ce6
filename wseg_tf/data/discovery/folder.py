"""Looks at a folder of images and labels; refuses what it cannot tell."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wseg_tf.data.checks import DataError
from wseg_tf.data.discovery.contents import Contents, contents
from wseg_tf.data.discovery.kinds import (
    COLOURS,
    IDS,
    PHOTOGRAPH,
    File,
    classify,
    image_files,
    is_called_label,
)
from wseg_tf.data.discovery.meaning import Meaning, meaning
from wseg_tf.data.discovery.patterns import (
    Key,
    Match,
    Place,
    in_blocks,
    matches,
    split_word,
    with_drives,
)

TRAIN, EVAL = "train", "val"
_HELD_OUT, _MOST_HELD_OUT = 0.2, 0.5
# Of several labels of one image, those that are published to train on.
_PREFERRED = ("labelIds", "TrainIds")


@dataclass(frozen=True)
class Discovery:
    """What a folder holds.

    Args:
        folder: The folder.
        name: A name for the data set, of letters, digits and `_`.
        match: How images and labels find each other.
        meaning: What the values in the labels mean.
        contents: What the labels of each split hold.
        train: The split to train on.
        eval: The split to judge on.
        held_out: Drives that make up `eval`, where the folder has no splits.
    """

    folder: str
    name: str
    match: Match
    meaning: Meaning
    contents: Mapping[str, Contents]
    train: str
    eval: str
    held_out: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """The commonest height and width."""
        total = Counter[tuple[int, int]]()
        for each in self.contents.values():
            total += each.sizes
        return total.most_common(1)[0][0]

    @property
    def shared_drives(self) -> list[str]:
        """Drives that have frames in both splits, where drives are known."""
        drives = drives_of(self.match.pairs)
        return sorted(
            drives.get(self.train, set()) & drives.get(self.eval, set()) - {""}
        )

    def frames(self, name: str, split: str) -> int:
        """Returns how many labels of a split show a class, at least."""
        found = self.contents[split].frames
        return max(
            (found[k] for k, own in self.meaning.names.items() if own == name),
            default=0,
        )


def discover(
    folder: str, images: str | None = None, labels: str | None = None
) -> Discovery:
    """Finds out how a folder of images and labels is laid out.

    Args:
        folder: The folder.
        images: A text that is in the paths of the images, where several
            sorts fit.
        labels: The same for the labels.

    Returns:
        The `Discovery`.

    Raises:
        DataError: If there are no labels, images have none, several sorts
            fit, or there is nothing to judge on; one sentence.
    """
    files = classify(folder, image_files(folder))
    chosen = _best(folder, files, images, labels)
    match = _with_splits(folder, chosen)
    drives = {drive for _, drive, _ in match.pairs}
    pattern = f"{match.images.text}\n{match.labels.text}"
    by_split: dict[str, list[str]] = {}
    for (split, _, _), (_, label) in match.pairs.items():
        by_split.setdefault(split, []).append(label.path)
    held_out: tuple[str, ...] = ()
    if not match.splits:
        held_out = _held_out(match.pairs)
        by_split = {TRAIN: [], EVAL: []}
        for (_, drive, _), (_, label) in match.pairs.items():
            by_split[EVAL if drive in held_out else TRAIN].append(label.path)
    found = {
        split: contents(folder, paths, match.in_colours)
        for split, paths in by_split.items()
    }
    total = sum(found.values(), start=Contents())
    train, judged = _roles([*by_split])
    return Discovery(
        folder,
        _name(folder),
        match,
        meaning(total, match.in_colours, pattern, drives),
        found,
        train,
        judged,
        held_out,
    )


def drives_of(pairs: Mapping[Key, object]) -> dict[str, set[str]]:
    """Returns the drives of each split."""
    found: dict[str, set[str]] = {}
    for split, drive, _ in pairs:
        found.setdefault(split, set()).add(drive)
    return found


def _best(
    folder: str, files: Sequence[File], images: str | None, labels: str | None
) -> Match:
    """Returns the way in which most images have labels, if it is the only."""
    photographs = _named(folder, files, (PHOTOGRAPH,), images, "images")
    painted = _named(folder, files, (IDS, COLOURS), labels, "labels")
    # Splits count only where labels have several.
    has_splits = len({split_word(file.path) for file in painted} - {""}) > 1
    pictures = [Place.of(file.path, has_splits) for file in photographs]
    found: list[Match] = []
    for kind in (IDS, COLOURS):
        places = [
            Place.of(file.path, has_splits)
            for file in painted
            if file.kind == kind
        ]
        found += [
            replace(match, in_colours=kind == COLOURS)
            for match in matches(pictures, places)
        ]
    if not found:
        raise DataError(
            f"{folder}: expected labels named as their images. Found: "
            f"{photographs[0].path} and {painted[0].path}, for example."
        )
    ranked = sorted(found, key=_rank)
    best = ranked[0]
    _refuse_rivals(folder, best, ranked)
    _refuse_alone(folder, best)
    return best


def _rank(match: Match) -> tuple[object, ...]:
    """Returns what sorts the best match first."""
    text = match.labels.text
    preferred = next(
        (k for k, word in enumerate(_PREFERRED) if word in text),
        len(_PREFERRED),
    )
    wild = (match.images.text + text).count("*")
    return (
        -len(match.pairs),
        len(match.alone),
        match.in_colours,
        preferred,
        "{drive}" not in text,
        wild,
        len(text),
    )


def _named(
    folder: str,
    files: Sequence[File],
    kinds: tuple[str, ...],
    part: str | None,
    argument: str,
) -> list[File]:
    """Returns the files of some kinds that have a text in their path."""
    found = [file for file in files if file.kind in kinds]
    if found and part is not None:
        found = [file for file in found if part in file.path]
        if not found:
            raise DataError(
                f"{folder}: expected {argument} with {part!r} in their path. "
                "Found: none."
            )
    if found:
        return found
    other = files[0].path if files else "nothing that can be read"
    called = [file.path for file in files if is_called_label(file.path)]
    if argument == "labels" and called:
        raise DataError(
            f"{folder}: expected labels, PNGs of class ids or of few colours. "
            f"Found: none; {called[0]} has too many colours, as a JPEG or a "
            "label that was resized has."
        )
    raise DataError(
        f"{folder}: expected images and labels. Found: no {argument} among "
        f"{len(files)} files, such as {other}."
    )


def _refuse_rivals(folder: str, best: Match, ranked: Sequence[Match]) -> None:
    """Refuses to choose between sorts of files that fit as well."""
    for other in ranked:
        if _rank(other)[:4] != _rank(best)[:4]:
            return
        for argument, own, theirs, one, two in (
            (
                "labels",
                best.labelled,
                other.labelled,
                best.labels,
                other.labels,
            ),
            ("images", best.imaged, other.imaged, best.images, other.images),
        ):
            if own != theirs:
                raise DataError(
                    f"{folder}: expected one sort of {argument} for each "
                    f"frame. Found several: {one.text} and {two.text}; choose "
                    f"by --{argument} with a part of the path."
                )


def _refuse_alone(folder: str, match: Match) -> None:
    """Refuses images without labels, unless their whole split has none."""
    if match.alone:
        count = len(match.alone) - 1
        others = f", nor for {count} others" if count else ""
        raise DataError(
            f"{posixpath.join(folder, match.alone[0])}: expected a partner, as "
            f"{len(match.pairs)} other frames have ({match.images.text} and "
            f"{match.labels.text}). Found: none{others}."
        )


def _with_splits(folder: str, match: Match) -> Match:
    """Tells drives by names, where they help or are needed."""
    named = with_drives(match)
    drives = drives_of(named.pairs)
    if match.splits:
        # A word that is in all splits alike is no drive.
        alike = len({frozenset(own) for own in drives.values()}) == 1
        return match if alike else named
    if len({drive for own in drives.values() for drive in own}) > 1:
        return named
    blocks = in_blocks(match)
    if blocks is None:
        raise DataError(
            f"{folder}: expected a split to judge on: folders such as train/ "
            "and val/, or names that tell drives or runs of frames apart. "
            f"Found: {len(match.pairs)} pairs of {match.images.text}."
        )
    return blocks


def _held_out(pairs: Mapping[Key, object]) -> tuple[str, ...]:
    """Returns the last drives, about a fifth of the frames."""
    counts = Counter(drive for _, drive, _ in pairs)
    total, held_out, taken = sum(counts.values()), [], 0
    for drive in sorted(counts, reverse=True):
        if taken >= _HELD_OUT * total:
            break
        if taken + counts[drive] <= _MOST_HELD_OUT * total:
            held_out.append(drive)
            taken += counts[drive]
    return tuple(sorted(held_out or [min(counts, key=lambda d: counts[d])]))


def _roles(splits: Sequence[str]) -> tuple[str, str]:
    """Returns the splits to train and to judge on."""

    def first(rest: Sequence[str], *starts: str) -> str:
        fitting = [s for s in rest if s.lower().startswith(starts)]
        return (fitting or [*rest])[0]

    train = first(splits, "tr")
    others = [split for split in splits if split != train]
    return train, first(others, "va", "de", "ev")


def _name(folder: str) -> str:
    """Returns a name of letters, digits and `_` for a folder's data set."""
    base = posixpath.basename(posixpath.abspath(folder))
    plain = unicodedata.normalize("NFKD", base).encode("ascii", "ignore")
    name = re.sub(r"\W+", "_", plain.decode()).strip("_").lower()
    return name if name and not name[0].isdigit() else f"data_{name}".strip("_")
