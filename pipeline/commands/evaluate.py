"""`wseg evaluate` and `predict`: what a trained model does."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands.arguments import (
    Dataset,
    JudgedFolder,
    Model,
    OutFolder,
    ScoresFile,
    Split,
)
from pipeline.commands.screen import (
    SCREEN,
    first_line,
    iou_table,
    refusals,
    refuse,
    say,
)

if TYPE_CHECKING:
    from wseg_tf.metrics.confusion import Counts
    from wseg_tf.serving import ServedModel

# Everything heavy is imported inside the commands, as in pipeline.commands.run.


def evaluate(
    model: Model,
    data: JudgedFolder,
    dataset: Dataset = "camvid",
    split: Split = "val",
    report: ScoresFile = None,
    confusion: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="Write the confusion here, a CSV with names."),
    ] = None,
) -> None:
    """Judges a model on a split: IoU by class and group, severity."""
    with refusals():
        from pipeline.commands.outputs import check_outputs, files_of
        from pipeline.gate.counting import check_classes, count_images
        from wseg_tf.data.layouts import layout
        from wseg_tf.ground.files import write_csv
        from wseg_tf.serving import ServedModel

        described = layout(dataset)
        pairs = described.find(data, [split])
        outputs = [path for path in (report, confusion) if path]
        check_outputs(outputs, [model, dataset, *files_of(pairs)])
        served = ServedModel(model)
        check_classes(served.classes, described)
        images = count_images(served.count_confusion, pairs, described)
        counts = images.candidate.sum(axis=0)
        values = show_scores(served, counts, len(pairs))
        if report is not None:
            write_json(report, values)
        if confusion is not None:
            write_csv(confusion, counts, served.classes.names)


def predict(
    model: Model,
    images: Annotated[list[str], typer.Argument(help="PNG or JPEG files.")],
    out: OutFolder = None,
) -> None:
    """Writes class ids and a colour overlay of each image.

    Of more than 255 classes, ids are PNG files of 16 bits.
    """
    with refusals():
        import tensorflow as tf
        from PIL import Image

        from pipeline.commands.outputs import check_outputs
        from wseg_tf.data.inspection import read_image
        from wseg_tf.plots import overlay
        from wseg_tf.serving import ServedModel

        folder = out or "predictions"
        stems = [
            os.path.join(folder, os.path.splitext(os.path.basename(path))[0])
            for path in images
        ]
        outputs = {s: (f"{s}.png", f"{s}_overlay.png") for s in stems}
        check_outputs([p for s in stems for p in outputs[s]], [model, *images])
        served = ServedModel(model)
        tf.io.gfile.makedirs(folder)
        unanswered = []
        for path, stem in zip(images, stems, strict=True):
            try:
                encoded = read_image(path).encoded
                ids = served.segment(encoded)
            except ValueError as error:
                reason = first_line(error)
                named = reason if path in reason else f"{path}: {reason}"
                unanswered.append(named)
                continue
            image = tf.io.decode_image(encoded, 3, expand_animations=False)
            painted = overlay(image.numpy(), ids, served.classes)
            for name, picture in zip(
                outputs[stem], (ids, painted), strict=True
            ):
                with tf.io.gfile.GFile(name, "wb") as file:
                    Image.fromarray(picture).save(file, "PNG")
                say(name)
        if unanswered:
            refuse("\n".join(unanswered))


def show_scores(
    served: ServedModel, counts: Counts, images: int
) -> dict[str, float | None]:
    """Prints the table of IoUs and returns every score."""
    import numpy as np

    from wseg_tf.metrics.table import iou_rows, scores

    values = scores(counts, served.classes, served.ground)
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
