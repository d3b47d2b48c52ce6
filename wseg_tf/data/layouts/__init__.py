"""The layouts that datasets are published in, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from wseg_tf.classes import CAMVID, ClassSet, Colour
from wseg_tf.data.layouts import camvid
from wseg_tf.data.pairs import Pair

__all__ = ["LAYOUTS", "Layout", "Pair", "find_pairs", "layout"]

Find = Callable[[str, "Sequence[str] | None"], "list[Pair]"]


@dataclass(frozen=True)
class Layout:
    """How a dataset is laid out, and what the pixels of its labels mean.

    Args:
        find: Finds the pairs of a folder, all splits or those named.
        classes: The classes of the labels.
        id_map: Class id or void for each id in the files; None where the
            files hold class ids.
        colour_map: Class id or void for each colour in the files; None where
            they hold ids.
    """

    find: Find
    classes: ClassSet
    id_map: Mapping[int, int] | None = None
    colour_map: Mapping[Colour, int] | None = None


LAYOUTS: Mapping[str, Layout] = {
    "camvid": Layout(camvid.find, CAMVID),
    "streets": Layout(partial(camvid.find, dataset="streets"), CAMVID),
}


def layout(name: str) -> Layout:
    """Returns a layout by name.

    Args:
        name: One of `LAYOUTS`.

    Returns:
        The `Layout`.

    Raises:
        ValueError: If there is no such layout; lists those there are.

    Example:

    >>> layout("camvid").classes.void
    11
    """
    if name not in LAYOUTS:
        raise ValueError(
            f"Invalid layout. Expected one of {sorted(LAYOUTS)}. "
            f"Received: {name!r}."
        )
    return LAYOUTS[name]


def find_pairs(
    name: str, folder: str, splits: str | Sequence[str] | None = None
) -> list[Pair]:
    """Finds the pairs of a folder.

    Args:
        name: One of `LAYOUTS`.
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
