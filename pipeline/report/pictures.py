"""The report's pictures, above all of the images a model does worst on."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from matplotlib.figure import Figure
from PIL import Image

from pipeline.gate.image_counts import ImageCounts
from wseg_tf.classes import ClassSet
from wseg_tf.data.records import decode
from wseg_tf.metrics import iou_per_class
from wseg_tf.metrics.confusion import Counts
from wseg_tf.plots import overlay, plot_labels
from wseg_tf.serving import ServedModel

# Wider ones are shrunk: a report is read on a telephone too.
WIDTH = 480
# Images shown for each critical class.
PER_CLASS = 2
MISSED, INVENTED = (214, 30, 60), (255, 176, 0)

Panels = dict[str, bytes]
Ids = npt.NDArray[np.uint8]
Key = tuple[str, str]


@dataclass(frozen=True)
class WorstImage:
    """An image with many wrong pixels of a critical class.

    Args:
        class_name: The class.
        name: The image.
        drive: Its drive.
        missed: Pixels of the class taken for others.
        invented: Pixels of others taken for the class.
        iou: IoU of the class in this image.
        baseline: The same of the baseline, or None.
    """

    class_name: str
    name: str
    drive: str
    missed: int
    invented: int
    iou: float
    baseline: float | None


def worst_images(images: ImageCounts, classes: ClassSet) -> list[WorstImage]:
    """Finds the images with most wrong pixels of each critical class.

    Args:
        images: The counts of every image.
        classes: The class set.

    Returns:
        At most two images for each critical class, the worst first; none
        where every pixel of the class is right.
    """
    found = []
    for class_name in classes.critical:
        index = classes.index(class_name)
        hits = images.candidate[:, index, index]
        missed = images.candidate[:, index].sum(axis=-1) - hits
        invented = images.candidate[:, :, index].sum(axis=-1) - hits
        wrong = missed + invented
        for i in np.argsort(-wrong, kind="stable")[:PER_CLASS]:
            if wrong[i] == 0:
                continue
            found.append(
                WorstImage(
                    class_name,
                    images.names[i],
                    images.drives[i],
                    int(missed[i]),
                    int(invented[i]),
                    _iou(images.candidate[i], index),
                    None
                    if images.baseline is None
                    else _iou(images.baseline[i], index),
                )
            )
    return found


def find_records(
    examples: Iterable[dict[str, tf.Tensor]], wanted: Iterable[Key]
) -> dict[Key, dict[str, tf.Tensor]]:
    """Picks records by name and drive, in one pass.

    Args:
        examples: Records as `wseg_tf.data.input.read_records` gives them.
        wanted: Names and drives.

    Returns:
        The records there are.
    """
    keys = set(wanted)
    found = {}
    for record in examples:
        key = _text(record["name"]), _text(record["drive"])
        if key in keys:
            found[key] = record
    return found


def draw_panels(
    record: Mapping[str, tf.Tensor],
    models: Mapping[str, ServedModel],
    worst: WorstImage,
    classes: ClassSet,
) -> Panels:
    """Draws an image with what it shows and what models see in it.

    Args:
        record: The parsed record.
        models: The models by caption; the last one is judged.
        worst: What the image is shown for.
        classes: The class set.

    Returns:
        JPEG files by caption: the image, its truth, each model's prediction,
        and where the last one misses the class or invents it.
    """
    pixels, truth = (each.numpy() for each in decode(dict(record)))
    encoded = record["image/encoded"].numpy()
    maps = {"truth": truth}
    maps |= {name: model.segment(encoded) for name, model in models.items()}
    panels = {"image": pixels}
    panels |= {
        caption: overlay(pixels, ids, classes) for caption, ids in maps.items()
    }
    index = classes.index(worst.class_name)
    predicted = [*maps.values()][-1]
    panels["errors"] = _errors(pixels, truth, predicted, index, classes.void)
    return {caption: _jpeg(picture) for caption, picture in panels.items()}


def _errors(
    pixels: Ids, truth: Ids, predicted: Ids, index: int, void: int
) -> Ids:
    """Paints what is missed and what is invented over a faded image."""
    grey = pixels.mean(axis=-1, keepdims=True)
    painted = np.repeat(0.4 * grey + 0.6 * 255, 3, axis=-1).astype(np.uint8)
    ours, theirs = predicted == index, truth == index
    painted[theirs & ~ours] = MISSED
    painted[ours & ~theirs & (truth != void)] = INVENTED
    return painted


def plot_prediction(
    model: ServedModel, examples: tf.data.Dataset, classes: ClassSet
) -> Figure:
    """Shows truth and prediction for the image with most critical pixels.

    Args:
        model: The model.
        examples: Records as `wseg_tf.data.input.read_records` gives them.
        classes: The class set.

    Returns:
        A figure: the image, its truth and the model's prediction.
    """
    record = max(examples, key=lambda each: _critical(each, classes))
    image, truth = decode(record)
    predicted = model.segment(record["image/encoded"].numpy())
    return plot_labels(
        image.numpy(),
        {"truth": truth.numpy(), "prediction": predicted},
        classes,
    )


def png(figure: Figure, dpi: int = 130) -> bytes:
    """Returns a figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi)
    return stream.getvalue()


def painted_colours(
    classes: ClassSet, names: Sequence[str], opacity: float = 0.6
) -> dict[str, str]:
    """Returns the colour of classes as overlays show it, for a legend."""
    return {
        name: "#"
        + "".join(
            f"{round(255 * (1 - opacity) + opacity * channel):02x}"
            for channel in classes.colours[classes.index(name)]
        )
        for name in names
    }


def _critical(record: dict[str, tf.Tensor], classes: ClassSet) -> float:
    """How many kinds of critical classes an image shows, then how much."""
    _, label = decode(record)
    ids: Ids = label.numpy()
    shares = [
        float(np.mean(ids == classes.index(name))) for name in classes.critical
    ]
    return sum(share > 0.002 for share in shares) + min(sum(shares), 0.99)


def _jpeg(pixels: Any) -> bytes:
    picture = Image.fromarray(pixels)
    width = min(picture.width, WIDTH)
    height = max(1, round(picture.height * width / picture.width))
    stream = io.BytesIO()
    picture.resize((width, height), Image.Resampling.LANCZOS).save(
        stream, "JPEG", quality=88, subsampling=0
    )
    return stream.getvalue()


def _text(feature: tf.Tensor) -> str:
    return str(feature.numpy().decode())


def _iou(counts: Counts, index: int) -> float:
    return float(iou_per_class(counts)[index])
