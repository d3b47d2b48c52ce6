"""Pictures: ground matrices, labels, class frequencies, IoU, confusions.

Every function returns a matplotlib `Figure` that belongs to no window, so it
runs without a display: save it with `figure.savefig(path)`.
"""

from wseg_tf.plots.frequencies import plot_frequencies
from wseg_tf.plots.labels import overlay, plot_frames, plot_labels
from wseg_tf.plots.matrix import plot_confusion, plot_ground
from wseg_tf.plots.scores import plot_iou

__all__ = [
    "overlay",
    "plot_confusion",
    "plot_frames",
    "plot_frequencies",
    "plot_ground",
    "plot_iou",
    "plot_labels",
]
