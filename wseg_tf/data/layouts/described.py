"""Any folder, described in YAML: where its files are, what its ids mean.

    dataset: yard
    classes: cityscapes
    images: frames/{split}/{drive}/{name}.jpg
    labels: masks/{split}/{drive}/{name}_mask.png
    ids: {0: void, 1: road, 2: person}

`{name}` names a frame; `{split}` and `{drive}` may stand anywhere in a path,
`*` for anything within one folder. Where `{split}` does not stand, drives
decide: `drives: {val: [north], test: [harbour]}`, all others being `train`.
Instead of `ids`, `colours: {"128 64 128": road}` reads colour labels; without
either the files hold class ids.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import yaml

from wseg_tf.classes import ClassSet, Colour, class_set
from wseg_tf.data.checks import DataError
from wseg_tf.data.pairs import Pair, match, not_unicode

VOID = "void"
_PLACES = ("name", "split", "drive")
_SPECIAL = re.compile(r"[\\*?\[\]]")  # what stands for more in a file pattern
_TOKEN = re.compile(r"\{(\w+)\}|\*")


@dataclass(frozen=True)
class Description:
    """A folder's description, as read from YAML.

    Args:
        images: Where the images are, with `{name}`.
        labels: Where the labels are, with the same places as `images`.
        dataset: Name of the dataset.
        classes: The classes of the labels, whatever `class_set` takes; a file
            lies beside the description.
        ids: Class name or `void` for each id in the labels.
        colours: Class name or `void` for each colour, `"red green blue"`.
        drives: Drives of each split, where paths do not tell the split.
    """

    images: str
    labels: str
    dataset: str = "folder"
    classes: Any = "cityscapes"
    ids: Mapping[int, str] | None = None
    colours: Mapping[str, str] | None = None
    drives: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @functools.cached_property
    def class_set(self) -> ClassSet:
        """The classes of the labels."""
        return class_set(self.classes)

    @property
    def id_map(self) -> dict[int, int] | None:
        """Class id or void for each id in the labels."""
        if self.ids is None:
            return None
        return {int(key): self._target(name) for key, name in self.ids.items()}

    @property
    def colour_map(self) -> dict[Colour, int] | None:
        """Class id or void for each colour in the labels."""
        if self.colours is None:
            return None
        return {
            _colour(key): self._target(name)
            for key, name in self.colours.items()
        }

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
        DataError: If it cannot be read, a key is missing or unknown, a class
            does not exist, or `images` and `labels` do not fit together.
    """
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(path, "r") as file:
            entries: Any = yaml.safe_load(file.read())
    except tf.errors.NotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{path}: not YAML ({problem}).") from None
    known = [each.name for each in fields(Description)]
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
    classes = entries.get("classes")
    if isinstance(classes, str) and classes.endswith((".yaml", ".yml")):
        folder = posixpath.dirname(path)
        entries["classes"] = posixpath.join(folder, classes)
    description = Description(**entries)
    _check(description, path)
    return description


def _check(description: Description, path: str) -> None:
    places = _places(description.images), _places(description.labels)
    strange = sorted((places[0] | places[1]) - set(_PLACES))
    if strange:
        raise DataError(
            f"{path}: unknown place {{{strange[0]}}}. Expected {{name}}, "
            "{split} or {drive}."
        )
    if "name" not in places[0] or places[0] != places[1]:
        raise DataError(
            f"{path}: images and labels need {{name}} and the same places. "
            f"Found: {description.images} and {description.labels}."
        )
    if description.ids is not None and description.colours is not None:
        raise DataError(f"{path}: give `ids` or `colours`, not both.")
    if description.drives and "split" in places[0]:
        raise DataError(
            f"{path}: give `drives` or {{split}} in the paths, not both."
        )
    if description.drives and "drive" not in places[0]:
        raise DataError(f"{path}: `drives` needs {{drive}} in the paths.")
    try:
        _ = description.id_map, description.colour_map, description.class_set
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None


