"""Paired augmentation: image and label through one and the same map.

A label is only ever moved, never mixed: after any augmentation it holds
classes it held before, and void where the frame was left.
"""

from __future__ import annotations

import math

import tensorflow as tf

from wseg_tf.data.augmentation import Augmentation

_LUMINANCE = (0.2989, 0.587, 0.114)  # of red, green and blue (Rec. 601)


def augment(
    image: tf.Tensor,
    label: tf.Tensor,
    crop: tuple[int, int],
    void: int,
    options: Augmentation,
    seed: tf.Tensor,
    *maps: tf.Tensor,
) -> tuple[tf.Tensor, ...]:
    """Varies one frame; equal seeds give equal frames.

    Zoom, turn, flip and crop are one affine map, so that pixels are resampled
    once: bilinear for the image, nearest for the label. Outside the frame the
    image goes on as it ends, and the label is void.

    Args:
        image: Image `[H, W, 3]`, 0..255.
        label: Class ids `[H, W]`.
        crop: Height and width of the result, pixels.
        void: Label of what lies outside the frame.
        options: How to vary it.
        seed: Two integers, shape `[2]`.
        *maps: Further maps `[H, W, ...]`, each pixel of which goes where its
            label goes; they are zero outside the frame.

    Returns:
        A tuple of the image, float32 `[*crop, 3]`, the label, int32
        `[*crop]`, and the further maps `[*crop, ...]`.
    """
    image = tf.cast(image, tf.float32)
    if options == Augmentation() and crop == tuple(label.shape):
        return image, tf.cast(label, tf.int32), *maps
    # One number each; unused ones cost nothing worth saving.
    draws = tf.random.stateless_uniform([10], seed)
    matrix = _affine(tf.shape(label), label, crop, options, draws)
    # Of further maps, it is moved where each pixel was: they follow it.
    given, outside = label, void
    if maps:
        outside = tf.size(label)
        label = tf.reshape(tf.range(outside), tf.shape(label))
    if options.rotation == 0:
        image, label = _move(image, label, matrix, crop, outside)
    else:
        image = _resample(image, matrix, crop, "BILINEAR", "NEAREST")
        fill = tf.cast(outside, tf.float32)
        label = _resample(
            label[..., None], matrix, crop, "NEAREST", "CONSTANT", fill
        )[..., 0]
    if maps:
        maps = tuple(_fetched(each, label, 0) for each in maps)
        label = _fetched(tf.cast(given, tf.int32), label, void)
    if options.brightness or options.contrast or options.saturation:
        image = _recolour(image, options, draws[7:])
    return image, label, *maps


def _fetched(values: tf.Tensor, where: tf.Tensor, void: int) -> tf.Tensor:
    """Returns the values of the pixels `where` names, by row-major number."""
    shape = values.shape[2:]
    flat = tf.reshape(values, tf.concat([[-1], tf.shape(values)[2:]], 0))
    flat = tf.concat([flat, tf.fill([1, *shape], tf.cast(void, flat.dtype))], 0)
    return tf.gather(flat, where)


def _affine(
    size: tf.Tensor,
    label: tf.Tensor,
    crop: tuple[int, int],
    options: Augmentation,
    draws: tf.Tensor,
) -> tf.Tensor:
    """Returns the map from a crop's pixels to the frame's, shape `[8]`."""
    frame = tf.cast(size, tf.float32)
    low, high = options.scale
    zoom = tf.exp(math.log(low) + draws[0] * math.log(high / low))
    turn = math.radians(options.rotation) * (2.0 * draws[1] - 1.0)
    mirror = tf.where(draws[2] < options.flip, -1.0, 1.0)
    window = tf.constant(crop, tf.float32) / zoom  # the crop, in the frame
    slack = (frame - window) / 2.0
    # Inside the frame where it is larger than the crop; anywhere around it
    # where it is smaller.
    centre = frame / 2.0 + (2.0 * draws[3:5] - 1.0) * tf.abs(slack)
    if options.rare > 0:
        spot, found = _rare_spot(label, options.rare_classes, draws[6])
        # A crop that shows the spot, anywhere but at its rim.
        aside = (2.0 * draws[3:5] - 1.0) * 0.35 * window
        inside = frame / 2.0 + tf.clip_by_value(
            spot + aside - frame / 2.0, -tf.abs(slack), tf.abs(slack)
        )
        chosen = found & (draws[5] < options.rare)
        centre = tf.where(chosen, inside, centre)
    cosine, sine = tf.cos(turn) / zoom, tf.sin(turn) / zoom
    across, down = mirror * cosine, -sine
    along, depth = mirror * sine, cosine
    middle_row, middle_column = (crop[0] - 1) / 2.0, (crop[1] - 1) / 2.0
    row, column = centre[0] - 0.5, centre[1] - 0.5
    start_column = column - across * middle_column - down * middle_row
    start_row = row - along * middle_column - depth * middle_row
    if options.scale == (1.0, 1.0) and options.rotation == 0:
        # Whole pixels: nothing is blurred where nothing needs resampling.
        start_column, start_row = tf.round(start_column), tf.round(start_row)
    zero = tf.zeros([])
    return tf.stack(
        [across, down, start_column, along, depth, start_row, zero, zero]
    )


