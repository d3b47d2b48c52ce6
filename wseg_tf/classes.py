"""Class sets: names, order, colours, void label and importance groups.

Everything that touches a label reads it here, so there is one class order and
one void value from the dataset's files to the gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Colour = tuple[int, int, int]

MOST_IMPORTANT_GROUP = 4


@dataclass(frozen=True)
class ClassSet:
    """The classes of a dataset, in the order of their ids.

    Args:
        name: Name of the set, e.g. `"camvid"`.
        names: Class names; the position is the class id.
        colours: RGB colour per class, 0..255, for pictures.
        groups: Importance group per class, 1 (least) to 4 (most important).
        void: Label of pixels that carry no class; outside `0..len(names)-1`.
        inferred: Classes whose group Liu et al. (AAAI 2020) do not print:
            defaults of this package, open to change.

    Raises:
        ValueError: If the lengths differ, a name repeats, a group is not in
            1..4, or `void` is the id of a class.

    Example:

    >>> CAMVID.names[8], CAMVID.groups[8], CAMVID.void
    ('car', 4, 11)
    >>> CAMVID.critical
    ('car', 'pedestrian', 'bicyclist')
    """

    name: str
    names: tuple[str, ...]
    colours: tuple[Colour, ...] = field(repr=False)
    groups: tuple[int, ...] = field(repr=False)
    void: int
    inferred: frozenset[str] = field(default=frozenset(), repr=False)

    def __post_init__(self) -> None:
        """Refuses a set that contradicts itself."""
        count = len(self.names)
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
        if not set(self.groups) <= {1, 2, 3, MOST_IMPORTANT_GROUP}:
            raise ValueError(
                "Invalid value for argument `groups`. Expected importance "
                f"groups 1 to 4. Received: groups={self.groups}."
            )
        if 0 <= self.void < count:
            raise ValueError(
                "Invalid value for argument `void`. Expected a label that is "
                f"no class id (0..{count - 1}). Received: void={self.void}."
            )

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
            group: Importance group, 1..4.

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
        """The classes of the most important group."""
        return self.members(MOST_IMPORTANT_GROUP)


def _class_set(
    name: str,
    void: int,
    rows: Sequence[tuple[str, Colour, int]],
    inferred: Sequence[str] = (),
) -> ClassSet:
    names, colours, groups = zip(*rows, strict=True)
    return ClassSet(name, names, colours, groups, void, frozenset(inferred))


CAMVID = _class_set(
    "camvid",
    11,
    [
        ("sky", (128, 128, 128), 1),
        ("building", (128, 0, 0), 2),
        ("pole", (192, 192, 128), 2),
        ("road", (128, 64, 128), 3),
        ("sidewalk", (60, 40, 222), 3),
        ("tree", (128, 128, 0), 2),
        ("sign", (192, 128, 128), 3),
        ("fence", (64, 64, 128), 2),
        ("car", (64, 0, 128), 4),
        ("pedestrian", (64, 64, 0), 4),
        ("bicyclist", (0, 128, 192), 4),
    ],
    inferred=("sky", "building", "pole", "tree", "fence"),
)

CITYSCAPES = _class_set(
    "cityscapes",
    255,
    [
        ("road", (128, 64, 128), 3),
        ("sidewalk", (244, 35, 232), 3),
        ("building", (70, 70, 70), 2),
        ("wall", (102, 102, 156), 2),
        ("fence", (190, 153, 153), 2),
        ("pole", (153, 153, 153), 3),
        ("traffic light", (250, 170, 30), 3),
        ("traffic sign", (220, 220, 0), 3),
        ("vegetation", (107, 142, 35), 2),
        ("terrain", (152, 251, 152), 2),
        ("sky", (70, 130, 180), 1),
        ("person", (220, 20, 60), 4),
        ("rider", (255, 0, 0), 4),
        ("car", (0, 0, 142), 4),
        ("truck", (0, 0, 70), 4),
        ("bus", (0, 60, 100), 4),
        ("train", (0, 80, 100), 3),
        ("motorcycle", (0, 0, 230), 4),
        ("bicycle", (119, 11, 32), 4),
    ],
    inferred=("pole", "traffic light", "traffic sign"),
)

CLASS_SETS = {each.name: each for each in (CAMVID, CITYSCAPES)}


def class_set(name: str) -> ClassSet:
    """Returns a built-in class set by name.

    Args:
        name: `"camvid"` (11 classes) or `"cityscapes"` (19 classes; GTA5
            shares it).

    Returns:
        The `ClassSet`.

    Raises:
        ValueError: If there is no such set; lists those there are.

    Example:

    >>> len(class_set("cityscapes"))
    19
    """
    if name not in CLASS_SETS:
        raise ValueError(
            f"Invalid class set. Expected one of {sorted(CLASS_SETS)}. "
            f"Received: {name!r}."
        )
    return CLASS_SETS[name]
