"""`wseg predict`: what a model sees in images, as ids and as pictures."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.arguments import (
    Model,
    OutFolder,
    ViewsText,
    views_of,
)
from pipeline.commands.screen import first_line, refusals, refuse, say

if TYPE_CHECKING:
    from wseg_tf.serving import ServedModel

# Everything heavy is imported inside the commands, as in pipeline.commands.run.

IMAGES = (".png", ".jpg", ".jpeg")
WILD = "*?["


def predict(
    model: Model,
    images: Annotated[
        list[str],
        typer.Argument(
            help="PNG or JPEG files, folders with them, or patterns in quotes, "
            "such as 'drives/**/*.jpg'."
        ),
    ],
    out: OutFolder = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is there.")
    ] = False,
    views: ViewsText = None,
) -> None:
    """Writes the class ids of images, and pictures of them with a legend.

    Of each image NAME: its ids, NAME.png; they over the image,
    NAME_overlay.png; and NAME_figure.png, with the names of the classes.
    They go to --out, or `predictions`; sub-folders of folders and patterns are
    kept. Of more than 255 classes, ids
    are PNG files of 16 bits.
    """
    with refusals():
        from pipeline.commands.outputs import check_outputs
        from wseg_tf.serving import ServedModel

        folder = out or "predictions"
        stems = chosen(images, folder)
        outputs = [path for stem in stems for path in _outputs(stem)]
        check_outputs(outputs, [model, *stems.values()])
        if not overwrite:
            _refuse_written(outputs)
        _refuse_missing([*stems.values()])
        served = ServedModel(model, views_of(views))
        unanswered = []
        for stem, path in stems.items():
            try:
                _predict(served, path, stem)
            except ValueError as error:
                reason = first_line(error)
                named = reason if path in reason else f"{path}: {reason}"
                unanswered.append(named)
        if unanswered:
            refuse("\n".join(unanswered))


def _predict(served: ServedModel, path: str, stem: str) -> None:
    import tensorflow as tf
    from PIL import Image

    from wseg_tf.data.inspection import read_image
    from wseg_tf.plots import overlay, plot_labels

    encoded = read_image(path).encoded
    ids = served.segment(encoded)
    image = tf.io.decode_image(encoded, 3, expand_animations=False).numpy()
    painted = overlay(image, ids, served.classes)
    # Opaque, so that the legend's colours are those that are drawn.
    shown = {"prediction": ids}
    figure = plot_labels(image, shown, served.classes, opacity=1.0)
    tf.io.gfile.makedirs(os.path.dirname(stem))
    plain, over, drawn = _outputs(stem)
    for name, picture in ((plain, ids), (over, painted)):
        with tf.io.gfile.GFile(name, "wb") as file:
            Image.fromarray(picture).save(file, "PNG")
    with tf.io.gfile.GFile(drawn, "wb") as file:
        figure.savefig(file, format="png", dpi=150)
    say(f"{plain}, {over}, {drawn}")


def _outputs(stem: str) -> tuple[str, str, str]:
    return f"{stem}.png", f"{stem}_overlay.png", f"{stem}_figure.png"


def chosen(images: Sequence[str], folder: str) -> dict[str, str]:
    """Returns the image of each output, which is without an ending.

    Args:
        images: Files, folders and patterns.
        folder: Where it is written.

    Raises:
        ValueError: If a folder or a pattern holds no image, or two images
            would have one output.
    """
    found: dict[str, str] = {}
    for given in images:
        for path, name in _named(given, folder):
            stem = os.path.join(folder, os.path.splitext(name)[0])
            other = found.setdefault(stem, path)
            if os.path.realpath(other) != os.path.realpath(path):
                raise ValueError(
                    "Invalid place to write to. Expected a file of its own "
                    f"for each image. Received: {stem}.png for {other} and "
                    f"{path}; name a folder that holds both, or write to two."
                )
    return found


def _named(given: str, folder: str) -> Iterator[tuple[str, str]]:
    """Images of an argument, each with its name below the output folder."""
    import tensorflow as tf

    if tf.io.gfile.isdir(given):
        paths, base = list(_inside(given)), given
    elif any(sign in given for sign in WILD) and not tf.io.gfile.exists(given):
        paths, base = _matching(given), _fixed(given)
    else:
        yield given, os.path.basename(given)
        return
    written = os.path.join(os.path.realpath(folder), "")
    found = [
        path
        for path in sorted(paths)
        if path.lower().endswith(IMAGES)
        # What was predicted before is no image to predict.
        and not os.path.realpath(path).startswith(written)
    ]
    if not found:
        raise ValueError(
            "Invalid value for argument `IMAGES`. Expected PNG or JPEG files, "
            f"or a folder with some. Received: {given}, which has none."
        )
    for path in found:
        yield path, os.path.relpath(path, base)


def _inside(folder: str) -> Iterator[str]:
    import tensorflow as tf

    for place, _, names in tf.io.gfile.walk(folder):
        yield from (os.path.join(place, name) for name in names)


def _matching(pattern: str) -> list[str]:
    import tensorflow as tf

    from wseg_tf.filesystems import is_remote

    if is_remote(pattern):
        found: list[str] = tf.io.gfile.glob(pattern)
        return found
    return glob.glob(pattern, recursive=True)


def _fixed(pattern: str) -> str:
    """The folder that a pattern begins in."""
    parts = pattern.split("/")
    first = next(i for i, part in enumerate(parts) if set(part) & set(WILD))
    return "/".join(parts[:first]) or ("/" if pattern.startswith("/") else ".")


def _refuse_missing(images: Sequence[str]) -> None:
    import tensorflow as tf

    missing = [path for path in images if not tf.io.gfile.exists(path)]
    if missing:
        more = f" and {len(missing) - 1} more" * bool(missing[1:])
        raise ValueError(
            f"{missing[0]}{more}: expected an image. Found: no such file."
        )


def _refuse_written(outputs: Sequence[str]) -> None:
    import tensorflow as tf

    there = [path for path in outputs if tf.io.gfile.exists(path)]
    if there:
        more = f" and {len(there) - 1} more" * bool(there[1:])
        raise ValueError(
            f"{there[0]}{more}: expected new files. Found: some that are there "
            "already; choose another --out, or say --overwrite."
        )
