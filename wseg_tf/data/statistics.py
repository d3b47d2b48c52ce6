"""How often each class occurs, and the weights that follow from it.

Needs NumPy alone, so that Beam workers can count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wseg_tf.classes import ClassSet

PixelsByClass = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float64]

WEIGHTINGS = ("median_frequency", "logarithmic")
# Paszke et al. 2016, Sec. 5.1: bounds the weights to about 1..50.
LOGARITHMIC_OFFSET = 1.02


@dataclass(frozen=True)
class PixelStatistics:
    """Exact pixel counts of some frames; sums of statistics are statistics.

    Args:
        pixels: Pixels of each class and, last, of void, int64 `[N + 1]`.
        present: Labelled pixels of those frames that show the class, `[N]`.
        frames: Frames that show the class, `[N]`.
        images: Number of frames.
        sizes: Number of frames of each size (height, width).
    """

    pixels: PixelsByClass
    present: PixelsByClass
    frames: PixelsByClass
    images: int = 0
    sizes: Mapping[tuple[int, int], int] = field(default_factory=dict)

    @classmethod
    def empty(cls, classes: int) -> PixelStatistics:
        """Returns the statistics of no frame, for N classes."""
        return cls(
            np.zeros(classes + 1, np.int64),
            np.zeros(classes, np.int64),
            np.zeros(classes, np.int64),
        )

    @classmethod
    def of_frame(
        cls, counts: Sequence[int], size: tuple[int, int]
    ) -> PixelStatistics:
        """Returns the statistics of one frame.

        Args:
            counts: Pixels of each class and, last, of void, as
                `CheckedPair.counts`.
            size: Height and width.
        """
        pixels = np.asarray(counts, np.int64)
        seen = (pixels[:-1] > 0).astype(np.int64)
        return cls(pixels, seen * pixels[:-1].sum(), seen, 1, {size: 1})

    def __add__(self, other: PixelStatistics) -> PixelStatistics:
        """Returns the statistics of the frames of both."""
        sizes = dict(self.sizes)
        for size, count in other.sizes.items():
            sizes[size] = sizes.get(size, 0) + count
        return PixelStatistics(
            self.pixels + other.pixels,
            self.present + other.present,
            self.frames + other.frames,
            self.images + other.images,
            dict(sorted(sizes.items())),
        )

    @property
    def frequencies(self) -> Weights:
        """Share of each class among labelled pixels, `[N]`; NaN of none."""
        return _share(self.pixels[:-1], self.pixels[:-1].sum())

    @property
    def void_share(self) -> float:
        """Share of void among all pixels; NaN of none."""
        return float(_share(self.pixels[-1:], self.pixels.sum())[0])


def class_weights(
    statistics: PixelStatistics, weighting: str = "median_frequency"
) -> Weights:
    """Returns a weight for each class that is higher where it is rarer.

    `"median_frequency"`: `median(f) / f_k` with `f_k` the share of class k
    among the pixels of the frames that show it (Eigen and Fergus 2015,
    Sec. 6.3.2; SegNet). `"logarithmic"`: `1 / log(1.02 + p_k)` with `p_k`
    its share among all labelled pixels (ENet: Paszke et al. 2016, Sec. 5.1).

    Args:
        statistics: Of the training frames.
        weighting: One of `WEIGHTINGS`.

    Returns:
        Weights `[N]`, float64; 0 for a class without a pixel.

    Raises:
        ValueError: If there is no such weighting.

    Example:

    >>> frame = PixelStatistics.of_frame([60, 30, 10, 5], size=(7, 15))
    >>> class_weights(frame).round(2).tolist()
    [0.5, 1.0, 3.0]
    """
    if weighting not in WEIGHTINGS:
        raise ValueError(
            "Invalid value for argument `weighting`. Expected one of "
            f"{list(WEIGHTINGS)}. Received: weighting={weighting!r}."
        )
    shown = statistics.frames > 0
    weights = np.zeros(len(shown))
    if weighting == "logarithmic":
        share = statistics.frequencies[shown]
        weights[shown] = 1 / np.log(LOGARITHMIC_OFFSET + share)
    elif shown.any():
        share = statistics.pixels[:-1][shown] / statistics.present[shown]
        weights[shown] = np.median(share) / share
    return weights


def group_weights(
    statistics: PixelStatistics,
    classes: ClassSet,
    weighting: str = "logarithmic",
) -> Weights:
    """Returns a weight for each class: that of its importance group.

    A group's pixels are counted as if it were one class.

    Args:
        statistics: Of the training frames.
        classes: The class set, for its groups.
        weighting: One of `WEIGHTINGS`. A group's presence in a frame is not
            counted, so that `f` is its share among all labelled pixels.

    Returns:
        Weights `[N]`, float64; 0 for a group without a pixel.

    Raises:
        ValueError: If there is no such weighting, or the statistics have
            another number of classes.
    """
    if len(statistics.frames) != len(classes):
        raise ValueError(
            "Invalid value for argument `statistics`. Expected "
            f"{len(classes)} classes ({classes.name}). Received: "
            f"{len(statistics.frames)}."
        )
    groups, place = np.unique(classes.groups, return_inverse=True)
    pixels = np.zeros(len(groups) + 1, np.int64)
    np.add.at(pixels, place, statistics.pixels[:-1])
    merged = PixelStatistics.of_frame(pixels.tolist(), (1, 1))
    return class_weights(merged, weighting)[place]


def _share(counts: PixelsByClass, total: np.int64) -> Weights:
    if total == 0:
        return np.full(len(counts), np.nan)
    return counts / float(total)
