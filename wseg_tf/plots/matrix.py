"""Heat maps of matrices whose rows are truth and columns predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from wseg_tf.classes import ClassSet
from wseg_tf.ground import GroundMatrix
from wseg_tf.plots import style

Matrix = npt.NDArray[np.float64]
LARGEST_WITH_NUMBERS = 24
# Inches: of a cell, and of all of them where there are many classes.
CELL, LARGEST_SIDE = 0.34, 20.0


def plot_ground(
    ground: GroundMatrix | npt.ArrayLike,
    class_set: ClassSet | None = None,
    title: str | None = None,
) -> Figure:
    """Draws a ground matrix as a heat map, rows truth.

    Args:
        ground: D `[N, N]`, `D[true, predicted]`, in the class set's order.
        class_set: Names and importance groups. With it, classes are sorted by
            group, the most important first, and bracketed. Defaults to
            `None`: the matrix' own names, in its order.
        title: Written above. Defaults to `None`.

    Returns:
        The figure.

    Raises:
        ValueError: If the class set has another number of classes.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> figure = plot_ground(GroundMatrix.severity_aware(CAMVID), CAMVID)
    >>> [float(inches) for inches in figure.get_size_inches().round(1)]
    [6.2, 4.8]
    """
    names = ground.classes if isinstance(ground, GroundMatrix) else None
    return _heat_map(
        np.asarray(ground, np.float64),
        class_set,
        names,
        title=title,
        colours=style.SEVERITY,
        scale="cost of the confusion, D",
        text=lambda value: f"{value:.3g}" if value else "·",
    )


def plot_confusion(
    counts: npt.ArrayLike,
    class_set: ClassSet | None = None,
    title: str | None = None,
) -> Figure:
    """Draws a confusion count as shares of each true class, in percent.

    Args:
        counts: Confusion count `[N, N]`, rows truth.
        class_set: Names and importance groups; see `plot_ground`. Defaults to
            `None`: class ids.
        title: Written above. Defaults to `None`.

    Returns:
        The figure. The row of a class that is never true is hatched.

    Raises:
        ValueError: If the class set has another number of classes.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> import numpy as np
    >>> figure = plot_confusion(np.ones((11, 11)), CAMVID)
    """
    matrix = np.asarray(counts, np.float64)
    pixels = matrix.sum(axis=1, keepdims=True)
    share = np.full_like(matrix, np.nan)
    np.divide(100 * matrix, pixels, out=share, where=pixels > 0)
    return _heat_map(
        share,
        class_set,
        None,
        title=title,
        colours=style.SHARE,
        scale="share of the true class' pixels, %",
        text=_percent,
        largest=100.0,
    )


def plot_severity(
    counts: npt.ArrayLike,
    ground: GroundMatrix | npt.ArrayLike,
    class_set: ClassSet | None = None,
    title: str | None = None,
) -> Figure:
    """Draws which confusions the expected severity comes from, in percent.

    A cell is its count times its cost, as a share of the sum over all cells.

    Args:
        counts: Confusion count `[N, N]`, rows truth.
        ground: D `[N, N]`, `D[true, predicted]`.
        class_set: Names and importance groups; see `plot_ground`. Defaults to
            `None`: class ids.
        title: Written above. Defaults to `None`.

    Returns:
        The figure; empty cells where nothing was confused.

    Raises:
        ValueError: If the class set has another number of classes.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> import numpy as np
    >>> D = GroundMatrix.severity_aware(CAMVID)
    >>> figure = plot_severity(np.ones((11, 11)), D, CAMVID)
    """
    cost = np.asarray(counts, np.float64) * np.asarray(ground, np.float64)
    share = 100 * cost / (cost.sum() or 1.0)
    return _heat_map(
        share,
        class_set,
        None,
        title=title,
        colours=style.SEVERITY,
        scale="share of the expected severity, %",
        text=_percent,
        largest=max(float(share.max()), 1.0),
    )


def _percent(value: float) -> str:
    if np.isnan(value) or value == 0:
        return ""
    return f"{value:.0f}" if value >= 0.5 else "<½"


def _heat_map(
    matrix: Matrix,
    class_set: ClassSet | None,
    names: tuple[str, ...] | None,
    *,
    title: str | None,
    colours: Colormap,
    scale: str,
    text: Callable[[float], str],
    largest: float | None = None,
) -> Figure:
    count = len(matrix)
    groups = None
    names = names or tuple(str(i) for i in range(count))
    if class_set is not None:
        if len(class_set) != count:
            raise ValueError(
                "Invalid value for argument `class_set`. Expected a set of "
                f"{count} classes. Received: {class_set.name}, "
                f"{len(class_set)} classes."
            )
        order = sorted(range(count), key=lambda i: -class_set.groups[i])
        matrix = matrix[np.ix_(order, order)]
        names = tuple(class_set.names[i] for i in order)
        groups = [class_set.groups[i] for i in order]
    cell = min(CELL, LARGEST_SIDE / count)
    side = max(3.2, cell * count)
    size = min(8.0, 60 * cell)  # points
    longest = style.text_length(names) * size / 8
    left, top = max(1.5, longest + 0.3), 0.87 * longest + 0.3
    right, bottom = 0.95, 0.2
    above = 0.4 if title else 0.0
    width, height = left + side + right, top + above + side + bottom
    figure = style.new_figure(width, height)
    axes = figure.add_axes(
        (left / width, bottom / height, side / width, side / height)
    )
    if largest is None:
        largest = float(matrix.max())
    image = axes.imshow(matrix, colours, vmin=0, vmax=largest, aspect="equal")
    _draw_cells(axes, matrix, text)
    _draw_names(axes, names, groups, size)
    if groups is not None:
        _draw_brackets(axes, groups, 0.075 * count / side)
    if title:
        figure.text(
            0.15 / width,
            1 - 0.28 / height,
            title,
            fontsize=12,
            fontweight="bold",
            color=style.INK,
            va="center",
        )
    bar = figure.add_axes(
        (
            (left + side + 0.22) / width,
            bottom / height,
            0.14 / width,
            side / height,
        )
    )
    colour_bar = figure.colorbar(image, cax=bar)
    colour_bar.set_label(scale, fontsize=8, color=style.INK)
    colour_bar.outline.set_visible(False)  # type: ignore[operator]
    bar.tick_params(labelsize=7, length=2, color=style.FAINT)
    return figure


def _draw_cells(
    axes: Axes, matrix: Matrix, text: Callable[[float], str]
) -> None:
    """Draws thin lines between the cells and numbers in them."""
    count = len(matrix)
    edges = np.arange(count + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color=style.FAINT, linewidth=0.5)
    for row in np.flatnonzero(np.isnan(matrix).all(axis=1)):
        axes.axhspan(
            row - 0.5,
            row + 0.5,
            facecolor="white",
            edgecolor=style.FAINT,
            hatch="////",
            linewidth=0,
        )
    if count > LARGEST_WITH_NUMBERS:
        return
    image = axes.get_images()[0]
    for (row, column), value in np.ndenumerate(matrix):
        red, green, blue, _ = image.to_rgba(np.asarray(value))
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.6
        axes.text(
            column,
            row,
            text(float(value)),
            ha="center",
            va="center",
            fontsize=6.5,
            color="white" if dark else style.INK,
        )


def _draw_names(
    axes: Axes, names: tuple[str, ...], groups: list[int] | None, size: float
) -> None:
    places = range(len(names))
    axes.set_xticks(places, names, rotation=60, ha="left", fontsize=size)
    for label in axes.get_xticklabels():
        label.set_rotation_mode("anchor")
    axes.set_yticks(places, names, fontsize=size)
    axes.xaxis.tick_top()
    axes.tick_params(which="both", length=0, pad=3 if groups is None else 9)
    for spine in axes.spines.values():
        spine.set_edgecolor(style.FAINT)
    axes.text(
        -0.02,
        1.02,
        "true  ↓    predicted  →",
        transform=axes.transAxes,
        ha="right",
        va="bottom",
        fontsize=8,
        fontstyle="italic",
        color=style.INK,
    )
    if groups is not None:
        colours = style.group_colours(groups)
        labels = (axes.get_xticklabels(), axes.get_yticklabels())
        for ticks in labels:
            for label, group in zip(ticks, groups, strict=True):
                label.set_color(colours[group])


def _draw_brackets(axes: Axes, groups: list[int], distance: float) -> None:
    """Draws a bar along each group, `distance` cells away, and lines."""
    bar: dict[str, Any] = {"clip_on": False, "linewidth": 4}
    bar["solid_capstyle"] = "butt"
    for group, colour in style.group_colours(groups).items():
        first = groups.index(group) - 0.42
        last = len(groups) - groups[::-1].index(group) - 0.58
        beside = -0.5 - distance
        axes.plot([beside, beside], [first, last], color=colour, **bar)
        axes.plot([first, last], [beside, beside], color=colour, **bar)
    for place in range(1, len(groups)):
        if groups[place] != groups[place - 1]:
            axes.axhline(place - 0.5, color=style.INK, linewidth=0.9)
            axes.axvline(place - 0.5, color=style.INK, linewidth=0.9)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_ylim(len(groups) - 0.5, -0.5)
