"""Counts the images of a split under a model, without TFX."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.gate.image_counts import ImageCounts
from wseg_tf.classes import ClassSet
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.layouts import Layout
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise
from wseg_tf.metrics.confusion import Counts

# Counts the confusion `[N, N]` of one serialised record.
Count = Callable[[bytes], Counts]


def count_images(
    model: Count,
    pairs: Sequence[Pair],
    layout: Layout,
    baseline: Count | None = None,
) -> ImageCounts:
    """Counts each image at its own size, as the Evaluator does.

    Args:
        model: Counts a record under the candidate, as
            `ServedModel.count_confusion` does.
        pairs: Images and labels.
        layout: The layout they were found by.
        baseline: The same for what it is compared with. Defaults to None.

    Returns:
        The counts that the Evaluator collects, in the order of names.

    Raises:
        DataError: If a pair fails its checks.
    """
    models = {"candidate": model}
    if baseline is not None:
        models["baseline"] = baseline
    rows = []
    for pair in pairs:
        record = serialise(pair, read_checked(pair, layout))
        counts = {name: count(record) for name, count in models.items()}
        rows.append((pair.name, pair.drive, counts))
    return ImageCounts.gathered(
        rows,
        len(layout.classes),
        "candidate",
        None if baseline is None else "baseline",
    )


def check_classes(model: ClassSet, layout: Layout) -> None:
    """Refuses labels of other classes than a model's.

    Groups and critical classes may differ: a model is judged by its own.

    Args:
        model: The classes of the model.
        layout: How the labels are read.

    Raises:
        ValueError: If names, their order or void differ.
    """
    theirs = layout.classes
    if (model.names, model.void) != (theirs.names, theirs.void):
        raise ValueError(
            f"Invalid data for this model. Expected the classes of "
            f"`{model.name}`, {list(model.names)}, void {model.void}. "
            f"Received: those of `{theirs.name}`, {list(theirs.names)}, void "
            f"{theirs.void}."
        )
