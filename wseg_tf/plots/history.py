"""The curves of a training: loss and IoU over the epochs of its stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wseg_tf.plots import style

LOSSES = {
    "loss": ("training", style.INK),
    "validation_loss": ("validation", "#e08e2b"),
}
IOUS = {
    "mean_iou": ("mean IoU", "#3b6ea8"),
    "critical_iou": ("IoU of critical classes", style.CRITICAL),
}


def plot_history(
    rows: Sequence[Mapping[str, Any]], title: str | None = None
) -> Figure:
    """Draws the losses and, below them, mean and critical IoU by epoch.

    Args:
        rows: Lines of a history: dictionaries with `stage` and `loss`, and
            `validation_loss`, `mean_iou` and `critical_iou` where the epoch was
            evaluated; numbers or texts, as `history.csv` holds them.
        title: Written above. Defaults to `None`.

    Returns:
        The figure; a line marks where a stage begins, since the losses of two
        stages do not compare.

    Raises:
        ValueError: If there is no line.

    Example:

    >>> rows = [{"stage": "train", "loss": 1.0, "mean_iou": 0.25}]
    >>> figure = plot_history(rows)
    """
    if not rows:
        raise ValueError(
            "Invalid value for argument `rows`. Expected at least one line. "
            "Received: rows=[]."
        )
    width, height = 6.4, 4.2
    figure = style.new_figure(width, height)
    left, panel = 0.65 / width, 5.55 / width
    loss = figure.add_axes((left, 2.35 / height, panel, 1.35 / height))
    iou = figure.add_axes((left, 0.5 / height, panel, 1.35 / height))
    epochs = np.arange(1, len(rows) + 1)
    stages = [str(row.get("stage", "")) for row in rows]
    for name, (caption, colour) in LOSSES.items():
        values = _values(rows, name)
        if not np.isfinite(values).any():
            continue
        for begin, end in _spans(stages):
            part, label = slice(begin, end), "" if begin else caption
            _draw(loss, epochs[part], values[part], label, colour)
    for name, (caption, colour) in IOUS.items():
        _draw(iou, epochs, 100 * _values(rows, name), caption, colour)
    _finish(loss, "loss", len(rows))
    _finish(iou, "IoU, %", len(rows))
    loss.tick_params(labelbottom=False)
    iou.set_xlabel("epoch", fontsize=8, color=style.INK)
    for axes in (loss, iou):
        axes.legend(fontsize=8, frameon=False, loc="best")
    for number, (begin, end) in enumerate(_spans(stages)):
        for axes in (loss, iou):
            axes.axvline(begin + 0.5, color=style.FAINT, lw=1, zorder=0)
        # Names of short stages neither meet nor leave the picture.
        is_late = number > 0 and begin >= len(rows) / 2
        loss.text(
            end + 0.5 if is_late else begin + 0.6, 1.03 + 0.13 * (number % 2),
            stages[begin], ha="right" if is_late else "left", fontsize=8,
            color=style.INK, transform=loss.get_xaxis_transform(),
        )  # fmt: skip
    if title is not None:
        figure.text(left, 1 - 0.2 / height, title, fontsize=10, color=style.INK)
    return figure


def _spans(stages: Sequence[str]) -> list[tuple[int, int]]:
    """Returns where each run of one stage begins and ends."""
    begins = [
        place
        for place, stage in enumerate(stages)
        if place == 0 or stage != stages[place - 1]
    ]
    return list(zip(begins, [*begins[1:], len(stages)], strict=True))


def _values(
    rows: Sequence[Mapping[str, Any]], name: str
) -> npt.NDArray[np.float64]:
    return np.array(
        [np.nan if row.get(name) in (None, "") else float(row[name])
         for row in rows]
    )  # fmt: skip


def _draw(
    axes: Axes,
    epochs: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    caption: str,
    colour: str,
) -> None:
    """Draws a curve through the epochs whose value is known."""
    known = np.isfinite(values)
    axes.plot(
        epochs[known], values[known], "o-", color=colour, ms=2, lw=1.2,
        label=caption,
    )  # fmt: skip


def _finish(axes: Axes, caption: str, epochs: int) -> None:
    axes.set_ylabel(caption, fontsize=8, color=style.INK)
    axes.set_xlim(0.5, epochs + 0.5)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.grid(axis="y", color=style.FAINT, lw=0.6)
    axes.tick_params(labelsize=8, colors=style.INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
