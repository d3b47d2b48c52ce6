"""How often each class occurs, split by split."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from wseg_tf.classes import ClassSet
from wseg_tf.data.statistics import PixelStatistics
from wseg_tf.plots import style

_COLOURS = ("#3b6ea8", "#e08e2b", "#3f8f8b", "#c0334d", "#6d4a9e", "#8a94a6")
_MARKERS = ("o", "D", "s", "^", "v", "P")


def plot_frequencies(
    statistics: Mapping[str, PixelStatistics],
    class_set: ClassSet,
    title: str | None = None,
) -> Figure:
    """Draws the share of each class among labelled pixels, most important up.

    The scale is logarithmic: a road may hold a hundred times the pixels of a
    bicyclist, and a class that is twice as frequent in one split as in
    another is as far apart wherever it stands.

    Args:
        statistics: Pixel statistics by name, e.g. of each split.
        class_set: Names and importance groups.
        title: Written above. Defaults to `None`.

    Returns:
        The figure: a mark for each class and name, and the void share of
        each name in the legend. A class without a pixel is marked absent.

    Raises:
        ValueError: If there are no statistics, or some without a labelled
            pixel.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> frame = PixelStatistics.of_frame(range(12), size=(6, 11))
    >>> figure = plot_frequencies({"train": frame}, CAMVID)
    """
    labelled = [each.pixels[:-1].any() for each in statistics.values()]
    if not all(labelled) or not labelled:
        raise ValueError(
            "Invalid value for argument `statistics`. Expected statistics "
            "with labelled pixels, at least one. Received: "
            f"{sum(labelled)} of {len(labelled)} with any."
        )
    shares = {name: each.frequencies for name, each in statistics.items()}
    mean = np.nan_to_num(np.mean(list(shares.values()), axis=0))
    order = sorted(
        range(len(class_set)), key=lambda k: (class_set.groups[k], mean[k])
    )
    groups = [class_set.groups[k] for k in order]
    # A gap between groups.
    places = np.arange(len(order)) + 0.6 * np.cumsum(
        [0] + [a != b for a, b in pairwise(groups)]
    )
    left = style.text_length(class_set.names) + 0.25
    below, body = 0.5, 0.26 * float(places[-1]) + 0.4
    legend = 0.2 * -(-len(shares) // 2) + 0.15
    width = left + 5.0
    height = below + body + legend + (0.25 if title else 0.0)
    figure = style.new_figure(width, height)
    axes = figure.add_axes(
        (left / width, below / height, 4.0 / width, body / height)
    )
    least = min(s for each in shares.values() for s in each if s > 0)
    axes.set_xscale("log")
    axes.set_xlim(least / 2.5, 1.0)
    spread = 0.18 if len(shares) > 1 else 0.0
    offsets = np.linspace(spread, -spread, len(shares))
    for number, (name, share) in enumerate(shares.items()):
        caption = (
            f"{name} ({statistics[name].images} images, "
            f"{statistics[name].void_share:.1%} void)"
        )
        own = places + offsets[number]
        _draw_marks(axes, name, caption, share[order], own, number)
    _draw_frame(axes, [class_set.names[k] for k in order], places, groups)
    figure.legend(
        loc="upper left",
        bbox_to_anchor=(left / width, 1 - (0.3 if title else 0.05) / height),
        ncols=2,
        fontsize=7.5,
        frameon=False,
        borderaxespad=0,
        handletextpad=0.2,
    )
    if title:
        place = (left / width, 1 - 0.08 / height)
        figure.text(*place, title, fontsize=10, va="top", color=style.INK)
    return figure


def _draw_marks(
    axes: Axes,
    name: str,
    caption: str,
    share: npt.NDArray[np.float64],
    places: npt.NDArray[np.float64],
    number: int,
) -> None:
    """Draws one series, and the word where it has no pixel of a class."""
    colour = _COLOURS[number % len(_COLOURS)]
    shown = share > 0
    axes.plot(
        share[shown],
        places[shown],
        marker=_MARKERS[number % len(_MARKERS)],
        color=colour,
        linestyle="none",
        markersize=4.5,
        clip_on=False,
        label=caption,
    )
    for place in places[~shown]:
        axes.text(
            0.01,
            place,
            f"absent in {name}",
            fontsize=6,
            va="center",
            color=colour,
            transform=axes.get_yaxis_transform(),
        )


def _draw_frame(
    axes: Axes,
    names: list[str],
    places: npt.NDArray[np.float64],
    groups: list[int],
) -> None:
    """Draws lines, names and groups around the marks."""
    for place in places:
        axes.axhline(place, color=style.FAINT, linewidth=0.6, zorder=0)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(places[0] - 0.6, places[-1] + 0.6)
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(length=0, labelsize=8, colors=style.INK)
    axes.set_xlabel(
        "share of labelled pixels (logarithmic)", fontsize=8, color=style.INK
    )
    for side in axes.spines.values():
        side.set_visible(False)
    for group, colour in style.group_colours(groups).items():
        own = [p for p, g in zip(places, groups, strict=True) if g == group]
        axes.text(
            1.03,
            float(np.mean(own)),
            style.group_name(group),
            fontsize=8,
            va="center",
            color=colour,
            transform=axes.get_yaxis_transform(),
        )


def _percent(share: float, _: int) -> str:
    return f"{100 * share:g}%"
