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
from pipeline.report.missed import MissedRegion, text_of
from wseg_tf.classes import ClassSet
from wseg_tf.data.records import decode
from wseg_tf.metrics import iou_per_class
from wseg_tf.metrics.confusion import Counts
from wseg_tf.plots import overlay, plot_labels
from wseg_tf.serving import ServedModel

# Wider ones are shrunk: a page that holds them all must open everywhere.
WIDTH = 960
# Images shown for each critical class.
PER_CLASS = 2
MISSED, INVENTED = (214, 30, 60), (255, 176, 0)

Panels = dict[str, bytes]
Ids = npt.NDArray[np.uint8]
Key = tuple[str, str]


@dataclass(frozen=True)
class ClassImage:
    """An image, and how a critical class fares in it.

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

    @property
    def wrong(self) -> int:
        """Pixels of the class, or called so, that are wrong."""
        return self.missed + self.invented


def worst_images(images: ImageCounts, classes: ClassSet) -> list[ClassImage]:
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
        own = [
            _image_of(images, i, class_name, classes)
            for i in range(len(images))
        ]
        own.sort(key=lambda each: -each.wrong)
        found += [each for each in own[:PER_CLASS] if each.wrong]
    return found


def typical_images(images: ImageCounts, classes: ClassSet) -> list[ClassImage]:
    """Finds, for each critical class, the image of the median IoU.

    Args:
        images: The counts of every image.
        classes: The class set.

    Returns:
        At most one image for each critical class, of those that show it and
        are not among its worst.
    """
    worst = {
        (e.class_name, e.name, e.drive) for e in worst_images(images, classes)
    }
    found = []
    for class_name in classes.critical:
        index = classes.index(class_name)
        showing = np.flatnonzero(images.candidate[:, index].any(axis=-1))
        own = [_image_of(images, i, class_name, classes) for i in showing]
        own = [e for e in own if (class_name, e.name, e.drive) not in worst]
        own.sort(key=lambda each: each.iou)
        found += own[(len(own) - 1) // 2 :][:1]
    return found


def _image_of(
    images: ImageCounts, i: int, class_name: str, classes: ClassSet
) -> ClassImage:
    index, counts = classes.index(class_name), images.candidate[i]
    hits = counts[index, index]
    return ClassImage(
        class_name,
        images.names[i],
        images.drives[i],
        int(counts[index].sum() - hits),
        int(counts[:, index].sum() - hits),
        _iou(counts, index),
        None if images.baseline is None else _iou(images.baseline[i], index),
    )


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
        key = text_of(record["name"]), text_of(record["drive"])
        if key in keys:
            found[key] = record
    return found


def draw_panels(
    record: Mapping[str, tf.Tensor],
    models: Mapping[str, ServedModel],
    shown: ClassImage,
    classes: ClassSet,
) -> Panels:
    """Draws an image with what it shows and what models see in it.

    Args:
        record: The parsed record.
        models: The models by caption; the last one is judged.
        shown: What the image is shown for.
        classes: The class set.

    Returns:
        PNG and JPEG files by caption: the image, its truth, each model's
        prediction, and where the last one misses the class or invents it.
    """
    pixels, maps = _maps(record, models)
    panels = {"image": _jpeg(pixels)}
    panels |= {
        caption: _flat(overlay(pixels, ids, classes, opacity=1))
        for caption, ids in maps.items()
    }
    index = classes.index(shown.class_name)
    predicted = [*maps.values()][-1]
    errors = _errors(pixels, maps["truth"], predicted, index, classes.void)
    return panels | {"errors": _flat(errors)}


def draw_missed(
    record: Mapping[str, tf.Tensor],
    model: ServedModel,
    region: MissedRegion,
    classes: ClassSet,
) -> Panels:
    """Draws a region that is missed: where it is, and from near.

    Args:
        record: The parsed record.
        model: The model that was judged.
        region: The region.
        classes: The class set.

    Returns:
        PNG and JPEG files by caption.
    """
    pixels, maps = _maps(record, {"prediction": model})
    top, bottom, left, right = region.box
    # As much around it again, so that it is seen where it stands.
    margin = max(bottom - top, right - left)
    rows = slice(max(0, top - margin), bottom + margin)
    columns = slice(max(0, left - margin), right + margin)
    panels = {
        "image": _jpeg(_framed(pixels, region.box)),
        "near": _jpeg(pixels[rows, columns]),
    }
    return panels | {
        f"{caption}, near": _flat(
            overlay(pixels, ids, classes, opacity=1)[rows, columns]
        )
        for caption, ids in maps.items()
    }


def _maps(
    record: Mapping[str, tf.Tensor], models: Mapping[str, ServedModel]
) -> tuple[Ids, dict[str, Ids]]:
    """The pixels of a record, its truth, and what models see in it."""
    pixels, truth = (each.numpy() for each in decode(dict(record)))
    encoded = record["image/encoded"].numpy()
    maps = {"truth": truth.reshape(pixels.shape[:2])}
    maps |= {name: model.segment(encoded) for name, model in models.items()}
    return pixels, maps


def _framed(pixels: Ids, box: tuple[int, int, int, int]) -> Ids:
    """Draws a frame around a box, light within dark: seen on any ground."""
    framed = pixels.copy()
    thick = max(1, pixels.shape[1] // 320)
    height, width = pixels.shape[:2]
    for grow, colour in ((2 * thick, (0, 0, 0)), (thick, (255, 255, 255))):
        top, left = max(0, box[0] - grow), max(0, box[2] - grow)
        bottom, right = min(height, box[1] + grow), min(width, box[3] + grow)
        framed[top:bottom, left:right] = colour
    inside = slice(box[0], box[1]), slice(box[2], box[3])
    framed[inside] = pixels[inside]
    return framed


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


def legend(classes: ClassSet) -> dict[str, str]:
    """Returns the colour of each class as the panels show it."""
    return {
        name: to_hex(colour)
        for name, colour in zip(classes.names, classes.drawn, strict=True)
    }


def to_hex(colour: Sequence[int]) -> str:
    """Returns a colour as a page writes it.

    Example:

    >>> to_hex(MISSED)
    '#d61e3c'
    """
    return "#" + "".join(f"{channel:02x}" for channel in colour)


def _critical(record: dict[str, tf.Tensor], classes: ClassSet) -> float:
    """How many kinds of critical classes an image shows, then how much."""
    _, label = decode(record)
    ids: Ids = label.numpy()
    shares = [
        float(np.mean(ids == classes.index(name))) for name in classes.critical
    ]
    return sum(share > 0.002 for share in shares) + min(sum(shares), 0.99)


def _jpeg(pixels: Any) -> bytes:
    stream = io.BytesIO()
    _shrunk(pixels, Image.Resampling.LANCZOS).save(
        stream, "JPEG", quality=88, subsampling=0
    )
    return stream.getvalue()


def _flat(pixels: Any) -> bytes:
    """A PNG file in which each colour stays what it is."""
    stream = io.BytesIO()
    _shrunk(pixels, Image.Resampling.NEAREST).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _shrunk(pixels: Any, how: Image.Resampling) -> Image.Image:
    picture = Image.fromarray(pixels)
    width = min(picture.width, WIDTH)
    height = max(1, round(picture.height * width / picture.width))
    return picture.resize((width, height), how)


def _iou(counts: Counts, index: int) -> float:
    return float(iou_per_class(counts)[index])
