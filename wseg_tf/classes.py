"""Class sets: names, order, colours, void label and importance groups.

Everything that touches a label reads it here, so there is one class order and
one void value from the dataset's files to the gate. A set travels by value,
`as_dict` and `class_set`, so that no step needs to know it by name.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wseg_tf import configuration
from wseg_tf.palettes import Colour as Colour
from wseg_tf.palettes import palette, told_apart
from wseg_tf.ranges import LARGEST

# Built-in sets: files of `class_sets/`, and data sets with the same classes.
_SAME = {"bdd100k": "cityscapes", "kitti": "cityscapes"}
CLASS_SETS = (
    "ade20k", "bdd100k", "camvid", "cityscapes", "kitti", "mapillary_vistas",
    "pascal_voc",
)  # fmt: skip

# They mean something where a class could stand: in the score `iou/critical`,
# and in a description's `ids: {0: void}`.
_RESERVED = ("critical", "void")
# The classes of a description of data that names none.
DESCRIBED = "cityscapes"
# Above any id that a label of 8 or 16 bits gives a class here.
VOID = 255
_LONGEST = 100  # characters of a class' name
_FORMULA = "=+-@"  # where a sheet that reads CSV begins to compute
_KEYS = ("name", "void", "critical", "inferred", "classes")
_CLASS_KEYS = ("name", "colour", "group")


@dataclass(frozen=True)
class ClassSet:
    """The classes of a dataset, in the order of their ids.

    Sets are equal if labels and judgements mean the same: names and their
    order, groups, critical classes and void. The set's name and its colours
    are for people.

    Args:
        name: Name of the set, e.g. `"camvid"`.
        names: Class names; the position is the class id.
        colours: RGB colour per class, 0..255; a published set's own, in which
            its labels may be painted. Pictures take `drawn`.
        groups: Importance group per class, from 1 (least important).
        void: Label of pixels that carry no class; outside `0..len(names)-1`.
        inferred: Classes whose group somebody has guessed; in built-in sets,
            groups that Liu et al. (AAAI 2020) do not print. Open to change.
        critical_classes: Those that must not be missed. Defaults to None: the
            most important group, if there are several groups.

    Raises:
        ValueError: If the lengths differ, a name repeats or is `"critical"` or
            `"void"`, a group is below 1, a critical class is none, or `void`
            is the id of a class.

    Example:

    >>> CAMVID.names[8], CAMVID.groups[8], CAMVID.void
    ('car', 4, 11)
    >>> CAMVID.critical
    ('car', 'pedestrian', 'bicyclist')
    """

    name: str = field(compare=False)
    names: tuple[str, ...]
    colours: tuple[Colour, ...] = field(repr=False, compare=False)
    groups: tuple[int, ...] = field(repr=False)
    void: int
    inferred: frozenset[str] = field(
        default=frozenset(), repr=False, compare=False
    )
    critical_classes: tuple[str, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuses a set that contradicts itself."""
        count = len(self.names)
        if not count:
            raise _invalid("names", "at least one class", [])
        for argument in ("colours", "groups"):
            received = len(getattr(self, argument))
            if received != count:
                raise ValueError(
                    f"Invalid value for argument `{argument}`. Expected one "
                    f"entry for each of the {count} classes. Received: "
                    f"{received} entries."
                )
        repeated = {name for name in self.names if self.names.count(name) > 1}
        if repeated:
            raise ValueError(
                "Invalid value for argument `names`. Expected distinct names. "
                f"Received twice: {sorted(repeated)}."
            )
        if taken := [name for name in self.names if name in _RESERVED]:
            raise _invalid(
                "names", f"none of the reserved words {[*_RESERVED]}", taken
            )
        if min(self.groups) < 1:
            raise _invalid(
                "groups", "importance groups from 1 on", [*self.groups]
            )
        if 0 <= self.void < count:
            raise ValueError(
                "Invalid value for argument `void`. Expected a label that is "
                f"no class id (0..{count - 1}). Received: void={self.void}."
            )
        critical = self.critical_classes
        if critical is None:
            critical = self.members(self.levels[-1]) if self.levels[1:] else ()
        unknown = [name for name in critical if name not in self.names]
        if unknown:
            raise _invalid("critical", f"some of {[*self.names]}", unknown)
        # In the order of ids, however they were given.
        kept = tuple(name for name in self.names if name in critical)
        object.__setattr__(self, "critical_classes", kept)

    def __len__(self) -> int:
        """The number of classes, void not counted."""
        return len(self.names)

    def index(self, name: str) -> int:
        """Returns the id of a class.

        Args:
            name: A class name.

        Returns:
            The class id.

        Raises:
            ValueError: If there is no such class; lists those there are.

        Example:

        >>> CITYSCAPES.index("person")
        11
        """
        if name not in self.names:
            raise ValueError(
                f"Invalid class name. Expected one of {list(self.names)} "
                f"({self.name}). Received: {name!r}."
            )
        return self.names.index(name)

    def members(self, group: int) -> tuple[str, ...]:
        """Returns the names of the classes of an importance group.

        Args:
            group: Importance group.

        Returns:
            Class names in id order; empty if the group has none.

        Example:

        >>> CAMVID.members(3)
        ('road', 'sidewalk', 'sign')
        """
        return tuple(
            name
            for name, own in zip(self.names, self.groups, strict=True)
            if own == group
        )

    @property
    def critical(self) -> tuple[str, ...]:
        """The classes that must not be missed, in the order of their ids."""
        return self.critical_classes or ()

    @property
    def drawn(self) -> tuple[Colour, ...]:
        """The colours of pictures: `colours`, or near, that all can tell apart.

        To readers of any colour vision, a critical class differs clearly from
        every other one: see `wseg_tf.palettes.told_apart`.

        Example:

        >>> CAMVID.colours[1], CAMVID.drawn[1]  # building, near pedestrian
        ((128, 0, 0), (178, 51, 51))
        """
        critical = tuple(self.index(name) for name in self.critical)
        return told_apart(self.colours, critical)

    @property
    def label_dtype(self) -> str:
        """What a label of these classes is stored in, void included.

        Example:

        >>> CITYSCAPES.label_dtype
        'uint8'
        """
        return "uint8" if self.void <= VOID else "uint16"

    @property
    def levels(self) -> tuple[int, ...]:
        """The importance groups there are, the least important first."""
        return tuple(sorted({*self.groups}))

    def to_json(self) -> str:
        """Returns the set as text; `class_set(json.loads(text))` reads it."""
        return json.dumps(self.as_dict())

    def to_yaml(self) -> str:
        """Returns the set as text to be edited; `class_set` reads it back.

        A comment marks each class whose group is inferred.

        Example:

        >>> print(class_set(["ground", "person"]).to_yaml())
        name: own
        void: 255
        critical: []
        classes:
          - {name: ground, colour: [0, 102, 204], group: 1}
          - {name: person, colour: [255, 76, 0], group: 1}
        <BLANKLINE>
        """
        values = self.as_dict()
        rows = values.pop("classes")
        head = [
            configuration.in_one_line({key: value})[1:-1]
            for key, value in values.items()
        ]
        lines = [
            f"  - {configuration.in_one_line(row)}"
            + "  # group inferred" * (row["name"] in self.inferred)
            for row in rows
        ]
        return "\n".join([*head, "classes:", *lines, ""])

    def as_dict(self) -> dict[str, Any]:
        """Returns the set as plain values, which `class_set` reads.

        Example:

        >>> CAMVID.as_dict()["classes"][8]
        {'name': 'car', 'colour': [64, 0, 128], 'group': 4}
        """
        return {
            "name": self.name,
            "void": self.void,
            "critical": [*self.critical],
            "classes": [
                {"name": name, "colour": [*colour], "group": group}
                for name, colour, group in zip(
                    self.names, self.colours, self.groups, strict=True
                )
            ],
        }


