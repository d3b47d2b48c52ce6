"""What a model misses: its own look at the images that it was judged on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.gate.image_counts import ImageCounts
from pipeline.report.evidence import check_image
from wseg_tf.classes import ClassSet
from wseg_tf.data.checks import DataError
from wseg_tf.data.records import decode
from wseg_tf.metrics.confusion import Counts, confusion_count
from wseg_tf.metrics.misses import SMALLEST, Region, critical_regions
from wseg_tf.serving import ServedModel

# Regions shown for each critical class.
PER_CLASS = 2
MOST_GIVEN = 3  # of the classes that missed regions were given, named


@dataclass(frozen=True)
class MissedRegion:
    """A region of a critical class that is given no critical class.

    Args:
        class_name: Its class.
        given: The class that most of it was given.
        name: The image.
        drive: Its drive.
        pixels: How many it has.
        box: Rows and columns of the box around it: top, bottom, left, right.
    """

    class_name: str
    given: str
    name: str
    drive: str
    pixels: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Missed:
    """The critical regions of all images judged, and those missed.

    Args:
        regions: Regions of each class `[N]`.
        missed: Those missed, by what they were given `[N, N]`, rows truth.
        images: Images that were looked at.
        smallest: Pixels of the smallest region that counts.
        shown: The largest that are missed of each class.
    """

    regions: Counts
    missed: Counts
    images: int
    smallest: int
    shown: Sequence[MissedRegion] = ()

    def by_class(self, classes: ClassSet) -> list[dict[str, Any]]:
        """Returns, of each critical class, regions, misses and as what."""
        rows = []
        for name in classes.critical:
            index = classes.index(name)
            row = self.missed[index]
            order = np.argsort(-row, kind="stable")[:MOST_GIVEN]
            regions, missed = int(self.regions[index]), int(row.sum())
            rows.append(
                {
                    "class": name,
                    "regions": regions,
                    "missed": missed,
                    "share": missed / regions if regions else None,
                    "given": [
                        {"class": classes.names[i], "regions": int(row[i])}
                        for i in order
                        if row[i]
                    ],
                }
            )
        return rows


def look(
    model: ServedModel,
    examples: Iterable[dict[str, tf.Tensor]],
    images: ImageCounts,
    classes: ClassSet,
    smallest: int = SMALLEST,
) -> Missed:
    """Looks at every image again, and counts what is missed.

    Args:
        model: The model that was judged.
        examples: The records it was judged on, as
            `wseg_tf.data.input.read_records` gives them.
        images: What the Evaluator counted in them.
        classes: The class set.
        smallest: Pixels of the smallest region that counts. Defaults to 100.

    Raises:
        DataError: If the records or the counts are another model's or other
            images': names differ, or an image is counted otherwise.
    """
    count = len(classes)
    regions = np.zeros(count, np.int64)
    missed = np.zeros([count, count], np.int64)
    kept: list[MissedRegion] = []
    expected: dict[tuple[str, str], list[Counts]] = {}
    for name, drive, counts in zip(
        images.names, images.drives, images.candidate, strict=True
    ):
        expected.setdefault((name, drive), []).append(counts)
    seen = 0
    for record in examples:
        key = text_of(record["name"]), text_of(record["drive"])
        predicted = model.segment(record["image/encoded"].numpy())
        label = decode(dict(record))[1].numpy().reshape(predicted.shape)
        own = confusion_count(label, predicted, count, classes.void)
        waiting = expected.get(key, [])
        waiting.pop(check_image(key, own, waiting))
        seen += 1
        for each in critical_regions(label, predicted, classes, smallest):
            regions[each.own] += 1
            if each.given is not None:
                missed[each.own, each.given] += 1
                kept.append(_shown(each, each.given, key, classes))
        kept = _largest(kept)
    if left := [name for (name, _), own in expected.items() if own]:
        raise DataError(
            "Invalid evaluation. Expected counts of the images in the records. "
            f"Found: counts of others, such as {left[0]!r}."
        )
    order = [*classes.critical]
    kept.sort(key=lambda each: order.index(each.class_name))
    return Missed(regions, missed, seen, smallest, kept)


def _shown(
    region: Region, given: int, key: tuple[str, str], classes: ClassSet
) -> MissedRegion:
    rows, columns = region.box
    box = (rows.start, rows.stop, columns.start, columns.stop)
    return MissedRegion(
        classes.names[region.own],
        classes.names[given],
        *key,
        region.pixels,
        box,
    )


def _largest(regions: list[MissedRegion]) -> list[MissedRegion]:
    """Keeps the largest of each class; ties by name."""
    kept: dict[str, list[MissedRegion]] = {}
    for each in sorted(regions, key=lambda r: (-r.pixels, r.name, r.box)):
        own = kept.setdefault(each.class_name, [])
        if len(own) < PER_CLASS:
            own.append(each)
    return [each for own in kept.values() for each in own]


def text_of(feature: tf.Tensor) -> str:
    """Returns a text that a record holds."""
    return str(feature.numpy().decode())
