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


# What is counted, in words.
MEANING = (
    "A miss is a connected region of a critical class of {smallest} pixels or "
    "more, of which less than half is given any critical class"
)


class Region(NamedTuple):
    """A connected region of a critical class in the labels of an image.

    Attributes:
        own: Id of its class.
        box: Rows and columns of the smallest box around it.
        pixels: How many it has.
        given: If it is missed, the class that most of its pixels without a
            critical class were given; None if it is found.
    """

    own: int
    box: tuple[slice, slice]
    pixels: int
    given: int | None


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

    Args:
        labels: True class ids `[H, W]`.
        predicted: Predicted class ids `[H, W]`.
        classes: The class set; says which classes are critical.
        smallest: Pixels of the smallest region that counts. Defaults to 100.

    Returns:
        The counts of what `critical_regions` finds.

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
    count = len(classes)
    misses = Misses(
        np.zeros(count, np.int64), np.zeros([count, count], np.int64)
    )
    for region in critical_regions(labels, predicted, classes, smallest):
        misses.regions[region.own] += 1
        if region.given is not None:
            misses.missed[region.own, region.given] += 1
    return misses


def critical_regions(
    labels: npt.ArrayLike,
    predicted: npt.ArrayLike,
    classes: ClassSet,
    smallest: int = SMALLEST,
) -> list[Region]:
    """Finds the critical regions of an image, and which are missed.

    A region is made of pixels of one critical class that touch, by a side or
    a corner. It is missed if less than half of it is given any critical class:
    a bicyclist called pedestrian is found. SciPy labels the regions.

    Args:
        labels: True class ids `[H, W]`.
        predicted: Predicted class ids `[H, W]`.
        classes: The class set; says which classes are critical.
        smallest: Pixels of the smallest region that counts. Defaults to 100.

    Returns:
        The regions, by class.

    Raises:
        ValueError: If the shapes differ or are no image's.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> labels = np.full([10, 30], CAMVID.index("road"))
    >>> predicted = labels.copy()
    >>> labels[:, 20:] = CAMVID.index("pedestrian")
    >>> [region] = critical_regions(labels, predicted, CAMVID)
    >>> region.box[1], region.pixels, CAMVID.names[region.given]
    (slice(20, 30, None), 100, 'road')
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
    found = []
    for own in critical:
        regions, _ = ndimage.label(labels == own, np.ones([3, 3]))
        for place, box in enumerate(ndimage.find_objects(regions), start=1):
            region = regions[box] == place
            size = int(np.count_nonzero(region))
            if size < smallest:
                continue
            given = None
            if 2 * np.count_nonzero(is_found[box] & region) < size:
                others = predicted[box][region & ~is_found[box]]
                counts = np.bincount(others, minlength=count)[:count]
                given = int(counts.argmax())
            found.append(Region(own, box, size, given))
    return found