def class_set(value: Any) -> ClassSet:
    """Returns a class set from whatever names, or is, one.

    Args:
        value: The name of a built-in set, one of `CLASS_SETS`; the path of a
            YAML file, also of a description of data; a list of class names; a
            mapping as `as_dict` returns, of which only `classes` must be
            there; or a `ClassSet`.
            A class is a name or `{name, colour, group}`. Colours default to
            `wseg_tf.palettes.palette`, groups to 1, `void` to 255 or, of more
            classes, 65535; `critical` and `inferred` name groups, or classes.

    Returns:
        The `ClassSet`.

    Raises:
        ValueError: If there is no such set, or a value is not as above; one
            sentence that names it.

    Example:

    >>> len(class_set("cityscapes"))
    19
    >>> yard = class_set({
    ...     "classes": ["ground", {"name": "person", "group": 2}],
    ... })
    >>> yard.critical, yard.void
    (('person',), 255)
    """
    if isinstance(value, ClassSet):
        return value
    if isinstance(value, str):
        if value.endswith((".yaml", ".yml")):
            return _of_file(value)
        if value not in CLASS_SETS:
            raise ValueError(
                f"Invalid class set. Expected one of {[*CLASS_SETS]}, a .yaml "
                f"file or the classes themselves. Received: {value!r}."
            )
        return _built_in(value)
    return _read(value)


