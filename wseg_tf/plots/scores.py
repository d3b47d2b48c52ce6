"""IoU by class, sorted into importance groups, of one or several models."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wseg_tf import metrics
from wseg_tf.classes import ClassSet
from wseg_tf.plots import style


def plot_iou(
    counts: Mapping[str, npt.ArrayLike],
    class_set: ClassSet,
    title: str | None = None,
) -> Figure:
    """Draws the IoU of each class, group by group, most important first.

    Args:
        counts: Confusion count `[N, N]` by the model's name.
        class_set: Names and importance groups.
        title: Written above. Defaults to `None`.

    Returns:
        The figure: bars by class, and each group's mean under its name, in
        the models' order. A class that is absent has no bar but the word.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> import numpy as np
    >>> figure = plot_iou({"model": np.eye(11)}, CAMVID)
    """
    order = sorted(range(len(class_set)), key=lambda i: -class_set.groups[i])
    groups = [class_set.groups[i] for i in order]
    # A gap between groups.
    places = np.arange(len(order)) + 0.8 * np.cumsum(
        [0] + [a != b for a, b in pairwise(groups)]
    )
    slot = 0.52 if len(counts) < 3 else 0.2 * len(counts)
    width = max(6.0, slot * (places[-1] + 2) + 1.0)
    bottom = 0.64 * style.text_length(class_set.names) + 0.3
    above = 1.05 if title or len(counts) > 1 else 0.5
    height = bottom + 2.2 + above
    figure = style.new_figure(width, height)
    axes = figure.add_axes(
        (0.75 / width, bottom / height, 1 - 0.95 / width, 2.2 / height)
    )
    for number, (name, matrix) in enumerate(counts.items()):
        iou = 100 * metrics.iou_per_class(matrix)[order]
        _draw_bars(axes, name, iou, places, groups, number, len(counts))
    _draw_frame(axes, [class_set.names[i] for i in order], places, groups)
    _draw_groups(axes, places, groups, _group_means(counts, class_set))
    if len(counts) > 1:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1 + 0.47 / 2.2),
            ncols=len(counts),
            fontsize=8,
            frameon=False,
            borderaxespad=0,
        )
    if title:
        figure.text(
            0.15 / width,
            1 - 0.22 / height,
            title,
            fontsize=12,
            fontweight="bold",
            color=style.INK,
            va="center",
        )
    return figure


def _draw_bars(
    axes: Axes,
    name: str,
    iou: npt.NDArray[np.float64],
    places: npt.NDArray[np.float64],
    groups: list[int],
    number: int,
    models: int,
) -> None:
    thickness = 0.84 / models
    by_group = style.group_colours(groups)
    shifted = places + (number - (models - 1) / 2) * thickness
    colours = (
        [by_group[group] for group in groups]
        if models == 1
        else style.SERIES_COLOURS[number % len(style.SERIES_COLOURS)]
    )
    axes.bar(
        shifted, np.nan_to_num(iou), 0.92 * thickness, color=colours, label=name
    )
    size = 6.5 if models < 3 else 5
    for place, value in zip(shifted, iou, strict=True):
        absent = np.isnan(value)
        axes.text(
            place,
            1.5 if absent else value + 1,
            "absent" if absent else f"{value:.0f}",
            ha="center",
            va="bottom",
            rotation=90 if absent else 0,
            fontsize=size,
            color=style.INK,
        )


def _draw_frame(
    axes: Axes,
    names: list[str],
    places: npt.NDArray[np.float64],
    groups: list[int],
) -> None:
    axes.set_ylim(0, 105)
    axes.set_xlim(places[0] - 0.8, places[-1] + 0.8)
    axes.set_ylabel("IoU, %", fontsize=9, color=style.INK)
    axes.set_xticks(places, names, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(0, 101, 20))
    axes.tick_params(axis="y", labelsize=7, length=0)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y", color=style.FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    colours = style.group_colours(groups)
    for label, group in zip(axes.get_xticklabels(), groups, strict=True):
        label.set_rotation_mode("anchor")
        label.set_color(colours[group])


def _group_means(
    counts: Mapping[str, npt.ArrayLike], class_set: ClassSet
) -> dict[int, str]:
    """Returns the mean IoU of each group, one figure a model, as text."""
    models = [
        {
            group: metrics.score(f"iou_group/{group}", matrix, class_set)
            for group in sorted(set(class_set.groups))
        }
        for matrix in counts.values()
    ]
    return {
        group: " · ".join(
            "-" if np.isnan(means[group]) else f"{100 * means[group]:.0f}"
            for means in models
        )
        for group in models[0]
    }


def _draw_groups(
    axes: Axes,
    places: npt.NDArray[np.float64],
    groups: list[int],
    means: Mapping[int, str],
) -> None:
    """Draws a bar below each group, its name and its means above."""
    for group, colour in style.group_colours(groups).items():
        own = places[[g == group for g in groups]]
        axes.plot(
            [own[0] - 0.5, own[-1] + 0.5],
            [-1.5, -1.5],
            color=colour,
            linewidth=3,
            solid_capstyle="butt",
            clip_on=False,
        )
        axes.text(
            own.mean(),
            112,
            style.group_name(group),
            ha="center",
            va="bottom",
            fontsize=8,
            color=colour,
            fontweight="bold",
        )
        mean = f"mean {means[group]}" if len(own) > 1 else means[group]
        axes.text(
            own.mean(),
            105,
            mean,
            ha="center",
            va="bottom",
            fontsize=7,
            color=style.INK,
        )