def find(
    description: Description, folder: str, splits: Sequence[str] | None = None
) -> list[Pair]:
    """Finds the pairs of a described folder.

    Args:
        description: The description.
        folder: The folder that its paths start from.
        splits: Splits to read. Defaults to all that are there.

    Returns:
        The pairs, by split and then by drive and name.

    Raises:
        DataError: If there is no image, a split is empty, a name is there
            twice, or an image or a label stands alone.
    """
    images = _found(folder, description.images)
    labels = _found(folder, description.labels)
    # Where both lie in one folder, the images' pattern may name labels too.
    taken = {*labels.values()}
    images = {key: path for key, path in images.items() if path not in taken}
    by_drive = {
        drive: split
        for split, drives in description.drives.items()
        for drive in drives
    }
    by_split: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    for kind, paths in enumerate((images, labels)):
        for (split, drive, name), path in paths.items():
            own = split or by_drive.get(drive, "train")
            key = f"{drive}/{name}" if drive else name
            by_split.setdefault(own, ({}, {}))[kind][key] = path
    if not images:
        where = posixpath.join(folder, description.images)
        raise DataError(f"{where}: no such images.")
    pairs = []
    for split in sorted(by_split) if splits is None else splits:
        found = match(*by_split.get(split, ({}, {})), split, folder)
        for key, image, label in found:
            drive = key.rpartition("/")[0] or description.dataset
            name = key.replace("/", "_")
            pair = Pair(name, image, label, split, drive, description.dataset)
            pairs.append(pair)
    return pairs


def find_images(
    pattern: str, folder: str, split: str, dataset: str
) -> list[Pair]:
    """Finds images that have no labels.

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
    places = _places(pattern)
    if "name" not in places or not places <= {"name", "drive", "split"}:
        raise DataError(
            "Invalid value for argument `images`. Expected a pattern with "
            "{name}, and perhaps {drive} and {split}. Received: "
            f"images={pattern!r}."
        )
    found = {
        (drive, name): path
        for (own, drive, name), path in _found(folder, pattern).items()
        if own in ("", split)
    }
    if not found:
        where = posixpath.join(folder, pattern)
        raise DataError(f"{where}: no images of split {split!r}.")
    return [
        Pair(
            f"{drive}_{name}" if drive else name,
            path,
            "",
            split,
            drive or dataset,
            dataset,
        )
        for (drive, name), path in sorted(found.items())
    ]


def _found(folder: str, pattern: str) -> dict[tuple[str, str, str], str]:
    """Returns the paths of a pattern by split, drive and name."""
    import tensorflow as tf

    if not tf.io.gfile.isdir(folder):
        raise DataError(f"{folder}: no such folder.")
    expression = re.compile(_expression(pattern))
    start = folder.rstrip("/") + "/"
    found: dict[tuple[str, str, str], str] = {}
    anywhere = "*".join(
        _SPECIAL.sub(r"\\\g<0>", part)
        for part in (start + _TOKEN.sub("\0", pattern)).split("\0")
    )
    for path in sorted(_glob(anywhere)):
        matched = expression.fullmatch(path[len(start) :])
        if matched is None:
            continue  # one place stands for two different texts
        places = matched.groupdict()
        key = (
            places.get("split", ""),
            places.get("drive", ""),
            places["name"],
        )
        if key in found:
            raise DataError(
                f"{path}: duplicate name {key[2]!r}, already used by "
                f"{found[key]}."
            )
        found[key] = path
    return found


def _glob(pattern: str) -> list[str]:
    import tensorflow as tf

    try:
        return list(tf.io.gfile.glob(pattern))
    except UnicodeDecodeError as error:
        raise not_unicode(pattern, error) from None


def _places(pattern: str) -> set[str]:
    return {place for place in _TOKEN.findall(pattern) if place}


def _expression(pattern: str) -> str:
    """Turns a pattern into a regular expression with a group per place."""
    parts, seen, end = [], set(), 0
    for token in _TOKEN.finditer(pattern):
        parts.append(re.escape(pattern[end : token.start()]))
        place, end = token.group(1), token.end()
        if place is None:
            parts.append("[^/]*")
        elif place in seen:
            parts.append(f"(?P={place})")
        else:
            parts.append(f"(?P<{place}>[^/]+)")
            seen.add(place)
    return "".join([*parts, re.escape(pattern[end:])])


def _colour(text: str) -> Colour:
    channels = str(text).split()
    if len(channels) != 3 or not all(each.isdecimal() for each in channels):
        raise ValueError(
            'Invalid colour. Expected "red green blue", 0..255 each. '
            f"Received: {text!r}."
        )
    red, green, blue = (int(each) for each in channels)
    return red, green, blue
