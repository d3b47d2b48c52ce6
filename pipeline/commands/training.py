"""`wseg train`, `evaluate` and `predict`: the same code without TFX."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands.screen import (
    SCREEN,
    interruptible,
    iou_table,
    refusals,
    refuse,
    say,
    with_data,
)

if TYPE_CHECKING:
    from wseg_tf.data.pairs import Pair
    from wseg_tf.serving import ServedModel

# Everything heavy is imported inside the commands, as in pipeline.commands.run.

Overrides = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads it at run time)
    typer.Argument(help="Changes, e.g. training.batch=4"),
]
Output = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--out", help="Folder to write to."),
]


def train(
    config: Annotated[str, typer.Argument(help="A file of configs/.")],
    overrides: Overrides = None,
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Folder of the data set."),
    ] = None,
    out: Output = None,
) -> None:
    """Trains by a config's recipe, without TFX; writes a SavedModel."""
    with refusals():
        import tensorflow as tf

        from pipeline.config import load
        from pipeline.inputs import find_splits
        from wseg_tf.data.input import read_pairs
        from wseg_tf.data.layouts import layout
        from wseg_tf.serving import ServedModel, export
        from wseg_tf.training.loop import train as train_model
        from wseg_tf.training.objectives import check

        settings = load(config, with_data(overrides, data))
        recipe, classes = settings.training, settings.data.classes
        ground = check(recipe, classes)
        folder = out or settings.folder("training")
        if tf.io.gfile.exists(os.path.join(folder, "saved_model.pb")):
            refuse(f"{folder} holds a model already; choose another --out.")
        pairs = find_splits(settings)
        described = layout(settings.data.dataset)
        training, validation = (
            read_pairs(pairs[split], described) for split in ("train", "eval")
        )
    with interruptible(), _progress():
        model = train_model(recipe, classes, training, validation)
        export(model, folder, classes, recipe.height, recipe.width, ground)
        _show_scores(ServedModel(folder), pairs["eval"], settings.data.dataset)
    say(f"Model: {folder}")


def evaluate(
    model: Annotated[str, typer.Argument(help="A SavedModel of this package.")],
    data: Annotated[str, typer.Argument(help="Folder of the data set.")],
    dataset: Annotated[
        str, typer.Option(help="A layout's name or a YAML description.")
    ] = "camvid",
    split: Annotated[str, typer.Option(help="The split to judge on.")] = "val",
    report: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--json", help="Write every score here."),
    ] = None,
) -> None:
    """Judges a model on a split: IoU by class and group, severity."""
    with refusals():
        import tensorflow as tf

        from wseg_tf.data.layouts import find_pairs
        from wseg_tf.serving import ServedModel

        pairs = find_pairs(dataset, data, split)
        values = _show_scores(ServedModel(model), pairs, dataset)
        if report is not None:
            with tf.io.gfile.GFile(report, "w") as file:
                file.write(json.dumps(values, indent=2))


def predict(
    model: Annotated[str, typer.Argument(help="A SavedModel of this package.")],
    images: Annotated[list[str], typer.Argument(help="PNG or JPEG files.")],
    out: Output = None,
) -> None:
    """Writes class ids and a colour overlay of each image."""
    with refusals():
        import tensorflow as tf
        from PIL import Image

        from wseg_tf.data.checks import DataError
        from wseg_tf.plots import overlay
        from wseg_tf.serving import ServedModel

        served = ServedModel(model)
        folder = out or "predictions"
        tf.io.gfile.makedirs(folder)
        for path in images:
            try:
                encoded = tf.io.read_file(path)
                ids = served.segment(encoded.numpy())
                image = tf.io.decode_image(encoded, 3, expand_animations=False)
            except tf.errors.OpError as error:
                raise DataError(
                    f"{path}: expected a PNG or JPEG file. Found none."
                ) from error
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


def _show_scores(
    served: ServedModel, pairs: list[Pair], dataset: str
) -> dict[str, float | None]:
    """Counts, prints the table and returns every score."""
    import numpy as np

    from pipeline.scores import iou_rows, scores
    from wseg_tf.data.inspection import read_checked
    from wseg_tf.data.layouts import layout
    from wseg_tf.data.records import serialise

    described, size = layout(dataset), len(served.classes)
    if described.classes != served.classes:
        refuse(
            f"Invalid data for this model. Expected the classes of "
            f"`{served.classes.name}`. Received: `{described.classes.name}`."
        )
    counts = np.zeros([size, size], np.int64)
    for pair in pairs:
        record = serialise(pair, read_checked(pair, described))
        counts += served.count_confusion(record)
    ground = np.zeros([size, size]) if served.ground is None else served.ground
    values = scores(counts, served.classes, ground)
    title = f"IoU over {len(pairs)} images"
    SCREEN.print(iou_table(title, iou_rows(values, served.classes)))
    if served.ground is not None:
        say(f"Expected severity: {values['expected_severity']:.3f}")
    return {
        name: value if np.isfinite(value) else None
        for name, value in values.items()
    }


@contextlib.contextmanager
def _progress() -> Iterator[None]:
    """Shows what the training loop says."""

    class Show(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(record.getMessage())

    logger, handler = logging.getLogger("wseg_tf"), Show(logging.INFO)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
