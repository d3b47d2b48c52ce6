"""The layouts that datasets are published in, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from wseg_tf.classes import CAMVID, CITYSCAPES, ClassSet, Colour, class_set
from wseg_tf.data.layouts import (
    camvid,
    camvid_colours,
    cityscapes,
    described,
    gta5,
)
from wseg_tf.data.layouts.cityscapes_labels import TRAIN_IDS
from wseg_tf.data.layouts.entries import PANOPTIC_BITS
from wseg_tf.data.pairs import Pair, refuse_links_out
from wseg_tf.data.rows import Rows

__all__ = ["LAYOUTS", "Layout", "Pair", "find_pairs", "layout", "left_out"]

Walk = Callable[[str, "Sequence[str] | None"], "Iterable[Pair]"]


@dataclass(frozen=True)
class Layout:
    """How a dataset is laid out, and what the pixels of its labels mean.

    Args:
        walk: Finds the pairs of a folder, all splits or those named, by split
            and then by name; see `rows`.
        classes: The classes of the labels.
        id_map: Class id or void for each id in the files; None where the
            files hold class ids.
        colour_map: Class id or void for each colour in the files; None where
            they hold ids.
        panoptic: Whether ids are stored as R + 256 G + 65536 B.
        divisor: What stored numbers are divided by to give ids.
    """

    walk: Walk
    classes: ClassSet
    id_map: Mapping[int, int] | None = None
    colour_map: Mapping[Colour, int] | None = None
    panoptic: bool = False
    divisor: int = 1

    def rows(
        self, folder: str, splits: Sequence[str] | None = None
    ) -> Rows[Pair]:
        """Finds the pairs of a folder; of many, few are in memory.

        Args:
            folder: The folder of the dataset.
            splits: Splits to read. Defaults to all that are there.

        Returns:
            The pairs, by split and then by name.

        Raises:
            DataError: If something is missing, stands alone, is there twice
                or is a link out of the folder; names it.
        """
        pairs = Rows(self.walk(folder, splits))
        paths = (path for pair in pairs for path in (pair.image, pair.label))
        refuse_links_out(folder, paths)
        return pairs

    def find(
        self, folder: str, splits: Sequence[str] | None = None
    ) -> list[Pair]:
        """Finds the pairs of a folder, see `rows`."""
        return [*self.rows(folder, splits)]

    def meaning(self) -> dict[str, Any]:
        """Returns what the pixels of labels mean as plain values.

        Example:

        >>> LAYOUTS["gta5"].meaning()["id_map"][:2]
        [[0, 255], [1, 255]]
        """
        return {
            "classes": self.classes.as_dict(),
            "id_map": None
            if self.id_map is None
            else [[key, value] for key, value in self.id_map.items()],
            "colour_map": None
            if self.colour_map is None
            else [[[*key], value] for key, value in self.colour_map.items()],
            "panoptic": self.panoptic,
            "divisor": self.divisor,
        }

    @classmethod
    def of_meaning(cls, values: Mapping[str, Any]) -> Layout:
        """Returns a layout that reads labels; it finds no pairs.

        Args:
            values: What `meaning` returned.
        """
        ids, colours = values["id_map"], values["colour_map"]
        return cls(
            _find_nothing,
            class_set(values["classes"]),
            None if ids is None else dict(ids),
            None
            if colours is None
            else {(red, green, blue): v for (red, green, blue), v in colours},
            values.get("panoptic", False),
            values.get("divisor", 1),
        )


def _find_nothing(folder: str, splits: Sequence[str] | None) -> list[Pair]:
    return []


LAYOUTS: Mapping[str, Layout] = {
    "camvid": Layout(camvid.find, CAMVID),
    "camvid_colours": Layout(
        camvid_colours.find, CAMVID, colour_map=camvid_colours.COLOUR_MAP
    ),
    "cityscapes": Layout(cityscapes.find, CITYSCAPES, id_map=TRAIN_IDS),
    "cityscapes_train_ids": Layout(
        partial(
            cityscapes.find,
            kind="labelTrainIds",
            dataset="cityscapes_train_ids",
        ),
        CITYSCAPES,
    ),
    "gta5": Layout(gta5.find, CITYSCAPES, id_map=gta5.ID_MAP),
    "streets": Layout(partial(camvid.find, dataset="streets"), CAMVID),
}


def layout(name: str) -> Layout:
    """Returns a layout by name.

    Args:
        name: One of `LAYOUTS`, or the path of a YAML description of a folder
            (see `layouts.described`).

    Returns:
        The `Layout`.

    Raises:
        DataError: If a description cannot be used.
        ValueError: If there is no such layout; lists those there are.

    Example:

    >>> layout("camvid").classes.void
    11
    """
    if name.endswith((".yaml", ".yml")):
        description = described.read(name)
        return Layout(
            partial(described.find, description),
            description.class_set,
            description.id_map,
            description.colour_map,
            panoptic=description.bits == PANOPTIC_BITS,
            divisor=description.divisor,
        )
    if name not in LAYOUTS:
        raise ValueError(
            f"Invalid layout. Expected one of {sorted(LAYOUTS)} or a .yaml "
            f"description. Received: {name!r}."
        )
    return LAYOUTS[name]


def find_pairs(
    name: str, folder: str, splits: str | Sequence[str] | None = None
) -> list[Pair]:
    """Finds the pairs of a folder.

    Args:
        name: One of `LAYOUTS`, or the path of a YAML description.
        folder: The folder of the dataset.
        splits: A split or several. Defaults to all that are there.

    Returns:
        The pairs, by split and then by name.

    Raises:
        DataError: If something is missing, stands alone or is there twice;
            names it.
        ValueError: If there is no such layout.
    """
    wanted = [splits] if isinstance(splits, str) else splits
    return layout(name).find(folder, wanted)


def left_out(
    name: str, folder: str, splits: Sequence[str] | None = None
) -> int:
    """Returns how many images have no label and are left out, as is asked.

    Args:
        name: One of `LAYOUTS`, or the path of a YAML description.
        folder: The folder of the dataset.
        splits: Splits to look at. Defaults to all that are there.
    """
    if name in LAYOUTS:
        return 0
    return described.left_out(described.read(name), folder, splits)
