"""`wseg evaluate`: how good a trained model is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands.arguments import (
    Dataset,
    JsonFile,
    JudgedFolder,
    Model,
    Split,
    ViewsText,
    views_of,
)
from pipeline.commands.json_output import json_target, write_json
from pipeline.commands.screen import SCREEN, iou_table, refusals, say

if TYPE_CHECKING:
    from wseg_tf.metrics.confusion import Counts
    from wseg_tf.serving import ServedModel

# Everything heavy is imported inside the commands, as in pipeline.commands.run.


def evaluate(
    model: Model,
    data: JudgedFolder,
    dataset: Dataset = "camvid",
    split: Split = "val",
    views: ViewsText = None,
    report: JsonFile = None,
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
        outputs = json_target(report) + ([confusion] if confusion else [])
        check_outputs(outputs, [model, dataset, *files_of(pairs)])
        served = ServedModel(model, views_of(views))
        check_classes(served.classes, described)
        images = count_images(served.count_confusion, pairs, described)
        counts = images.candidate.sum(axis=0)
        values = show_scores(served, counts, len(pairs))
        write_json(report, values)
        if confusion is not None:
            write_csv(confusion, counts, served.classes.names)


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
