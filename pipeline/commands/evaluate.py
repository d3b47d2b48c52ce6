"""`wseg evaluate` and `predict`: what a trained model does."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands.screen import SCREEN, iou_table, refusals, refuse, say

if TYPE_CHECKING:
    from wseg_tf.data.pairs import Pair
    from wseg_tf.metrics.confusion import Counts
    from wseg_tf.serving import ServedModel

# Everything heavy is imported inside the commands, as in pipeline.commands.run.

Output = Annotated[
    Optional[str],  # noqa: UP045 (typer reads it at run time)
    typer.Option("--out", help="Folder to write to."),
]
Dataset = Annotated[
    str, typer.Option(help="A layout's name or a YAML description.")
]
Split = Annotated[str, typer.Option(help="The split to judge on.")]
Report = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--json", help="Write every score here."),
]


def evaluate(
    model: Annotated[str, typer.Argument(help="A SavedModel of this package.")],
    data: Annotated[str, typer.Argument(help="Folder of the data set.")],
    dataset: Dataset = "camvid",
    split: Split = "val",
    report: Report = None,
) -> None:
    """Judges a model on a split: IoU by class and group, severity."""
    with refusals():
        from wseg_tf.data.layouts import find_pairs
        from wseg_tf.serving import ServedModel

        pairs = find_pairs(dataset, data, split)
        served = ServedModel(model)
        counts = sum_counts(served, pairs, dataset)
        values = show_scores(served, counts, len(pairs))
        if report is not None:
            write_json(report, values)


def predict(
    model: Annotated[str, typer.Argument(help="A SavedModel of this package.")],
    images: Annotated[list[str], typer.Argument(help="PNG or JPEG files.")],
    out: Output = None,
) -> None:
    """Writes class ids and a colour overlay of each image."""
    with refusals():
        import tensorflow as tf
        from PIL import Image

        from wseg_tf.data.inspection import read_image
        from wseg_tf.plots import overlay
        from wseg_tf.serving import ServedModel

        served = ServedModel(model)
        folder = out or "predictions"
        tf.io.gfile.makedirs(folder)
        for path in images:
            encoded = read_image(path).encoded
            ids = served.segment(encoded)
            image = tf.io.decode_image(encoded, 3, expand_animations=False)
            stem = os.path.join(
                folder, os.path.basename(path).rsplit(".", 1)[0]
            )
            painted = overlay(image.numpy(), ids, served.classes)
            for name, picture in (
                (f"{stem}.png", ids),
                (f"{stem}_overlay.png", painted),
            ):
                with tf.io.gfile.GFile(name, "wb") as file:
                    Image.fromarray(picture).save(file, "PNG")
                say(name)


def count_each(
    served: ServedModel, pairs: list[Pair], dataset: str
) -> list[Counts]:
    """Counts the confusion of each pair.

    Args:
        served: The model.
        pairs: Images and labels.
        dataset: The layout that they were found by.

    Returns:
        Exact counts `[N, N]` of each, at its own size.
    """
    from wseg_tf.data.inspection import read_checked
    from wseg_tf.data.layouts import layout
    from wseg_tf.data.records import serialise

    described = layout(dataset)
    if described.classes != served.classes:
        refuse(
            f"Invalid data for this model. Expected the classes of "
            f"`{served.classes.name}`. Received: `{described.classes.name}`."
        )
    return [
        served.count_confusion(serialise(pair, read_checked(pair, described)))
        for pair in pairs
    ]


def sum_counts(served: ServedModel, pairs: list[Pair], dataset: str) -> Counts:
    """Counts the confusion of all pairs together."""
    import numpy as np

    counts = count_each(served, pairs, dataset)
    total: Counts = np.sum(counts, axis=0, dtype=np.int64)
    return total


def show_scores(
    served: ServedModel, counts: Counts, images: int
) -> dict[str, float | None]:
    """Prints the table of IoUs and returns every score."""
    import numpy as np

    from pipeline.gate.scores import iou_rows, scores

    size = len(served.classes)
    ground = np.zeros([size, size]) if served.ground is None else served.ground
    values = scores(counts, served.classes, ground)
    title = f"IoU over {images} images"
    SCREEN.print(iou_table(title, iou_rows(values, served.classes)))
    if served.ground is not None:
        say(f"Expected severity: {values['expected_severity']:.3f}")
    return {
        name: value if np.isfinite(value) else None
        for name, value in values.items()
    }


def write_json(path: str, values: object) -> None:
    """Writes plain values as JSON."""
    import tensorflow as tf

    with tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps(values, indent=2))
