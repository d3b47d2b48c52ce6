"""Where mass goes: predictions that cost differently, and transport plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import linprog

from wseg_tf.classes import ClassSet
from wseg_tf.ground import GroundMatrix
from wseg_tf.plots import style

Plan = npt.NDArray[np.float64]

# Mass below this is not drawn.
VISIBLE = 1e-3


def plot_predictions(
    predictions: Mapping[str, npt.ArrayLike],
    truth: str,
    ground: GroundMatrix,
    class_set: ClassSet,
) -> Figure:
    """Draws predictions of one pixel with what each loss says of them.

    As in Fig. 1 of Liu et al. (AAAI 2020): cross-entropy sees the probability
    of the true class alone, the Wasserstein loss also where the rest went.

    Args:
        predictions: Probabilities `[N]` by the caption of a panel.
        truth: Name of the true class.
        ground: D, rows truth, in the order of the class set.
        class_set: Names and colours.

    Returns:
        The figure, a panel a prediction.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> even = {"even": np.full(11, 1 / 11)}
    >>> D = GroundMatrix.severity_aware(CAMVID)
    >>> figure = plot_predictions(even, "car", D, CAMVID)
    """
    figure = style.new_figure(6.4, 0.4 + 1.8 * len(predictions))
    panels = figure.subplots(len(predictions), 1, squeeze=False, sharex=True)
    row = class_set.index(truth)
    for axes, (name, given) in zip(
        panels[:, 0], predictions.items(), strict=True
    ):
        values = np.asarray(given, np.float64)
        entropy = -np.log(values[row])
        cost = values @ ground.values[row]
        axes.bar(class_set.names, values, color=_colours(class_set), width=0.7)
        axes.set_title(
            f"{name}: cross-entropy {entropy:.2f}, Wasserstein {cost:.2f}",
            fontsize=9,
            loc="left",
        )
        axes.set_ylim(0, 1)
        axes.set_ylabel("probability", fontsize=8)
        _plain(axes)
    last = panels[-1, 0]
    last.tick_params(axis="x", rotation=40)
    for label in last.get_xticklabels():
        label.set_fontweight("bold" if label.get_text() == truth else "normal")
    figure.tight_layout()
    return figure


def plot_transport(
    pairs: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    ground: GroundMatrix,
    class_set: ClassSet,
) -> Figure:
    """Draws the cheapest plans from predictions to targets.

    As in Fig. 3 of Liu et al. (AAAI 2020): for a class id there is one plan,
    for a soft target the cheapest has to be found.

    Args:
        pairs: Predicted and target masses `[N]`, of equal sums, by the
            caption of a panel.
        ground: D, rows truth, in the order of the class set.
        class_set: Names and colours.

    Returns:
        The figure, a panel a pair; a line is as wide as the mass it moves.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> s, t = np.full(11, 1 / 11), np.eye(11)[8]
    >>> D = GroundMatrix.severity_aware(CAMVID)
    >>> figure = plot_transport({"to a class id": (s, t)}, D, CAMVID)
    """
    figure = style.new_figure(3.6 * len(pairs), 3.6)
    panels = figure.subplots(1, len(pairs), squeeze=False)
    for axes, (name, (source, target)) in zip(
        panels[0], pairs.items(), strict=True
    ):
        s, t = np.asarray(source, np.float64), np.asarray(target, np.float64)
        plan = cheapest_plan(s, t, ground)
        cost = float((plan * ground.values.T).sum())
        axes.set_title(f"{name}: W = {cost:.2f}", fontsize=9)
        _draw_plan(axes, plan, s, t, class_set)
    figure.tight_layout()
    return figure


def cheapest_plan(
    source: npt.ArrayLike, target: npt.ArrayLike, ground: GroundMatrix
) -> Plan:
    """Returns what goes where: the linear programme of Eq. 1, as it stands.

    Args:
        source: Predicted masses `[N]`.
        target: Target masses `[N]`, of the same sum.
        ground: D, rows truth.

    Returns:
        Masses `[N, N]`, from predicted class (row) to true class (column).

    Raises:
        ValueError: If the sums differ.

    Example:

    >>> D = GroundMatrix([[0, 1], [4, 0]])
    >>> cheapest_plan([0.75, 0.25], [0.5, 0.5], D)
    array([[0.5 , 0.25],
           [0.  , 0.25]])
    """
    s, t = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if not np.isclose(s.sum(), t.sum()):
        raise ValueError(
            "Invalid value for argument `target`. Expected the mass of the "
            f"source, {s.sum():.6g}. Received: {t.sum():.6g}."
        )
    count = len(s)
    leaving = np.kron(np.eye(count), np.ones((1, count)))
    entering = np.kron(np.ones((1, count)), np.eye(count))
    found = linprog(
        ground.values.T.ravel(),
        A_eq=np.vstack([leaving, entering]),
        b_eq=np.concatenate([s, t * (s.sum() / t.sum())]),
    )
    plan: Plan = found.x.reshape(count, count)
    return plan


def _draw_plan(
    axes: Axes, plan: Plan, source: Plan, target: Plan, class_set: ClassSet
) -> None:
    shown = [
        k for k in range(len(source)) if max(source[k], target[k]) > VISIBLE
    ]
    height = {k: -place for place, k in enumerate(shown)}
    colours = _colours(class_set)
    for i in shown:
        for j in shown:
            if plan[i, j] > VISIBLE:
                axes.plot(
                    [0, 1],
                    [height[i], height[j]],
                    color=colours[i],
                    linewidth=14 * plan[i, j],
                    alpha=0.75,
                    solid_capstyle="butt",
                )
    for x, masses, align in ((0, source, "right"), (1, target, "left")):
        for k in shown:
            if masses[k] > VISIBLE:
                axes.text(
                    x + (0.04 if x else -0.04),
                    height[k],
                    f"{class_set.names[k]} {masses[k]:.2f}",
                    ha=align,
                    va="center",
                    fontsize=7,
                )
    axes.set_xlim(-0.75, 1.75)
    axes.set_ylim(min(height.values()) - 0.6, 1.0)
    axes.text(0, 0.7, "prediction", ha="center", fontsize=7, style="italic")
    axes.text(1, 0.7, "target", ha="center", fontsize=7, style="italic")
    axes.set_axis_off()


def _colours(class_set: ClassSet) -> Sequence[tuple[float, ...]]:
    return [tuple(c / 255 for c in colour) for colour in class_set.drawn]


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=7, length=2, color=style.FAINT)
    axes.grid(axis="y", color=style.FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
