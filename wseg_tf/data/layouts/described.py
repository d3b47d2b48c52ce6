"""Any folder, described in YAML: where its files are, what its ids mean.

    dataset: yard
    classes: cityscapes
    images: frames/{split}/{drive}/{name}.jpg
    labels: masks/{split}/{drive}/{name}_mask.png
    ids: {0: void, 1: road, 2: person}
    absent: [wall, fence]

`{name}` names a frame; `{split}` and `{drive}` may stand anywhere in a path,
`*` for anything within one folder (see `layouts.patterns`). Where `{split}`
does not stand, `drives`, `lists`, `expressions` or `shares` tell the split
(see `layouts.splits`): `drives: {val: [north], test: [harbour]}`, all others
being `train`. Instead of `ids`, `colours: {"128 64 128": road}` reads colour
labels; without either the files hold class ids. Names are text as written:
drive `07` is `07`.
"""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from wseg_tf.classes import DESCRIBED, ClassSet, Colour, class_set
from wseg_tf.configuration import ConfigurationError, parse_any
from wseg_tf.data.checks import DataError
from wseg_tf.data.layouts import patterns
from wseg_tf.data.layouts.entries import READERS, SPLIT_READERS
from wseg_tf.data.layouts.patterns import Frame
from wseg_tf.data.layouts.splits import Splits, assign
from wseg_tf.data.pairs import (
    Matched,
    Pair,
    group,
    normal,
    refuse_alone,
    refuse_links_out,
)
from wseg_tf.data.rows import Rows
from wseg_tf.filesystems import read_bytes

VOID = "void"
_NO_LABEL = "; if that is meant, add `unlabelled: skip`"


@dataclass(frozen=True)
class Description:
    """A folder's description, as read from YAML.

    Args:
        images: Where the images are, with `{name}`: a pattern or several.
        labels: Where the labels are, with the same places as `images`.
        dataset: Name of the dataset.
        classes: The classes of the labels, whatever `class_set` takes; a file
            lies beside the description.
        ids: Class name or `void` for each id in the labels.
        colours: Class name or `void` for each colour, `"red green blue"`.
        absent: Classes that no id or colour becomes, on purpose.
        bits: Bits of an id in the files: 8, 16, or 24 for R + 256 G + 65536 B.
        divisor: What stored numbers are divided by, rounded down, to give
            ids, where they count instances, too.
        unlabelled: `skip` leaves out the images that have no label.
        splits: What tells the splits, where paths do not.
        source: Path of the description, for messages.
    """

    images: Sequence[str]
    labels: Sequence[str]
    dataset: str = "folder"
    classes: Any = DESCRIBED
    ids: Mapping[int, str] | None = None
    colours: Mapping[Colour, str] | None = None
    absent: Sequence[str] = ()
    bits: int = 8
    divisor: int = 1
    unlabelled: str = ""
    splits: Splits = field(default_factory=Splits)
    source: str = ""

    @functools.cached_property
    def class_set(self) -> ClassSet:
        """The classes of the labels."""
        return class_set(self.classes)

    @property
    def id_map(self) -> dict[int, int] | None:
        """Class id or void for each id in the labels."""
        if self.ids is None:
            return None
        return {key: self._target(name) for key, name in self.ids.items()}

    @property
    def colour_map(self) -> dict[Colour, int] | None:
        """Class id or void for each colour in the labels."""
        if self.colours is None:
            return None
        return {key: self._target(name) for key, name in self.colours.items()}

    def _target(self, name: str) -> int:
        classes = self.class_set
        return classes.void if name == VOID else classes.index(name)


