"""The one counter of images: what a model makes of a split, without TFX."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.gate.image_counts import ImageCounts
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.layouts import Layout
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise
from wseg_tf.metrics.confusion import Counts
from wseg_tf.serving import ServedModel

# Counts the confusion of a record, as the Evaluator's signature does.
Counter = Callable[[bytes], Counts]


def count_images(
    candidate: Counter,
    pairs: Sequence[Pair],
    layout: Layout,
    baseline: Counter | None = None,
) -> ImageCounts:
    """Counts each image, at its own size, under one or two models.

    Args:
        candidate: A model's `count_confusion`.
        pairs: Images and labels.
        layout: The layout they were found by.
        baseline: The same of another model. Defaults to None.

    Returns:
        The same counts that the Evaluator collects, in the order of the
        images' names, which is that of `find_pairs`.

    Raises:
        DataError: If a pair fails its checks.
    """
    models = {"candidate": candidate}
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


def counter(model: ServedModel, layout: Layout) -> Counter:
    """Returns what counts the images of a layout under a served model.

    Args:
        model: The model.
        layout: The layout.

    Raises:
        ValueError: If the model's classes are not the layout's.
    """
    if model.classes != layout.classes:
        raise ValueError(
            f"Invalid data for this model. Expected the classes of "
            f"`{model.classes.name}`. Received: `{layout.classes.name}`."
        )
    return model.count_confusion
