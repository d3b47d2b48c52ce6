"""Pictures: ground matrices, plans, labels, frequencies, IoU, confusions.

Every function returns a matplotlib `Figure` that belongs to no window, so it
runs without a display: save it with `figure.savefig(path)`.
"""

from importlib.util import find_spec

if not (find_spec("matplotlib") and find_spec("scipy")):
    raise ModuleNotFoundError(
        "wseg_tf.plots needs matplotlib and SciPy: install `wseg_tf[plots]`.",
        name="matplotlib",
    )

from wseg_tf.plots.frequencies import plot_frequencies
from wseg_tf.plots.history import plot_history
from wseg_tf.plots.labels import (
    overlay,
    plot_comparison,
    plot_frames,
    plot_labels,
)
from wseg_tf.plots.matrix import plot_confusion, plot_ground, plot_severity
from wseg_tf.plots.methods import plot_methods
from wseg_tf.plots.rounds import plot_rounds
from wseg_tf.plots.scores import plot_iou
from wseg_tf.plots.transport import (
    cheapest_plan,
    plot_predictions,
    plot_transport,
)

__all__ = [
    "cheapest_plan",
    "overlay",
    "plot_comparison",
    "plot_confusion",
    "plot_frames",
    "plot_frequencies",
    "plot_ground",
    "plot_history",
    "plot_iou",
    "plot_labels",
    "plot_methods",
    "plot_predictions",
    "plot_rounds",
    "plot_severity",
    "plot_transport",
]
