"""Counts the images of a split under a model, without TFX."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.gate.image_counts import ImageCounts
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.layouts import Layout
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise
from wseg_tf.serving import ServedModel


def count_images(
    model: ServedModel,
    baseline: ServedModel | None,
    pairs: Sequence[Pair],
    layout: Layout,
) -> ImageCounts:
    """Counts each image by the signature that the Evaluator uses.

    Args:
        model: The candidate.
        baseline: What it is compared with, or None.
        pairs: Images and labels.
        layout: The layout they were found by.

    Returns:
        The same counts that the Evaluator collects, in the same order.

    Raises:
        ValueError: If a model's classes are not the layout's.
        DataError: If a pair fails its checks.
    """
    models = {"candidate": model}
    if baseline is not None:
        models["baseline"] = baseline
    for each in models.values():
        if each.classes != layout.classes:
            raise ValueError(
                f"Invalid data for this model. Expected the classes of "
                f"`{each.classes.name}`. Received: `{layout.classes.name}`."
            )
    rows = []
    for pair in pairs:
        record = serialise(pair, read_checked(pair, layout))
        counts = {
            name: each.count_confusion(record) for name, each in models.items()
        }
        rows.append((pair.name, pair.drive, counts))
    return ImageCounts.gathered(
        rows,
        len(layout.classes),
        "candidate",
        None if baseline is None else "baseline",
    )
