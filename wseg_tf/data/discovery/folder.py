"""Looks at a folder of images and labels; refuses what it cannot tell."""

from __future__ import annotations

import posixpath
import re
import unicodedata
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
from wseg_tf.data.discovery.lists import find_lists
from wseg_tf.data.discovery.matching import (
    Match,
    apart,
    in_blocks,
    matches,
    with_drives,
    with_splits,
)
from wseg_tf.data.discovery.meaning import Meaning, meaning
from wseg_tf.data.discovery.patterns import Key, Place, split_word
from wseg_tf.data.layouts.splits import Splits, assign

# Where nothing tells the splits, about a fifth of the frames, by drive.
EVAL, _SHARE, _SEEDS = "val", 0.2, 16
# Of several labels of one image, those that are published to train on.
_PREFERRED = ("labelIds", "TrainIds")


@dataclass(frozen=True)
class Discovery:
    """What a folder holds.

    Args:
        folder: The folder.
        name: A name for the data set, of letters, digits and `_`.
        match: How images and labels find each other.
        splits: What tells the splits, where folders do not.
        meaning: What the values in the labels mean.
        contents: What the labels of each split hold.
        drives: Drives of each split.
        left_out: Images that are in no pair.
    """

    folder: str
    name: str
    match: Match
    splits: Splits
    meaning: Meaning
    contents: Mapping[str, Contents]
    drives: Mapping[str, set[str]]
    left_out: int = 0

    @property
    def train(self) -> str:
        """The split to train on."""
        return _first([*self.contents], "tr")

    @property
    def eval(self) -> str:
        """The split to judge on."""
        others = [split for split in self.contents if split != self.train]
        return _first(others, "va", "de", "ev")

    @property
    def size(self) -> tuple[int, int]:
        """The commonest height and width."""
        total = sum(self.contents.values(), start=Contents())
        return total.sizes.most_common(1)[0][0]

    @property
    def shared_drives(self) -> list[str]:
        """Drives that have frames in both splits, where drives are known."""
        return sorted(self.drives[self.train] & self.drives[self.eval] - {""})

    def frames(self, name: str, split: str) -> int:
        """Returns how many labels of a split show a class, at least."""
        found = self.contents[split].frames
        return max(
            (found[k] for k, own in self.meaning.names.items() if own == name),
            default=0,
        )