@functools.cache
def _built_in(name: str) -> ClassSet:
    folder = os.path.join(os.path.dirname(__file__), "class_sets")
    file = os.path.join(folder, f"{_SAME.get(name, name)}.yaml")
    return replace(class_set(file), name=name)


def _of_file(path: str, may_describe: bool = True) -> ClassSet:
    """Reads a file of classes, or a description of data that has them."""
    found = configuration.parse_any(configuration.text_of(path), path)
    is_map = isinstance(found, Mapping)
    if may_describe and is_map and {"images", "labels"} <= found.keys():
        found = found.get("classes", DESCRIBED)
        if isinstance(found, str):
            if not found.endswith((".yaml", ".yml")):
                return class_set(found)
            beside = os.path.join(os.path.dirname(path), found)
            return _of_file(beside, may_describe=False)
    try:
        return _read(found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(value: Any) -> ClassSet:
    """Reads a list of classes, or a mapping with one."""
    if not isinstance(value, Mapping):
        value = {"classes": value}
    _refuse_unknown(value, _KEYS, "")
    rows = value.get("classes")
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise _invalid("classes", "a list of classes", rows)
    classes = [_read_class(row, place) for place, row in enumerate(rows)]
    default = VOID if len(classes) <= VOID else 2**16 - 1
    void = _integer(value.get("void", default), "void")
    colours = palette(len(classes))
    groups = tuple(each.get("group", 1) for each in classes)
    names = tuple(each["name"] for each in classes)
    return ClassSet(
        name=str(value.get("name", "own")),
        names=names,
        colours=tuple(
            each.get("colour", other)
            for each, other in zip(classes, colours, strict=True)
        ),
        groups=groups,
        void=void,
        inferred=frozenset(
            _chosen("inferred", value.get("inferred"), names, groups) or ()
        ),
        critical_classes=_chosen(
            "critical", value.get("critical"), names, groups
        ),
    )


def _is_name(text: str) -> bool:
    """Whether a text is itself in a metric, a table, a page and a sheet."""
    prints = text.isprintable() and text.strip() != "" and "/" not in text
    return prints and text[0] not in _FORMULA and len(text) <= _LONGEST


def _read_class(row: Any, place: int) -> dict[str, Any]:
    where = f"classes.{place}"
    if not isinstance(row, Mapping):
        row = {"name": row}
    _refuse_unknown(row, _CLASS_KEYS, f"{where}.")
    name = row.get("name")
    if not isinstance(name, str) or not _is_name(name):
        raise _invalid(
            f"{where}.name",
            f"a text without `/` of at most {_LONGEST} characters that print, "
            f"not begun by one of {_FORMULA}; quote what YAML reads",
            name,
        )
    found: dict[str, Any] = {"name": name}
    if row.get("group") is not None:
        found["group"] = _integer(row["group"], f"{where}.group")
    if row.get("colour") is not None:
        colour = row["colour"]
        if isinstance(colour, str) or not isinstance(colour, Sequence):
            raise _invalid(f"{where}.colour", "[red, green, blue]", colour)
        channels = tuple(_integer(c, f"{where}.colour") for c in colour)
        if len(channels) != 3 or not {*channels} <= {*range(256)}:
            raise _invalid(
                f"{where}.colour", "[red, green, blue], 0..255", [*colour]
            )
        found["colour"] = channels
    return found


def _chosen(
    argument: str, value: Any, names: Sequence[str], groups: Sequence[int]
) -> tuple[str, ...] | None:
    """Returns classes that are named by themselves or by their groups."""
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _invalid(argument, "a list of groups or of classes", value)
    chosen: list[str] = []
    for each in value:
        if isinstance(each, str):
            own = [name for name in names if name == each]
        else:
            group = _integer(each, argument)
            own = [n for n, g in zip(names, groups, strict=True) if g == group]
        if not own:
            known = [*names, *sorted({*groups})]
            raise _invalid(argument, f"some of {known}", each)
        chosen += own
    return tuple(chosen)


def _integer(value: Any, argument: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _invalid(argument, "a whole number", value)
    if abs(value) > LARGEST:
        raise _invalid(argument, f"a size of at most {LARGEST}", value)
    return value


def _refuse_unknown(
    value: Mapping[Any, Any], known: Sequence[str], where: str
) -> None:
    for key in value:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f" (did you mean `{close[0]}`?)" if close else ""
            raise ValueError(
                f"Invalid key `{where}{key}` of a class set. Expected one of "
                f"{[*known]}{hint}."
            )


def _invalid(argument: str, expected: str, received: Any) -> ValueError:
    return ValueError(
        f"Invalid value for argument `{argument}`. Expected {expected}. "
        f"Received: {argument}={received!r}."
    )


CAMVID = class_set("camvid")
CITYSCAPES = class_set("cityscapes")
