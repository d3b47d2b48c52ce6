"""The look that all pictures share."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

GROUP_COLOURS = {1: "#8a94a6", 2: "#3f8f8b", 3: "#e08e2b", 4: "#c0334d"}
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


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure.

    Args:
        width: In inches.
        height: In inches.

    Returns:
        The figure, at 150 dots an inch.
    """
    return Figure((width, height), dpi=150, facecolor="white")


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
