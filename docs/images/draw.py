"""Draws the pictures of docs/losses.md and docs/results.md; run it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from wseg_tf.classes import CAMVID
from wseg_tf.ground import GroundMatrix
from wseg_tf.plots import (
    plot_ground,
    plot_predictions,
    plot_transport,
    style,
)

Histogram = npt.NDArray[np.float64]

HERE = Path(__file__).parent


def grounds() -> dict[str, Figure]:
    """The ground matrices that the page shows."""
    importance = GroundMatrix.importance_aware(CAMVID)
    severity = GroundMatrix.severity_aware(CAMVID)
    return {
        "ground-importance": plot_ground(
            importance, CAMVID, "Importance-aware: a star"
        ),
        "ground-severity": plot_ground(
            severity, CAMVID, "Severity-aware: a tree of two levels"
        ),
        "ground-severity-square": plot_ground(
            severity.power(2), CAMVID, "Severity-aware, squared"
        ),
    }


def gradients() -> Figure:
    """How strongly each loss pulls at the true class' logit."""
    true = np.linspace(0.001, 0.999, 400)
    miss = 1 - true  # The rest lies on one class, which costs w = 4.
    curves = {
        "cross-entropy": miss,
        "Wasserstein, W": 4 * true * miss,
        "CE + 0.2 W": miss + 0.2 * 4 * true * miss,
        'Wasserstein, link="log"': 4 * miss,
    }
    figure = style.new_figure(6.4, 3.1)
    axes = figure.add_axes((0.1, 0.17, 0.56, 0.75))
    colours = ("#8a94a6", "#c0334d", "#e08e2b", "#3b6ea8")
    for (name, curve), colour in zip(curves.items(), colours, strict=True):
        axes.plot(true, curve, label=name, color=colour, linewidth=1.8)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 4.1)
    axes.set_xlabel("probability of the true class", fontsize=8)
    axes.set_ylabel("pull at the true class' logit", fontsize=8)
    axes.tick_params(labelsize=7, length=2, color=style.FAINT)
    axes.grid(color=style.FAINT, linewidth=0.6)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.legend(
        loc="center left", bbox_to_anchor=(1.02, 0.6), fontsize=8, frameon=False
    )
    return figure


def histogram(**masses: float) -> Histogram:
    """Probabilities by class name; the rest is spread evenly."""
    values = np.zeros(len(CAMVID))
    for name, mass in masses.items():
        values[CAMVID.index(name)] = mass
    rest = values == 0
    values[rest] = (1 - values.sum()) / rest.sum()
    return values


def severities() -> dict[str, Figure]:
    """Figures 1 and 3 of the paper, with our matrices and classes."""
    ground = GroundMatrix.severity_aware(CAMVID)
    near = histogram(car=0.3, bicyclist=0.6)
    far = histogram(car=0.3, road=0.6)
    label = np.eye(len(CAMVID))[CAMVID.index("car")]
    soft = histogram(car=0.55, bicyclist=0.25, road=0.15)
    return {
        "severity-of-predictions": plot_predictions(
            {"mostly bicyclist": near, "mostly road": far},
            "car",
            ground,
            CAMVID,
        ),
        "transport-plans": plot_transport(
            {"to a class id": (far, label), "to a soft target": (far, soft)},
            ground,
            CAMVID,
        ),
    }


if __name__ == "__main__":
    pictures = {**grounds(), "gradients": gradients(), **severities()}
    for name, figure in pictures.items():
        figure.savefig(HERE / f"{name}.png", dpi=110, metadata={"Software": ""})
