"""`wseg compare`: where one model is better than another, and how it looks."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from pipeline.commands.arguments import (
    Dataset,
    JsonFile,
    JudgedFolder,
    OutFolder,
    Split,
)
from pipeline.commands.json_output import json_target, write_json
from pipeline.commands.screen import SCREEN, refusals, refuse, say

if TYPE_CHECKING:
    from wseg_tf.data.layouts import Layout
    from wseg_tf.data.pairs import Pair
    from wseg_tf.metrics.confusion import Counts
    from wseg_tf.serving import ServedModel

PICTURE = "worst.png"


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A SavedModel.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    data: JudgedFolder,
    dataset: Dataset = "camvid",
    split: Split = "val",
    worst: Annotated[
        int, typer.Option(min=0, help="Images to show side by side.")
    ] = 4,
    out: OutFolder = None,
    report: JsonFile = None,
) -> None:
    """Compares two models by class, group and severity; shows the worst.

    The picture, worst.png, goes to --out, or `comparison`.
    """
    with refusals():
        import numpy as np

        from pipeline.commands.outputs import check_outputs, files_of
        from pipeline.gate.counting import check_classes, count_images
        from wseg_tf.data.layouts import layout
        from wseg_tf.metrics.table import iou_rows, scores
        from wseg_tf.serving import ServedModel

        described = layout(dataset)
        pairs = described.find(data, [split])
        folder = out or "comparison"
        outputs = [os.path.join(folder, PICTURE)] if worst else []
        outputs += json_target(report)
        check_outputs(outputs, [first, second, dataset, *files_of(pairs)])
        models = {"A": ServedModel(first), "B": ServedModel(second)}
        ground = _common_ground(models["A"], models["B"])
        classes = models["A"].classes
        check_classes(classes, described)
        images = count_images(
            models["A"].count_confusion,
            pairs,
            described,
            models["B"].count_confusion,
        )
        assert images.baseline is not None
        counts = {"A": images.candidate, "B": images.baseline}
        values = {
            name: scores(np.sum(each, axis=0), classes, ground)
            for name, each in counts.items()
        }
        rows = {name: iou_rows(each, classes) for name, each in values.items()}
        say(f"A: {first}\nB: {second}")
        SCREEN.print(_table(len(pairs), rows["A"], rows["B"], values))
        write_json(report, _with_difference(values))
        if worst:
            named = {(pair.name, pair.drive): pair for pair in pairs}
            shown = [
                named[images.names[place], images.drives[place]]
                for place in _worst(counts, ground, worst)
            ]
            _draw(shown, models, described, folder)


def _common_ground(first: ServedModel, second: ServedModel) -> Any:
    """Returns what both are judged by: A's ground matrix, or B's."""
    import numpy as np

    if first.classes != second.classes:
        refuse(
            "Invalid models. Expected two of the same classes. Received: "
            f"`{first.classes.name}` and `{second.classes.name}`."
        )
    grounds = [each.ground for each in (first, second) if each.ground]
    if not grounds:
        say("Neither model has a ground matrix: every confusion costs 1.")
        size = len(first.classes)
        return np.ones([size, size]) - np.eye(size)
    if len(grounds) == 2 and grounds[0] != grounds[1]:
        say("Trained by different ground matrices; both are judged by A's.")
    return grounds[0].values


def _table(
    images: int,
    first: list[tuple[str, str, float]],
    second: list[tuple[str, str, float]],
    values: dict[str, dict[str, float]],
) -> Table:
    table = Table(title=f"IoU over {images} images")
    for caption in ("", "A", "B", "B - A"):
        table.add_column(caption, justify="right" if caption else "left")
    for (name, kind, before), (_, _, after) in zip(first, second, strict=True):
        table.add_row(
            name,
            _figure(before),
            _figure(after),
            _difference(after - before, higher_is_better=True),
            style="" if kind == "class" else "bold",
        )
    severity = "expected_severity"
    before, after = values["A"][severity], values["B"][severity]
    table.add_section()
    table.add_row(
        "expected severity",
        _figure(before),
        _figure(after),
        _difference(after - before, higher_is_better=False),
    )
    return table


def _figure(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "absent"


def _difference(value: float, higher_is_better: bool) -> str | Text:
    if not math.isfinite(value):
        return ""
    text = f"{value:+.3f}"
    if float(text) == 0:
        return text
    better = (value > 0) == higher_is_better
    return Text(text, "green" if better else "red")


def _with_difference(
    values: dict[str, dict[str, float]],
) -> dict[str, dict[str, float]]:
    difference = {
        name: values["B"][name] - value for name, value in values["A"].items()
    }
    return {**values, "B - A": difference}


def _worst(counts: dict[str, Counts], ground: Any, number: int) -> list[int]:
    """Returns the images that either model gets most severely wrong."""
    import numpy as np

    from wseg_tf.metrics import expected_severity

    severity = np.array(
        [
            [expected_severity(each, ground) for each in images]
            for images in counts.values()
        ]
    )
    either = np.nan_to_num(severity).max(axis=0)
    order = np.argsort(-either, kind="stable")[:number]
    return [int(place) for place in order]


def _draw(
    pairs: list[Pair],
    models: dict[str, ServedModel],
    described: Layout,
    folder: str,
) -> None:
    import tensorflow as tf

    from wseg_tf.data.inspection import read_checked
    from wseg_tf.plots import plot_comparison

    frames = {}
    for pair in pairs:
        checked = read_checked(pair, described)
        image = tf.io.decode_image(checked.image, 3, expand_animations=False)
        label = tf.io.decode_png(checked.label, 1)[..., 0]
        frames[pair.name] = (
            image.numpy(),
            {"truth": label.numpy()}
            | {
                name: model.segment(checked.image)
                for name, model in models.items()
            },
        )
    tf.io.gfile.makedirs(folder)
    path = os.path.join(folder, PICTURE)
    figure = plot_comparison(frames, models["A"].classes)
    with tf.io.gfile.GFile(path, "wb") as file:
        figure.savefig(file, format="png")
    say(f"The most severe of either model: {path}")