def read(path: str) -> Description:
    """Reads a description.

    Args:
        path: Path of a YAML file.

    Returns:
        The `Description`.

    Raises:
        DataError: If it cannot be read, a key is missing, unknown or of
            another type, a class does not exist or is forgotten, or `images`
            and `labels` do not fit together.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
        entries = parse_any(text, path, as_written=True)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected text in UTF-8.") from None
    except ConfigurationError as error:
        raise DataError(f"{path}: not YAML that can be used. {error}") from None
    known = [*READERS, *SPLIT_READERS]
    if not isinstance(entries, dict):
        raise DataError(f"{path}: expected keys such as {', '.join(known)}.")
    unknown = sorted(set(map(str, entries)) - set(known))
    if unknown:
        raise DataError(
            f"{path}: unknown key {unknown[0]!r}. Expected: {', '.join(known)}."
        )
    missing = [key for key in ("images", "labels") if key not in entries]
    if missing:
        raise DataError(f"{path}: the key {missing[0]!r} is missing.")
    values: dict[str, Any] = {}
    for key, entry in entries.items():
        try:
            values[key] = {**READERS, **SPLIT_READERS}[key](entry)
        except ValueError as error:
            raise DataError(f"{path}: invalid `{key}`. {error}") from None
    if "classes" in values:
        values["classes"] = _classes(values["classes"], text, path)
    given = {key: values.pop(key) for key in SPLIT_READERS if key in values}
    if "seed" in given and "shares" not in given:
        raise DataError(f"{path}: `seed` needs `shares`.")
    try:
        description = Description(
            **values, splits=Splits(**given, source=path), source=path
        )
        _check(description)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    return description


def _classes(written: Any, text: str, path: str) -> Any:
    """Returns the classes with the types that YAML gives their values."""
    if not isinstance(written, str):
        return parse_any(text, path)["classes"]
    if written.endswith((".yaml", ".yml")):
        return posixpath.join(posixpath.dirname(path), written)
    return written


def _check(description: Description) -> None:
    every = {
        pattern: patterns.places_of(pattern)
        for pattern in (*description.images, *description.labels)
    }
    places = every[description.images[0]]
    if "name" not in places or any(own != places for own in every.values()):
        raise ValueError(
            "images and labels need {name} and the same places. Found: "
            f"{', '.join(map(repr, every))}."
        )
    ids, colours = description.ids, description.colours
    if ids is not None and colours is not None:
        raise ValueError("give `ids` or `colours`, not both.")
    if colours is not None and description.bits != 8:
        raise ValueError("give `colours` or `bits`, not both.")
    ways = description.splits.ways()
    if len(ways) > 1:
        raise ValueError(f"give `{ways[0]}` or `{ways[1]}`, not both.")
    if ways and "split" in places:
        raise ValueError(
            f"give `{ways[0]}` or {{split}} in the paths, not both."
        )
    for way in {*ways} & {"drives", "shares"}:
        if "drive" not in places:
            raise ValueError(f"`{way}` needs {{drive}} in the paths.")
    most = 2**description.bits - 1
    above = [key for key in ids or () if key > most]
    if above:
        raise ValueError(
            f"invalid `ids`. Expected ids up to {most}; wider ones take "
            f"`bits: 16`, or `bits: 24` for R + 256 G. Found: {above[0]}."
        )
    _check_classes(description, ids if colours is None else colours)


def _check_classes(
    description: Description, targets: Mapping[Any, str] | None
) -> None:
    """Refuses a class that is forgotten, or said absent and is not."""
    classes = description.class_set
    for name in (*(targets or {}).values(), *description.absent):
        if name != VOID:
            classes.index(name)
    if len(classes) < 2:  # Of one, there is nothing to tell apart.
        raise ValueError(
            "invalid `classes`. Expected two classes or more. Found: "
            f"{classes.names[0]} alone."
        )
    if targets is None:
        if description.absent:
            raise ValueError("`absent` needs `ids` or `colours`.")
        return
    used = {*targets.values()}
    both = [name for name in description.absent if name in used]
    if both:
        raise ValueError(
            f"invalid `absent`. Expected classes that nothing becomes. Found: "
            f"{both[0]!r}, which something does."
        )
    left = [
        name
        for name in classes.names
        if name not in used and name not in description.absent
    ]
    if left:
        listed = ", ".join([*description.absent, *left])
        raise ValueError(
            f"expected something to become each class of {classes.name}. "
            f"Found: nothing for {', '.join(left)}; if that is meant, add "
            f"`absent: [{listed}]`."
        )


def find(
    description: Description, folder: str, splits: Sequence[str] | None = None
) -> Iterator[Pair]:
    """Finds the pairs of a described folder.

    Args:
        description: The description.
        folder: The folder that its paths start from.
        splits: Splits to read. Defaults to all that are there.

    Yields:
        The pairs, by split and then by drive and name.

    Raises:
        DataError: If there is no image, a split is empty, a name is there
            twice, an image or a label stands alone, or what tells the splits
            names something that is not there.
    """
    assigned = Rows.in_order(
        row
        for row in _assigned(description, folder)
        if row[3] or not description.unlabelled
    )
    if splits is None:
        splits = [split for split, _ in groupby(assigned, itemgetter(0))]
    for split in map(normal, splits):
        found = Rows(row[1:] for row in assigned if row[0] == split)
        refuse_alone(found, split, folder, _NO_LABEL)
        for key, image, label in found:
            drive = key.rpartition("/")[0] or description.dataset
            name = key.replace("/", "_")
            yield Pair(name, image, label, split, drive, description.dataset)


def left_out(
    description: Description, folder: str, splits: Sequence[str] | None = None
) -> int:
    """Returns how many images `unlabelled: skip` leaves out.

    Args:
        description: The description.
        folder: The folder that its paths start from.
        splits: Splits to look at. Defaults to all that are there.
    """
    if not description.unlabelled:
        return 0
    return sum(
        splits is None or split in map(normal, splits)
        for split, _, image, label in _assigned(description, folder)
        if image and not label
    )


def _assigned(
    description: Description, folder: str
) -> Iterator[tuple[str, str, str, str]]:
    """Yields the split, the key, the image and the label of each frame."""
    frames = _frames(description, folder)
    images = Rows((frame, path) for frame, path, _ in frames if path)
    for place, kind in ((1, "images"), (2, "labels")):
        if not any(frame[place] for frame in frames):
            where = posixpath.join(folder, getattr(description, kind)[0])
            raise DataError(f"{where}: no such {kind}.")
    known = images
    if description.unlabelled and description.splits.shares:
        # Shares are of the pairs; what is named may have no label.
        known = Rows((f, path) for f, path, label in frames if path and label)
    named, others = assign(description.splits, folder, known)
    order = description.splits.names()
    of_drive: dict[str, str] = {}
    for frame, path in images if order else ():
        split = named(frame, path)
        if split is not None:
            before = of_drive.get(frame[1], split)
            of_drive[frame[1]] = max(before, split, key=order.index)

    def split_of(frame: Frame, image: str) -> str | None:
        split, drive, _ = frame
        if split or image:
            return split or named(frame, image) or others
        # A label alone is told of in the split that its drive is in.
        return of_drive.get(drive, others) if drive else others

    for (own, drive, name), image, label in frames:
        split = split_of((own, drive, name), image)
        if split is not None:
            yield split, f"{drive}/{name}" if drive else name, image, label


def _frames(description: Description, folder: str) -> Rows[Matched[Frame]]:
    """Returns the frames, each with its image, its label or both."""
    frames = group(
        patterns.find(folder, description.images),
        patterns.find(folder, description.labels),
    )
    # Where both lie in one folder, the images' pattern may name labels too.
    paths = Rows.in_order(
        (path, is_image, frame)
        for frame, image, label in frames
        for is_image, path in ((False, label), (True, image))
        if path
    )
    taken = iter(Rows.in_order(_taken(paths)))

    def left() -> Iterator[Matched[Frame]]:
        next_taken = next(taken, None)
        for frame, image, label in frames:
            if frame == next_taken:
                image, next_taken = "", next(taken, None)
            if image or label:
                yield frame, image, label

    return Rows(left())


def _taken(paths: Iterable[tuple[str, bool, Frame]]) -> Iterator[Frame]:
    """Yields the frames whose image is a label; labels come before images."""
    for _, own in groupby(paths, itemgetter(0)):
        _, is_image, _ = next(own)
        if not is_image:
            yield from (frame for _, is_image, frame in own if is_image)


def image_rows(
    pattern: str, folder: str, split: str, dataset: str
) -> Rows[Pair]:
    """Finds images that have no labels; of many, few are in memory.

    Args:
        pattern: Where they are, as `images` of a description.
        folder: The folder that it starts from.
        split: The split they make up; it stands for `{split}`.
        dataset: Name of the dataset in the pairs.

    Returns:
        Pairs without labels, by drive and name.

    Raises:
        DataError: If the pattern is none, there is no image, or a name is
            there twice.
    """
    try:
        places = patterns.places_of(pattern)
    except ValueError:
        places = set()
    if "name" not in places:
        raise DataError(
            "Invalid value for argument `images`. Expected a pattern with "
            "{name}, and perhaps {drive} and {split}. Received: "
            f"images={pattern!r}."
        )
    matched = group(patterns.find(folder, [pattern]), ())
    found = Rows(
        (drive, name, path)
        for (own, drive, name), path, _ in matched
        if own in ("", normal(split))
    )
    if not found:
        where = posixpath.join(folder, pattern)
        raise DataError(f"{where}: no images of split {split!r}.")
    refuse_links_out(folder, (path for _, _, path in found))
    return Rows(
        Pair(
            f"{drive}_{name}" if drive else name,
            path,
            "",
            split,
            drive or dataset,
            dataset,
        )
        for drive, name, path in found
    )
