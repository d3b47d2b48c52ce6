"""What a network sees of an image that it answers: mirrors, zooms, windows.

Several views of one image are averaged as probabilities; a frame that is
larger than the network's size may be seen in windows, at its own size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from wseg_tf.ranges import bounded, check_ranges

Network = Callable[[tf.Tensor], tf.Tensor]
Side = Any  # A number where it is known, else a tensor.


@dataclass
class Views:
    """How a trained network looks at an image. The defaults: once, as a whole.

    Each view takes the network another pass.

    Args:
        flip: Whether the mirror image is seen, too, left for right.
        scales: The zooms it is seen at. Without windows, of the network's
            height and width; with them, of the image's own.
        windows: Whether the network is moved over the image at the image's
            own size, in windows of the network's height and width, rather than
            the image resized to them.
        overlap: The least share of a window that its neighbour sees, too.
            Windows are blended: the nearer a pixel to a window's middle, the
            more the window counts.

    Raises:
        ValueError: If a value is out of its range, or there is no scale.
    """

    flip: bool = False
    scales: list[float] = bounded(lambda: [1.0], 0.1, 4)
    windows: bool = False
    overlap: float = bounded(0.25, 0, 0.75)

    def __post_init__(self) -> None:
        """Refuses values out of their range."""
        check_ranges(self)
        if not self.scales:
            raise ValueError(
                "Invalid value for argument `scales`. Expected at least one "
                "zoom. Received: scales=[]."
            )

    @property
    def take_one_size(self) -> bool:
        """Whether the network sees images of its own size alone."""
        return self.windows or [*self.scales] == [1.0]

    @property
    def are_plain(self) -> bool:
        """Whether the image is seen once, as a whole."""
        return [*self.scales] == [1.0] and not (self.flip or self.windows)


# Shapes and options are known when it is traced: nothing is converted.
@tf.autograph.experimental.do_not_convert
def class_scores(
    network: Network, images: tf.Tensor, size: tuple[int, int], views: Views
) -> tf.Tensor:
    r"""Returns what a network says of each pixel, over all views.

    .. math:: z = \log \frac{1}{V} \sum_v \mathrm{softmax}(z_v)

    of V views; of one, the logits themselves. Either way softmax(z) are the
    probabilities, and the largest is the likeliest class.

    Args:
        network: Maps images `[B, h, w, 3]` to logits `[B, h, w, N]`. Without
            windows it is called with every scale of `size`, with windows with
            `size` alone.
        images: `[B, H, W, 3]`, of any size.
        size: Height and width that the network sees.
        views: How it looks.

    Returns:
        float32 `[B, H, W, N]`.

    Example: Left and right are 0.8 and 0.6 the class; on average 0.7.

    >>> def left_and_right(images):
    ...     return tf.math.log([[[[0.2, 0.8], [0.4, 0.6]]]])
    >>> image = tf.zeros([1, 1, 2, 3])
    >>> z = class_scores(left_and_right, image, (1, 2), Views(flip=True))
    >>> tf.nn.softmax(z)[0, 0].numpy().round(2)
    array([[0.3, 0.7],
           [0.3, 0.7]], dtype=float32)
    """
    images = tf.cast(images, tf.float32)
    native = _sides(images)
    if views.are_plain:
        return _whole(network, images, size)
    total = tf.constant(0.0)
    for scale in views.scales:
        for is_flipped in (False, True) if views.flip else (False,):
            seen = tf.reverse(images, [2]) if is_flipped else images
            if views.windows:
                sides = [_scaled(side, scale) for side in native]
                zoomed = _zoomed(seen, sides)
                found = in_windows(network, zoomed, size, views.overlap)
                found = tf.image.resize(found, native)
            else:
                height, width = (int(_scaled(side, scale)) for side in size)
                found = tf.nn.softmax(_whole(network, seen, (height, width)))
            total += tf.reverse(found, [2]) if is_flipped else found
    return tf.math.log(total / (len(views.scales) * (1 + views.flip)))


def in_windows(
    network: Network, images: tf.Tensor, size: tuple[int, int], overlap: float
) -> tf.Tensor:
    """Returns the probabilities that windows give, blended.

    An image that is smaller than a window is continued by its border.

    Args:
        network: Maps images `[B, h, w, 3]` to logits `[B, h, w, N]`.
        images: `[B, H, W, 3]`.
        size: Height and width of a window.
        overlap: The least share of a window that its neighbour sees, too.

    Returns:
        Probabilities `[B, H, W, N]`, float32.
    """
    rows, columns = _sides(images)
    images = _continued(images, size)
    height, width = _sides(images)
    weights = _tent(size[0])[:, None, None] * _tent(size[1])[:, None]
    tops, lefts = (
        starts(length, window, overlap)
        for length, window in zip((height, width), size, strict=True)
    )

    def spread(values: tf.Tensor, corner: Any) -> tf.Tensor:
        below = height - size[0] - corner[0]
        right = width - size[1] - corner[1]
        around = [[corner[0], below], [corner[1], right], [0, 0]]
        found = tf.pad(values, [[0, 0], *around])
        sides = images.shape[1:3]
        found.set_shape([values.shape[0], *sides, values.shape[-1]])
        return found

    def add(
        sums: tuple[tf.Tensor, tf.Tensor], corner: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        seen = images[:, corner[0] :, corner[1] :][:, : size[0], : size[1]]
        seen.set_shape([images.shape[0], *size, 3])
        found = tf.nn.softmax(tf.cast(network(seen), tf.float32))
        return (
            sums[0] + spread(found * weights, corner),
            sums[1] + spread(weights[None], corner),
        )

    # The first window has the number of classes.
    sums = (tf.constant(0.0), tf.constant(0.0))
    if isinstance(height, int) and isinstance(width, int):
        for top in tops:
            for left in lefts:
                sums = add(sums, (top, left))
    else:
        grid = tf.stack(tf.meshgrid(tops, lefts, indexing="ij"), axis=-1)
        corners = tf.reshape(grid, [-1, 2])
        sums = add(sums, corners[0])
        sums = tf.foldl(add, corners[1:], sums, parallel_iterations=1)
    return (sums[0] / sums[1])[:, :rows, :columns]


def starts(length: Side, window: int, overlap: float) -> Any:
    """Returns where windows begin that cover a side evenly, ends included.

    Args:
        length: Pixels of the side, at least those of a window.
        window: Pixels of a window.
        overlap: The least share of a window that its neighbour sees, too.

    Returns:
        int32 `[n]`, rising from 0 to `length - window`; an array where the
        length is a number.

    Example:

    >>> starts(10, 4, 0.25).tolist(), starts(tf.constant(11), 4, 0.25).numpy()
    ([0, 3, 6], array([0, 2, 4, 7], dtype=int32))
    """
    step = max(int(window * (1 - overlap)), 1)
    # Rounded up; one window more than steps.
    steps = -((window - length) // step)
    if isinstance(length, int):
        places = np.arange(steps + 1, dtype=np.int32)
        return places * (length - window) // max(steps, 1)
    return tf.range(steps + 1) * (length - window) // tf.maximum(steps, 1)


def _whole(
    network: Network, images: tf.Tensor, size: tuple[int, int]
) -> tf.Tensor:
    """The logits of whole images that are resized, at their own size."""
    logits = network(_zoomed(images, [*size]))
    return tf.image.resize(tf.cast(logits, tf.float32), _sides(images))


def _zoomed(images: tf.Tensor, sides: list[Side]) -> tf.Tensor:
    """Images at a size; antialiased unless it is known that they grow.

    TensorFlow Lite has no antialiasing.
    """
    pairs = list(zip(sides, _sides(images), strict=True))
    are_known = all(isinstance(side, int) for pair in pairs for side in pair)
    shrinks = not are_known or any(new < old for new, old in pairs)
    return tf.image.resize(images, sides, antialias=shrinks)


def _sides(images: tf.Tensor) -> list[Side]:
    """Height and width: numbers where they are known."""
    known, found = images.shape[1:3], tf.shape(images)[1:3]
    return [
        found[axis] if side is None else side for axis, side in enumerate(known)
    ]


def _scaled(side: Side, scale: float) -> Side:
    """A side at a zoom, to the nearest pixel."""
    if isinstance(side, int):
        return max(round(side * scale), 1)
    scaled = tf.round(tf.cast(side, tf.float32) * scale)
    return tf.maximum(tf.cast(scaled, tf.int32), 1)


def _continued(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Images of at least a size, their last rows and columns repeated."""
    sides = _sides(images)
    for axis, (side, least) in enumerate(zip(sides, size, strict=True), 1):
        if not isinstance(side, int) or side < least:
            wanted = tf.range(tf.maximum(side, least))
            images = tf.gather(images, tf.minimum(wanted, side - 1), axis=axis)
    return images


def _tent(window: int) -> tf.Tensor:
    """Weights of a window's pixels: 1 at its borders, rising to its middle."""
    places = tf.range(window, dtype=tf.float32)
    return tf.minimum(places + 1, window - places)