def _first(splits: Sequence[str], *starts: str) -> str:
    fitting = [split for split in splits if split.lower().startswith(starts)]
    return (fitting or [*splits])[0]


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
        DataError: If there are no labels, one has no image, several sorts
            fit, or there is nothing to judge on; one sentence.
    """
    files = classify(folder, image_files(folder))
    best = _best(folder, files, images, labels)
    match, splits = _with_splits(folder, best)
    by_split = _assigned(folder, match, splits)
    found = {
        split: contents(
            folder,
            [match.pairs[key][1].path for key in keys],
            match.in_colours,
        )
        for split, keys in by_split.items()
    }
    drives = {
        split: {drive for _, drive, _ in keys}
        for split, keys in by_split.items()
    }
    patterns = f"{match.images.text}\n{match.labels.text}"
    return Discovery(
        folder,
        _name(folder),
        match,
        splits,
        meaning(
            sum(found.values(), start=Contents()),
            match.in_colours,
            patterns,
            [label.stem for _, label in match.pairs.values()],
        ),
        found,
        drives,
        sum(file.kind == PHOTOGRAPH for file in files)
        - sum(map(len, by_split.values())),
    )


def _best(
    folder: str, files: Sequence[File], images: str | None, labels: str | None
) -> Match:
    """Returns the way in which most images have labels, if it is the only."""
    photographs = _named(folder, files, (PHOTOGRAPH,), images, "images")
    painted = _named(folder, files, (IDS, COLOURS), labels, "labels")
    ranked = _ranked(photographs, painted, has_splits=False)
    if len({split_word(file.path) for file in painted} - {""}) > 1:
        parted = _ranked(photographs, painted, has_splits=True)
        # Else the words are of drives, such as test_track.
        if (
            parted
            and len(parted[0].splits) > 1
            and (len(parted[0].pairs) >= len(ranked[0].pairs if ranked else ()))
        ):
            ranked = parted
    if not ranked:
        raise DataError(
            f"{folder}: expected labels named as their images, but for folders "
            "and for what all names begin or end with. Found: "
            f"{photographs[0].path} and {painted[0].path}, for example; rename "
            "one of the two sorts."
        )
    _refuse_rivals(folder, ranked[0], ranked)
    others = [
        Place.of(file.path, has_splits=False)
        for file in files
        if file.path not in ranked[0].imaged
    ]
    return apart(ranked[0], others)


def _ranked(
    photographs: Sequence[File], painted: Sequence[File], has_splits: bool
) -> list[Match]:
    """Returns the ways in which images and labels match, the best first."""
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
    return sorted(found, key=_rank)


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
        match.in_colours,
        preferred,
        len(match.alone) + len(match.unlabelled),
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
        f"the files that can be read, {len(files)}, such as {other}."
    )


def _refuse_rivals(folder: str, best: Match, ranked: Sequence[Match]) -> None:
    """Refuses to choose between sorts of files that fit as well."""
    for other in ranked:
        if _rank(other)[:3] != _rank(best)[:3]:
            return
        for argument, own, theirs, one, two in (
            (
                *("labels", best.labelled, other.labelled),
                *(best.labels, other.labels),
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
    """Refuses labels without images."""
    if match.alone:
        count = len(match.alone) - 1
        others = f", nor for {count} others" if count else ""
        raise DataError(
            f"{posixpath.join(folder, match.alone[0])}: expected a partner, as "
            f"{len(match.pairs)} other frames have ({match.images.text} and "
            f"{match.labels.text}). Found: none{others}."
        )


def _with_splits(folder: str, match: Match) -> tuple[Match, Splits]:
    """Says what tells the splits: folders, lists, or else a share of drives."""
    named = with_drives(match)
    if match.splits:
        _refuse_alone(folder, match)
        drives: dict[str, set[str]] = {}
        for split, drive, _ in named.pairs:
            drives.setdefault(split, set()).add(drive)
        # A word that is in all splits alike, or names them, is no drive.
        is_alike = len({frozenset(own) for own in drives.values()}) == 1
        is_lone = all(len(own) == 1 for own in drives.values())
        return with_splits(match if is_alike or is_lone else named), Splits()
    lists = find_lists(folder, match.pairs)
    if lists is not None:
        return match, lists
    _refuse_alone(folder, match)
    if len({drive for _, drive, _ in named.pairs}) > 1:
        return named, _drawn(folder, named)
    blocks = in_blocks(match)
    if blocks is None:
        raise DataError(
            f"{folder}: expected something to tell a split to judge on: "
            "folders or lists called train and val, or names that tell drives "
            f"apart. Found: {len(match.pairs)} pairs of {match.images.text}."
        )
    return blocks, _drawn(folder, blocks)


def _drawn(folder: str, match: Match) -> Splits:
    """Draws drives whose frames make up about the share to judge on."""

    def error(splits: Splits) -> float:
        taken = len(_assigned(folder, match, splits)[EVAL])
        return abs(taken / len(match.pairs) - _SHARE)

    return min(
        (Splits(shares={EVAL: _SHARE}, seed=seed) for seed in range(_SEEDS)),
        key=error,
    )


def _assigned(
    folder: str, match: Match, splits: Splits
) -> dict[str, list[Key]]:
    """Returns the frames of each split, as a description would have it."""
    images = {
        key: posixpath.join(folder, image.path)
        for key, (image, _) in match.pairs.items()
    }
    named, others = assign(splits, folder, images.items())
    found: dict[str, list[Key]] = {}
    for key in match.pairs:
        split = key[0] or named(key, images[key]) or others
        if split is not None:
            found.setdefault(split, []).append(key)
    return found


def _name(folder: str) -> str:
    """Returns a name of letters, digits and `_` for a folder's data set."""
    base = posixpath.basename(posixpath.abspath(folder))
    plain = unicodedata.normalize("NFKD", base).encode("ascii", "ignore")
    name = re.sub(r"\W+", "_", plain.decode()).strip("_").lower()
    return name if name and not name[0].isdigit() else f"data_{name}".strip("_")
