"""Which classes labels are of: told by their colours or names, or not told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wseg_tf.classes import CAMVID, CITYSCAPES, ClassSet, Colour, class_set
from wseg_tf.data.checks import DataError
from wseg_tf.data.discovery.contents import Contents, packed, unpacked
from wseg_tf.data.layouts import camvid_colours
from wseg_tf.data.layouts.cityscapes_labels import TRAIN_IDS
from wseg_tf.data.layouts.described import VOID

BLACK, _VOID_ID, _VOID_16 = 0, 255, 65535
# Black that covers so much is a background.
_BACKGROUND = 0.25
_ADE, _ADE_CLASSES = re.compile("ADE_(train|val)_"), 150
_CAMVID = re.compile("(0001TP|0006R0|0016E5|Seq05VD)_")
# Colours alone tell a set by so many classes, and so much better than another.
_LEAST, _BETTER = 3, 2.0
# What Cityscapes paints beside its classes, and VOC's outlines.
_CITYSCAPES_VOID = (
    (111, 74, 0), (81, 0, 81), (250, 170, 160), (230, 150, 140),
    (180, 165, 180), (150, 100, 100), (150, 120, 90), (0, 0, 90), (0, 0, 110),
)  # fmt: skip
_VOC_VOID = (224, 224, 192)


@dataclass(frozen=True)
class Meaning:
    """What the values in labels mean.

    Args:
        classes: The classes.
        names: Class or `void` of each stored value; a colour is one number.
        is_direct: Whether values are the ids of the classes, so that a
            description needs no map.
        known: How the classes were told; empty if they were not.
    """

    classes: ClassSet
    names: Mapping[int, str]
    is_direct: bool
    known: str = ""


def meaning(
    found: Contents,
    in_colours: bool,
    patterns: str,
    names: Sequence[str],
) -> Meaning:
    """Says what the values in labels mean.

    Args:
        found: What the labels hold.
        in_colours: Whether they are painted in colours.
        patterns: Patterns of images and labels, for the words in them.
        names: Names of the labels' files.

    Returns:
        A published set of classes, if colours or names tell one; else
        `class 0` and so on.

    Raises:
        DataError: If the labels hold a single value.
    """
    if in_colours:
        known = _by_colours({k: unpacked(k) for k in found.pixels})
    elif found.palette:
        known = _by_palette(found)
    else:
        known = _by_names(found, patterns, names)
    if known is None:
        known = _unknown_colours(found) if in_colours else _unknown_ids(found)
    if len({*known.names.values()} - {VOID}) < 2:
        raise DataError(
            f"{patterns.splitlines()[-1]}: expected labels of two classes or "
            f"more. Found: {_shown(found, in_colours)} everywhere."
        )
    return known


def _shown(found: Contents, in_colours: bool) -> str:
    values = sorted(found.pixels)
    if in_colours:
        return ", ".join(str(unpacked(value)) for value in values)
    return ", ".join(map(str, values))


def _tables() -> Iterator[tuple[ClassSet, dict[Colour, str]]]:
    """Yields the published sets, with what each colour means."""
    yield (
        CAMVID,
        {
            colour: VOID if target == CAMVID.void else CAMVID.names[target]
            for colour, target in camvid_colours.COLOUR_MAP.items()
        },
    )
    for name, void in (
        ("cityscapes", ((0, 0, 0), *_CITYSCAPES_VOID)),
        ("pascal_voc", (_VOC_VOID,)),
        ("mapillary_vistas", ((0, 0, 0),)),
        ("ade20k", ((0, 0, 0),)),
    ):
        own = class_set(name)
        table = dict.fromkeys(void, VOID)
        table.update(zip(own.colours, own.names, strict=True))
        yield own, table


def _by_colours(used: Mapping[int, Colour]) -> Meaning | None:
    """Tells the set by the colours of stored values, if one fits best.

    Cityscapes' colours are all among Mapillary Vistas': the set of which the
    larger share is seen is meant.
    """
    fitting = []
    for own, table in _tables():
        if {*used.values()} <= table.keys():
            seen = {table[colour] for colour in used.values()} - {VOID}
            if len(seen) >= _LEAST:
                fitting.append((len(seen) / len(own), own, table))
    fitting.sort(key=lambda each: -each[0])
    if not fitting or (
        len(fitting) > 1 and fitting[0][0] < _BETTER * fitting[1][0]
    ):
        return None
    _, own, table = fitting[0]
    names = {packed(colour): name for colour, name in table.items()}
    return Meaning(own, names, False, f"the colours of {own.name}")


def _by_palette(found: Contents) -> Meaning | None:
    palette = found.palette
    used = {k: palette.get(k, (0, 0, 0)) for k in found.pixels}
    told = _by_colours(used)
    for own, _ in _tables():
        # A palette that begins as the set does leaves no doubt.
        if all(palette.get(k) == c for k, c in enumerate(own.colours)):
            told = Meaning(own, {}, False, f"the palette of {own.name}")
            break
    if told is None:
        return None
    own = told.classes
    table = next(table for each, table in _tables() if each.name == own.name)
    names = {
        k: table.get(colour, VOID)
        for k, colour in palette.items()
        if k in used or table.get(colour, VOID) != VOID
    }
    # A palette may repeat a colour; an id that is its own class comes first.
    names.update(
        {
            k: n
            for k, n in enumerate(own.names)
            if palette.get(k) == own.colours[k]
        }
    )
    ids = {own.void: VOID, **dict(enumerate(own.names))}
    is_direct = all(ids.get(k) == names[k] for k in used)
    kept = {k: names[k] for k in used} if is_direct else names
    return Meaning(own, kept, is_direct, f"the palette of {own.name}")


def _by_names(
    found: Contents, patterns: str, files: Sequence[str]
) -> Meaning | None:
    """Tells the set by what files are called."""
    highest = max({*found.pixels} - {_VOID_ID}, default=0)
    folders = re.split(r"[/\n]", patterns)
    if "TrainIds" in patterns and highest < len(CITYSCAPES):
        return _direct(CITYSCAPES, found, "the name `TrainIds`")
    is_kitti = {"image_2", "semantic"} <= {*folders}
    if ("labelIds" in patterns or is_kitti) and {*found.pixels} <= {*TRAIN_IDS}:
        names = {
            label: VOID
            if target == CITYSCAPES.void
            else CITYSCAPES.names[target]
            for label, target in TRAIN_IDS.items()
        }
        told = "KITTI's folders" if is_kitti else "the name `labelIds`"
        return Meaning(CITYSCAPES, names, False, told)
    if all(map(_ADE.match, files)) and max(found.pixels) <= _ADE_CLASSES:
        own = class_set("ade20k")
        names = {0: VOID, **dict(enumerate(own.names, start=1))}
        return Meaning(own, names, False, "the names of ADE20K")
    if all(map(_CAMVID.match, files)) and max(found.pixels) <= CAMVID.void:
        return _direct(CAMVID, found, "the drives of CamVid")
    return None


def _direct(own: ClassSet, found: Contents, known: str) -> Meaning:
    names = {
        k: own.names[k] if k < len(own) else VOID for k in sorted(found.pixels)
    }
    return Meaning(own, names, True, known)


def _unknown_ids(found: Contents) -> Meaning:
    ids = sorted(found.pixels)
    is_void = ids[-1] in (_VOID_ID, _VOID_16) and len(ids) > 2
    kept = ids[:-1] if is_void else ids
    names = {k: f"class {k}" for k in kept}
    rows = [
        {
            "name": name,
            "group": 1,
            **({"colour": [*found.palette[k]]} if k in found.palette else {}),
        }
        for k, name in names.items()
    ]
    own = class_set({"classes": rows, **({"void": ids[-1]} if is_void else {})})
    if is_void:
        names[ids[-1]] = VOID
    return Meaning(own, names, kept == [*range(len(kept))])


def _unknown_colours(found: Contents) -> Meaning:
    total = sum(found.pixels.values())
    is_void = 0 < found.pixels[BLACK] < _BACKGROUND * total
    # The commonest first.
    values = [k for k, _ in found.pixels.most_common() if k or not is_void]
    names = {k: f"class {place}" for place, k in enumerate(values)}
    own = class_set(
        [
            {"name": name, "group": 1, "colour": [*unpacked(k)]}
            for k, name in names.items()
        ]
    )
    if is_void:
        names[BLACK] = VOID
    return Meaning(own, names, False)
