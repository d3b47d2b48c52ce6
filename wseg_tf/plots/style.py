"""The look that all pictures share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

CRITICAL = "#c0334d"
IMPORTANCE = LinearSegmentedColormap.from_list(
    "importance", ["#8a94a6", "#3f8f8b", "#e08e2b", CRITICAL]
)
INK = "#22262e"
FAINT = "#d9dce2"
SERIES_COLOURS = ("#b8bec9", "#3b6ea8", "#6d4a9e", "#2b2f3a", "#9cc3e0")

# From white to a dark plum: more ink is a graver confusion.
SEVERITY = LinearSegmentedColormap.from_list(
    "severity", ["#ffffff", "#fbe3c8", "#f2a97a", "#d5575c", "#7d2158"]
)
SHARE = LinearSegmentedColormap.from_list(
    "share", ["#ffffff", "#d6e4f0", "#86b1d6", "#3b6ea8", "#173a63"]
)


class _PlainFigure(Figure):
    """A figure whose texts are shown as they stand: `$` is no mathematics."""

    def draw(self, renderer: Any) -> None:
        """Draws it; names of frames and drives may hold anything."""
        for text in self.findobj(Text):
            text.set_parse_math(False)
        super().draw(renderer)


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure.

    Args:
        width: In inches.
        height: In inches.

    Returns:
        The figure, at 150 dots an inch.
    """
    return _PlainFigure((width, height), dpi=150, facecolor="white")


def group_colours(groups: Iterable[int]) -> dict[int, str]:
    """Returns a colour for each importance group, by its rank.

    Args:
        groups: Importance groups, in any order, any number of times.

    Returns:
        Colours from grey, the least important, to red, the most important.

    Example:

    >>> group_colours([2, 1, 7, 2])
    {1: '#8a94a6', 2: '#908e5a', 7: '#c0334d'}
    """
    levels = sorted({*groups})
    ranks = np.linspace(0, 1, len(levels))
    return {
        level: to_hex(IMPORTANCE(float(rank)))
        for level, rank in zip(levels, ranks, strict=True)
    }


def group_name(group: int) -> str:
    """Returns how a group is called in pictures."""
    return f"group {group}"


def text_length(texts: Iterable[str]) -> float:
    """Returns roughly how long the longest text is in print.

    Args:
        texts: To be printed at 8 points.

    Returns:
        Inches.
    """
    return 0.066 * max(len(text) for text in texts)
