"""Serving: a SavedModel that takes encoded images and returns class ids.

Decoding, resizing and the choice of the class are part of the model, so what
is served is what was evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf import saved_models
from wseg_tf.cards import whole_card, write_card
from wseg_tf.classes import ClassSet, class_set
from wseg_tf.data.encoded import BROKEN, checked_sizes, decoded
from wseg_tf.data.records import decode, parse
from wseg_tf.decisions import LIKELIEST, decide, ground_of
from wseg_tf.function_names import number_functions
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics import tensors
from wseg_tf.views import Network, Views, class_scores

# Pixels of the largest image that is answered, by default: twice Cityscapes'.
# An image costs about 4 N + 16 bytes a pixel, N the number of classes.
MAX_PIXELS = 2**22
SERVING = "serving_default"
CONFUSION = "confusion"
PIXELS = "pixels"


@dataclass(frozen=True)
class _Loaded:
    """The network of an exported model, called as a Keras model is."""

    network: Network
    variables: Sequence[tf.Variable] = ()  # The exported model holds them.

    def __call__(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        return self.network(images)


class SegmentationService(tf.Module):
    """The functions a pushed model offers.

    Args:
        model: Maps images `[B, H, W, 3]`, 0..255, to logits `[B, H, W, N]`.
        classes: The class set the logits are in the order of.
        height: Height the network sees.
        width: Width the network sees.
        ground: D, to decide for the least expected severity; for the likeliest
            class by default.
        max_pixels: Pixels of the largest image that is answered.
        views: How the network looks at an image. Once, as a whole, by default.
    """

    def __init__(
        self,
        model: keras.Model | _Loaded,
        classes: ClassSet,
        height: int,
        width: int,
        ground: GroundMatrix | None = None,
        max_pixels: int = MAX_PIXELS,
        views: Views | None = None,
    ) -> None:
        super().__init__()
        # Saved are the variables; as a Keras object the model would be traced
        # again, layer by layer, for minutes.
        self.weights = list(model.variables)
        self._classes = classes
        self._size = (height, width)
        self._ground = ground
        self._max_pixels = max_pixels
        self.ids = ids_type(classes)
        self._views = views or Views()
        seen = self._size if self._views.take_one_size else (None, None)
        # Traced once, for all that is offered.
        self._logits: Network = tf.function(
            lambda images: model(images, training=False),
            input_signature=[tf.TensorSpec([None, *seen, 3])],
            autograph=False,
        )
        self.classify = tf.function(
            self._classify,
            input_signature=[
                tf.TensorSpec([None, *self._size, 3], tf.uint8, name="images")
            ],
            autograph=False,
        )

    def _classify(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the ids `[B, H, W]` of pixels at the network's size."""
        count = tf.shape(images)[0]
        # An empty batch gets an image: TensorFlow's CPU kernels fail at none.
        added = tf.cast(tf.equal(count, 0), tf.int32)
        paddings = [[0, added], [0, 0], [0, 0], [0, 0]]
        filled = tf.pad(tf.cast(images, tf.float32), paddings)
        if self._views.are_plain:  # Nothing to resize.
            scores = self._logits(filled)
        else:
            scores = self._scores(filled)
        found = decide(scores[:count], self._ground)
        return {"classes": tf.cast(found, self.ids)}

    def _scores(self, images: tf.Tensor) -> tf.Tensor:
        return class_scores(self._logits, images, self._size, self._views)

    def predict(self, image: tf.Tensor) -> tf.Tensor:
        """Returns the class ids `[H, W]` of one image `[H, W, 3]`."""
        scores = self._scores(image[None])
        return tf.cast(decide(scores[0], self._ground), self.ids)

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="images")]
    )
    def segment(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Segments encoded images, each for itself.

        Args:
            images: PNG or JPEG files `[B]`, of any sizes, each turned as its
                EXIF says.

        Returns:
            `"classes"`: class ids `[B, H, W]`, uint8 or, for a void above
            255, uint16. H and W are those of the largest image; a smaller
            one is in the upper left corner, and void is around it.
            `"sizes"`: height and width of each `[B, 2]`, int32, as it is
            displayed; 0 for one that has no answer.
            `"errors"`: why it has none `[B]`, a sentence; else empty.
        """
        sizes, errors = checked_sizes(images, self._max_pixels)
        largest = tf.reduce_max(tf.pad(sizes, [[0, 1], [0, 0]]), axis=0)
        void = tf.constant(min(self._classes.void, self.ids.max), self.ids)

        def answer(each: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
            encoded, size, error = each
            image = decoded(encoded, error)
            is_whole = tf.reduce_all(tf.shape(image)[:2] == size)
            is_answered = (error == "") & is_whole
            size *= tf.cast(is_answered, tf.int32)
            ids = tf.cond(
                is_answered,
                lambda: self.predict(image),
                lambda: tf.zeros([0, 0], self.ids),
            )
            rest = largest - tf.shape(ids)
            paddings = [[0, rest[0]], [0, rest[1]]]
            ids = tf.pad(ids, paddings, constant_values=void)
            is_broken = (error == "") & ~is_answered
            return ids, size, tf.where(is_broken, BROKEN, error)

        def answer_all() -> tuple[tf.Tensor, ...]:
            return tuple(
                tf.map_fn(
                    answer,
                    (images, sizes, errors),
                    fn_output_signature=(
                        tf.TensorSpec([None, None], self.ids),
                        tf.TensorSpec([2], tf.int32),
                        tf.TensorSpec([], tf.string),
                    ),
                )
            )

        classes, sizes, errors = tf.cond(
            tf.size(images) > 0,
            answer_all,
            lambda: (tf.zeros([0, 0, 0], self.ids), sizes, errors),
        )
        return {"classes": classes, "sizes": sizes, "errors": errors}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="examples")]
    )
    def count_confusion(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Counts the confusion of each serialised tf.Example.

        Args:
            examples: Serialised records `[B]`, of any sizes.

        Returns:
            `"confusion"`: exact counts `[B, N, N]`, int64; rows truth, columns
            predictions; void pixels are not counted.
        """
        count = len(self._classes)
        return {
            "confusion": tf.map_fn(
                self._confusion,
                examples,
                fn_output_signature=tf.TensorSpec([count, count], tf.int64),
            )
        }

    def _confusion(self, example: tf.Tensor) -> tf.Tensor:
        image, label = decode(parse(example))
        return tensors.count_confusion(
            label,
            self.predict(image),
            len(self._classes),
            self._classes.void,
        )


def export(
    model: keras.Model,
    folder: str,
    classes: ClassSet | Any,
    height: int,
    width: int,
    ground: GroundMatrix | None = None,
    decision: str = LIKELIEST,
    max_pixels: int = MAX_PIXELS,
    views: Views | None = None,
) -> None:
    """Writes a SavedModel that needs TensorFlow alone.

    Its signature `"serving_default"` takes encoded images and returns class
    ids, or a sentence where an image has none; `"confusion"` takes tf.Examples
    and returns exact counts; `"pixels"` takes decoded images at the network's
    size and returns class ids.

    Args:
        model: Maps images `[B, H, W, 3]`, 0..255, to logits `[B, H, W, N]`.
        folder: Where the SavedModel is written.
        classes: The class set the logits are in the order of, or whatever
            `wseg_tf.class_set` takes.
        height: Height the network sees.
        width: Width the network sees.
        ground: The ground matrix it was trained with, brought into the order
            of the classes; saved beside it, for the expected severity. None by
            default.
        decision: How the class of a pixel is chosen, one of
            `wseg_tf.decisions.DECISIONS`; `"least_risk"` needs `ground`.
        max_pixels: Pixels of the largest image that `"serving_default"`
            answers, since a small file may hold a huge image. Defaults to
            2**22, 4,194,304, twice Cityscapes' 2048 x 1024.
        views: How the network looks at an image, whatever the signature.
            Defaults to once, as a whole.

    Raises:
        ValueError: If the model's channels are not the class set's classes, it
            takes images of another size, the decision is unknown or lacks its
            ground matrix, that is one of other classes, or `max_pixels` is
            below 1.
    """
    classes, views = class_set(classes), views or Views()
    channels = model.output_shape[-1]
    if channels != len(classes):
        raise ValueError(
            f"Invalid value for argument `model`. Expected {len(classes)} "
            f"output channels, one for each class of `{classes.name}`. "
            f"Received: {channels}."
        )
    own, given = tuple(model.input_shape[1:3]), (height, width)
    if any(k not in (None, n) for k, n in zip(own, given, strict=True)):
        raise ValueError(
            "Invalid value for arguments `height` and `width`. Expected the "
            f"size of the images that `model` takes, {own}. Received: {given}."
        )
    if max_pixels < 1:
        raise ValueError(
            "Invalid value for argument `max_pixels`. Expected 1 or more. "
            f"Received: max_pixels={max_pixels}."
        )
    if ground is not None:
        ground = GroundMatrix.of(ground, classes)
    decides_by = ground_of(decision, ground)
    service = SegmentationService(
        model, classes, height, width, decides_by, max_pixels, views
    )
    tf.saved_model.save(
        service,
        folder,
        signatures={
            SERVING: service.segment,
            CONFUSION: service.count_confusion,
            PIXELS: service.classify,
        },
    )
    number_functions(folder)
    card = {
        "classes": classes.as_dict(),
        "ground": None if ground is None else ground.get_config(),
        "decision": decision,
        "size": [height, width],
        "max_pixels": max_pixels,
        "views": asdict(views),
        "ids": service.ids.name,
    }
    write_card(folder, card)


def ids_type(classes: ClassSet) -> tf.DType:
    """Returns the type of served class ids: it holds void, too.

    Example:

    >>> ids_type(class_set([f"class {i}" for i in range(257)])).name
    'uint16'
    """
    return tf.as_dtype(classes.label_dtype)


class ServedModel:
    """A model that `export` wrote, loaded again.

    Args:
        folder: The SavedModel.
        views: How it looks at an image, in place of what it was exported for.
            By default as it was.

    Raises:
        ValueError: If the folder holds no such model, one with operations
            that do more than compute, or one that has not these views.
    """

    def __init__(self, folder: str, views: Views | None = None) -> None:
        card = whole_card(folder)
        self.classes: ClassSet = card["classes"]
        self.ground: GroundMatrix | None = card["ground"]
        self._saved = saved_models.load(folder)
        signatures = self._saved.signatures
        if not {SERVING, CONFUSION} <= set(signatures):
            raise ValueError(
                f"Invalid model {folder}. Expected the signatures {SERVING!r} "
                f"and {CONFUSION!r}. Received: {sorted(signatures)}."
            )
        self._segment = signatures[SERVING]
        self._count = signatures[CONFUSION]
        if views is not None:
            # Kept: its functions know it by a weak reference.
            self._service = _with_views(folder, self._saved, card, views)
            self._segment = self._service.segment
            self._count = self._service.count_confusion

    def segment(self, encoded: bytes) -> npt.NDArray[Any]:
        """Segments one encoded image.

        Args:
            encoded: A PNG or JPEG file.

        Returns:
            Class ids `[H, W]`, uint8 or uint16, at the image's size.

        Raises:
            ValueError: If it has no answer; says why.
        """
        found = self._segment(tf.constant([encoded]))
        # Models of earlier versions fail as a whole.
        if "errors" in found and (error := found["errors"].numpy()[0]):
            raise ValueError(error.decode())
        ids: npt.NDArray[Any] = found["classes"].numpy()[0]
        return ids

    def count_confusion(self, record: bytes) -> npt.NDArray[np.int64]:
        """Counts the confusion of one record.

        Args:
            record: What `wseg_tf.data.records.serialise` returned.

        Returns:
            Exact counts `[N, N]`; rows truth, columns predictions.
        """
        found = self._count(tf.constant([record]))
        counts: npt.NDArray[np.int64] = found["confusion"].numpy()[0]
        return counts


def _with_views(
    folder: str, saved: Any, card: dict[str, Any], views: Views
) -> SegmentationService:
    """Offers the network of an exported model with views of the image."""
    own, (height, width) = Views(**card.get("views", {})), card["size"]
    network = getattr(saved, "_logits", None)
    if network is None or (own.take_one_size and not views.take_one_size):
        raise ValueError(
            "Invalid value for argument `views`. Expected windows, or no zoom, "
            f"of {folder}, whose network takes {height}x{width} alone. "
            f"Received: views={views}."
        )
    return SegmentationService(
        _Loaded(network),
        card["classes"],
        height,
        width,
        ground=ground_of(card["decision"], card["ground"]),
        max_pixels=card["max_pixels"],
        views=views,
    )
