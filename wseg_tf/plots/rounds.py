"""How rounds of self-training fare: labels kept, labels right, and IoU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wseg_tf.plots import style

PANELS = {
    "kept_share": "labels kept, %",
    "label_accuracy": "labels right, %",
    "critical_iou": "IoU of critical classes, %",
    "mean_iou": "mean IoU, %",
}
COLOURS = ("#3b6ea8", "#c0334d", "#3f8f8b", "#e08e2b", "#6d4a9e", "#2b2f3a")


def plot_rounds(
    runs: Mapping[str, Sequence[Mapping[str, Any]]], title: str | None = None
) -> Figure:
    """Draws what each round kept, how much of it is right, and the IoU after.

    Args:
        runs: Lines of rounds by the name of a method: dictionaries with
            `round` (0 is the source alone), `mean_iou`, `critical_iou`, and
            from round 1 `kept_share` and `label_accuracy`; shares, or None
            where there is nothing to judge.
        title: Written above. Defaults to `None`.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no run.

    Example:

    >>> rows = [{"round": 0, "mean_iou": 0.25, "critical_iou": None}]
    >>> figure = plot_rounds({"cbst": rows})
    """
    if not runs:
        raise ValueError(
            "Invalid value for argument `runs`. Expected at least one. "
            "Received: runs={}."
        )
    width, height = 7.4, 4.6
    figure = style.new_figure(width, height)
    for place, (name, caption) in enumerate(PANELS.items()):
        row, column = divmod(place, 2)
        axes = figure.add_axes(
            (
                (0.6 + 3.45 * column) / width,
                (2.55 - 2.0 * row) / height,
                2.75 / width,
                1.55 / height,
            )
        )
        for index, (method, rows) in enumerate(runs.items()):
            known = [each for each in rows if each.get(name) is not None]
            axes.plot(
                [each["round"] for each in known],
                [100 * each[name] for each in known],
                "o-",
                color=COLOURS[index % len(COLOURS)],
                ms=3,
                lw=1.2,
                label=method,
            )
        axes.set_ylabel(caption, fontsize=8, color=style.INK)
        axes.grid(axis="y", color=style.FAINT, lw=0.6)
        axes.tick_params(labelsize=8, colors=style.INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if row == 1:
            axes.set_xlabel("round", fontsize=8, color=style.INK)
        if place == 0 and np.any([bool(each) for each in runs]):
            axes.legend(fontsize=7, frameon=False, loc="best")
    if title is not None:
        figure.text(
            0.6 / width, 1 - 0.25 / height, title, fontsize=10, color=style.INK
        )
    return figure
