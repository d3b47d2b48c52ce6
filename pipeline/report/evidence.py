"""Holds what a report is made of together: one model, one run, one data set.

A page that shows a model's verdict beside another's figures would be signed
all the same; so whatever does not belong together stops the report.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.gate.image_counts import TOLERANCE, ImageCounts
from wseg_tf.classes import ClassSet
from wseg_tf.data.checks import DataError
from wseg_tf.data.statistics import PixelStatistics
from wseg_tf.metrics.confusion import Counts


def check_digests(noted: str, found: str, what: str) -> None:
    """Refuses a report about something else than what was judged.

    Args:
        noted: The digest that the verdict names; empty if it names none.
        found: The digest of what is reported.
        what: What it is, for the error.

    Raises:
        DataError: If they differ.
    """
    if noted and noted != found:
        raise DataError(
            f"Invalid report. Expected the {what} that the verdict is about "
            f"(sha256 {noted[:12]}). Found: another (sha256 {found[:12]})."
        )


def check_classes(expected: ClassSet, found: ClassSet, what: str) -> None:
    """Refuses a model that counts other classes, or in another order.

    Args:
        expected: The run's classes.
        found: Those of the model.
        what: Which model, for the error.

    Raises:
        DataError: If names or their order differ.
    """
    if expected.names != found.names:
        raise DataError(
            f"Invalid {what}. Expected the run's classes in its order, "
            f"{[*expected.names]}. Found: {[*found.names]}."
        )


def check_counts(images: ImageCounts, counted: PixelStatistics) -> None:
    """Refuses an evaluation of other images than ingest counted.

    Args:
        images: What the Evaluator counted.
        counted: What ingest counted in the split that is judged.

    Raises:
        DataError: If the number of images, or of a class' pixels, differs.
    """
    total = images.candidate.sum(axis=(0, 2))
    pixels = np.asarray(counted.pixels[:-1])
    if len(images) != counted.images or not np.array_equal(total, pixels):
        raise DataError(
            "Invalid evaluation. Expected the "
            f"{counted.images} images and {pixels.sum()} labelled pixels that "
            f"were ingested. Found: {len(images)} images and {total.sum()} "
            "pixels, or others of a class; it is another run's."
        )


def check_image(
    key: tuple[str, str], found: Counts, expected: Sequence[Counts]
) -> int:
    """Refuses an image that the model sees otherwise than it was judged.

    Args:
        key: Its name and drive.
        found: What the model counts in it, here.
        expected: What the Evaluator counted in the images of this key.

    Returns:
        Which of `expected` it is.

    Raises:
        DataError: If more than one pixel in a thousand is counted otherwise.
    """
    name, drive = key
    if not expected:
        raise DataError(
            "Invalid evaluation. Expected counts of every image in the "
            f"records. Found: none of {name!r} of drive {drive!r}."
        )
    differences = [np.abs(found - each).sum() / 2 for each in expected]
    nearest = int(np.argmin(differences))
    moved = differences[nearest]
    if moved > TOLERANCE * max(1, found.sum()):
        raise DataError(
            f"Invalid evaluation. Expected what the model sees in {name!r} of "
            f"drive {drive!r}. Found: counts in which {moved:.0f} of its "
            f"{found.sum()} pixels are other classes'; they are another "
            "model's, or of other labels."
        )
    return nearest
