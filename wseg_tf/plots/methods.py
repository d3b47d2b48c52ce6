"""Methods of a comparison by two figures: the whole, and what matters most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from wseg_tf.plots import style

ROW = 0.17  # inches of a method's line in the legend
KINDS = {"reference": "#2b2f3a", "trained": "#3b6ea8", "decided": "#c0334d"}
Point = tuple[Sequence[float], Sequence[float]]


def plot_methods(
    points: Mapping[str, Point],
    labels: tuple[str, str],
    reference: str,
    decided: Sequence[str] = (),
    title: str | None = None,
) -> Figure:
    """Draws a numbered point for each method, with its spread over seeds.

    Args:
        points: By method, the figures across and up: one a seed, in percent.
        labels: What is across, and what is up.
        reference: The method with lines through its point.
        decided: Methods that train nothing; they have a colour of their own.
        title: Written above. Defaults to `None`.

    Returns:
        The figure.

    Raises:
        ValueError: If the reference is none of the methods.

    Example:

    >>> points = {"CE": ([50.0, 51.0], [28.0, 29.0]), "W": ([49.0], [31.0])}
    >>> figure = plot_methods(points, ("mean IoU, %", "group 4, %"), "CE")
    """
    if reference not in points:
        raise ValueError(
            f"Invalid value for argument `reference`. Expected one of "
            f"{[*points]}. Received: reference={reference!r}."
        )
    width = 4.8 + style.text_length(f"00  {name}" for name in points)
    height = max(3.6, 0.6 + ROW * len(points))
    figure = style.new_figure(width, height)
    axes = figure.add_axes(
        (0.6 / width, 0.5 / height, 3.7 / width, 1 - 0.85 / height)
    )
    for place, value in zip("xy", points[reference], strict=True):
        line = axes.axvline if place == "x" else axes.axhline
        line(float(np.mean(value)), color=style.FAINT, lw=0.9, zorder=0)
    for number, (method, point) in enumerate(points.items()):
        kind = "decided" if method in decided else "trained"
        colour = KINDS["reference" if method == reference else kind]
        across, up = (float(np.mean(each)) for each in point)
        spread = [float(np.std(e, ddof=1)) if len(e) > 1 else 0 for e in point]
        axes.errorbar(
            across, up, spread[1], spread[0], color=colour, lw=0.8, alpha=0.5
        )
        axes.plot(across, up, "o", ms=9, color=colour, mec="white", mew=0.6)
        axes.annotate(
            str(number),
            (across, up),
            color="white",
            fontsize=5.5,
            ha="center",
            va="center_baseline",
            zorder=4,
        )
        top = height - 0.45 - ROW * number
        figure.text(
            4.6 / width,
            top / height,
            f"{number}  {method}",
            fontsize=7.5,
            color=colour,
            va="center",
        )
    axes.set_xlabel(labels[0], fontsize=8, color=style.INK)
    axes.set_ylabel(labels[1], fontsize=8, color=style.INK)
    axes.grid(color=style.FAINT, lw=0.4)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=7, colors=style.INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if title is not None:
        figure.text(
            0.6 / width, 1 - 0.2 / height, title, fontsize=9, color=style.INK
        )
    return figure
