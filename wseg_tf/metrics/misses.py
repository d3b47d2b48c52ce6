"""Critical misses: whole objects that a model gives no critical class.

IoU weighs pixels; a driver fears the pedestrian who is not seen at all. An
object here is a connected region of one critical class in the labels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from wseg_tf.classes import ClassSet

# As many pixels of 360x480 as a pedestrian has at some forty metres.
SMALLEST = 100

Ids = npt.NDArray[np.integer[Any]]


class Misses(NamedTuple):
    """What was missed in one image.

    Attributes:
        regions: Regions of each class `[N]`; 0 for classes not critical.
        missed: Those missed, by what most of their other pixels were given:
            `[N, N]`, rows truth.
    """

    regions: npt.NDArray[np.int64]
    missed: npt.NDArray[np.int64]


def critical_misses(
    labels: npt.ArrayLike,
    predicted: npt.ArrayLike,
    classes: ClassSet,
    smallest: int = SMALLEST,
) -> Misses:
    """Counts the critical regions of an image, and those missed.

    A region is made of pixels of one critical class that touch, by a side or
    a corner. It is missed if less than half of it is given any critical class:
    a bicyclist called pedestrian is found. SciPy labels the regions.

    Args:
        labels: True class ids `[H, W]`.
        predicted: Predicted class ids `[H, W]`.
        classes: The class set; says which classes are critical.
        smallest: Pixels of the smallest region that counts. Defaults to 100.

    Returns:
        The counts.

    Raises:
        ValueError: If the shapes differ or are no image's.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> labels = np.full([10, 30], CAMVID.index("road"))
    >>> predicted = labels.copy()
    >>> labels[:, :10] = labels[:, 20:] = CAMVID.index("pedestrian")
    >>> predicted[:, :9] = CAMVID.index("bicyclist")
    >>> found = critical_misses(labels, predicted, CAMVID)
    >>> int(found.regions.sum()), int(found.missed.sum())
    (2, 1)
    """
    from scipy import ndimage

    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if labels.ndim != 2 or labels.shape != predicted.shape:
        raise ValueError(
            "Invalid value for argument `predicted`. Expected class ids "
            f"[H, W], as `labels`. Received: {predicted.shape}, and labels "
            f"{labels.shape}."
        )
    count = len(classes)
    critical = [classes.index(name) for name in classes.critical]
    is_found = np.isin(predicted, critical)
    misses = Misses(
        np.zeros(count, np.int64), np.zeros([count, count], np.int64)
    )
    for own in critical:
        regions, _ = ndimage.label(labels == own, np.ones([3, 3]))
        for place, box in enumerate(ndimage.find_objects(regions), start=1):
            region = regions[box] == place
            size = np.count_nonzero(region)
            if size < smallest:
                continue
            misses.regions[own] += 1
            found = np.count_nonzero(is_found[box] & region)
            if 2 * found < size:
                others = predicted[box][region & ~is_found[box]]
                given = np.bincount(others, minlength=count)[:count]
                misses.missed[own, int(given.argmax())] += 1
    return misses
