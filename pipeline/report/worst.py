"""The images a model does worst on, for each critical class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.gate.image_counts import ImageCounts
from wseg_tf.classes import ClassSet
from wseg_tf.metrics import iou_per_class
from wseg_tf.metrics.confusion import Counts

PER_CLASS = 2


@dataclass(frozen=True)
class WorstImage:
    """An image with many wrong pixels of a critical class.

    Args:
        class_name: The class.
        name: The image.
        drive: Its drive.
        missed: Pixels of the class taken for others.
        invented: Pixels of others taken for the class.
        iou: IoU of the class in this image.
        baseline: The same of the baseline, or None.
    """

    class_name: str
    name: str
    drive: str
    missed: int
    invented: int
    iou: float
    baseline: float | None


def worst_images(images: ImageCounts, classes: ClassSet) -> list[WorstImage]:
    """Finds the images with most wrong pixels of each critical class.

    Args:
        images: The counts of every image.
        classes: The class set.

    Returns:
        At most two images for each critical class, the worst first; none
        where every pixel of the class is right.
    """
    found = []
    for class_name in classes.critical:
        index = classes.index(class_name)
        hits = images.candidate[:, index, index]
        missed = images.candidate[:, index].sum(axis=-1) - hits
        invented = images.candidate[:, :, index].sum(axis=-1) - hits
        wrong = missed + invented
        for i in np.argsort(-wrong, kind="stable")[:PER_CLASS]:
            if wrong[i] == 0:
                continue
            found.append(
                WorstImage(
                    class_name,
                    images.names[i],
                    images.drives[i],
                    int(missed[i]),
                    int(invented[i]),
                    _iou(images.candidate[i], index),
                    None
                    if images.baseline is None
                    else _iou(images.baseline[i], index),
                )
            )
    return found


def _iou(counts: Counts, index: int) -> float:
    return float(iou_per_class(counts)[index])