def _rare_spot(
    label: tf.Tensor, classes: tuple[int, ...], draw: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a pixel (row, column) of a rare class, and whether there is one.

    First a class among those in the frame, then a pixel of it, each evenly.
    """
    flat = tf.cast(tf.reshape(label, [-1]), tf.int32)
    ids = tf.constant(classes, tf.int32)
    present = tf.reduce_any(flat[:, None] == ids[None, :], axis=0)
    candidates = tf.boolean_mask(ids, present)
    found = tf.size(candidates) > 0
    candidates = tf.concat([candidates, ids[:1]], 0)
    count = tf.cast(tf.maximum(tf.size(candidates) - 1, 1), tf.float32)
    pick = tf.minimum(draw * count, count - 1e-3)
    chosen = candidates[tf.cast(pick, tf.int32)]
    pixels = tf.concat([tf.where(flat == chosen)[:, 0], [0]], 0)
    total = tf.cast(tf.maximum(tf.size(pixels) - 1, 1), tf.float32)
    within = (pick - tf.floor(pick)) * total
    place = pixels[tf.cast(tf.minimum(within, total - 1.0), tf.int32)]
    width = tf.cast(tf.shape(label)[1], tf.int64)
    spot = tf.stack([place // width, place % width])
    return tf.cast(spot, tf.float32) + 0.5, found


def _move(
    image: tf.Tensor,
    label: tf.Tensor,
    matrix: tf.Tensor,
    crop: tuple[int, int],
    void: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Resamples where nothing turns: rows first, then columns as rows.

    The same as `_resample`, several times as fast: whole rows are copied.
    """
    for axis in (0, 1):
        scale, start = matrix[4 - 4 * axis], matrix[5 - 3 * axis]
        places = start + scale * tf.range(crop[axis], dtype=tf.float32)
        image = tf.transpose(_between_rows(image, places), [1, 0, 2])
        label = tf.transpose(_nearest_rows(label, places, void))
    image.set_shape([*crop, 3])
    label.set_shape(crop)
    return image, tf.cast(label, tf.int32)


def _between_rows(image: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Returns rows of an image by linear interpolation; it goes on outside."""
    last = tf.shape(image)[0] - 1
    before = tf.floor(places)
    first = tf.cast(before, tf.int32)
    upper = tf.gather(image, tf.clip_by_value(first, 0, last))
    lower = tf.gather(image, tf.clip_by_value(first + 1, 0, last))
    return upper + (lower - upper) * (places - before)[:, None, None]


def _nearest_rows(label: tf.Tensor, places: tf.Tensor, void: int) -> tf.Tensor:
    """Returns the nearest rows of a label; void outside."""
    last = tf.shape(label)[0] - 1
    nearest = tf.cast(tf.floor(places + 0.5), tf.int32)
    inside = (nearest >= 0) & (nearest <= last)
    rows = tf.gather(label, tf.clip_by_value(nearest, 0, last))
    return tf.where(inside[:, None], rows, tf.cast(void, label.dtype))


def _resample(
    pixels: tf.Tensor,
    matrix: tf.Tensor,
    crop: tuple[int, int],
    interpolation: str,
    fill_mode: str,
    fill_value: tf.Tensor | float = 0.0,
) -> tf.Tensor:
    if pixels.dtype != tf.float32:
        pixels = tf.cast(pixels, tf.int32)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels[None],
        transforms=matrix[None],
        output_shape=tf.constant(crop, tf.int32),
        fill_value=fill_value,
        interpolation=interpolation,
        fill_mode=fill_mode,
    )[0]
    moved.set_shape([*crop, pixels.shape[-1]])
    return moved


def _recolour(
    image: tf.Tensor, options: Augmentation, draws: tf.Tensor
) -> tf.Tensor:
    around = 2.0 * draws - 1.0
    if options.saturation:
        # grey + (colour - grey) (1 + s), as one matrix for all pixels
        more = options.saturation * around[0]
        grey = tf.constant(_LUMINANCE)[:, None] * tf.ones([1, 3])
        mixed = (1.0 + more) * tf.eye(3) - more * grey
        image = tf.nn.conv2d(image[None], mixed[None, None], 1, "VALID")[0]
    contrast = 1.0 + options.contrast * around[1]
    shift = (1.0 - contrast) * tf.reduce_mean(image)
    shift += 255.0 * options.brightness * around[2]
    return tf.clip_by_value(image * contrast + shift, 0.0, 255.0)
