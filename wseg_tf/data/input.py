"""The input of training and evaluation: records into batches by tf.data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import tensorflow as tf

from wseg_tf.classes import VOID
from wseg_tf.data.augmentation import Augmentation
from wseg_tf.data.caching import cache_path
from wseg_tf.data.checks import DataError
from wseg_tf.data.damage import record_files
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.layouts import Layout
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import decode, parse
from wseg_tf.data.sampling import class_presence, copies, expected_copies
from wseg_tf.data.warp import augment

Batch = tuple[tf.Tensor, tf.Tensor]

CACHE_BYTES = 2 * 2**30  # what frames may take of the memory by default
SHUFFLE_CACHED, SHUFFLE_ENCODED = 4096, 512  # frames, where order is unknown
AHEAD = 2  # batches that are ready before they are asked for
# What is drawn once an epoch has a seed like that of a frame.
_ORDER, _DRAW = -1, -2
_MOST_FRAMES = 2**40
_SAMPLE = 16  # frames that tell how all of them are made
# What can be read in any order: how many there are, and one by its index.
_Listed = tuple[int, Callable[[tf.Tensor], dict[str, tf.Tensor]]]
_LISTED: WeakKeyDictionary[tf.data.Dataset, _Listed] = WeakKeyDictionary()


def read_records(
    patterns: str | Sequence[str], compression: str = "GZIP"
) -> tf.data.Dataset:
    """Reads records, in the order of file names.

    Args:
        patterns: File patterns of TFRecord files.
        compression: `"GZIP"`, as TFX writes, `"ZLIB"` or `""`.

    Returns:
        A dataset of dicts of undecoded features (see `records.parse`).

    Raises:
        DataError: If a pattern matches no file.
    """
    dataset = tf.data.TFRecordDataset(
        record_files(patterns), compression_type=compression
    )
    return untuned(dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE))


def read_pairs(pairs: Sequence[Pair], layout: Layout) -> tf.data.Dataset:
    """Reads and checks pairs of files directly, in their order.

    Args:
        pairs: The pairs; at least one.
        layout: The layout they were found by.

    Returns:
        A dataset of dicts of the encoded image and label, named as in
        records. A pair that fails its checks stops it with an error of
        TensorFlow that holds the sentence; but `refuse_problems` first, since
        TensorFlow may wait forever for the pairs read beside it.

    Raises:
        DataError: If there are no pairs.
    """
    if not pairs:
        raise DataError("Expected at least one pair of image and label.")
    pairs = list(pairs)

    # TensorFlow's own decoder would turn the palette of a label into grey.
    def read(index: int) -> tuple[bytes, bytes]:
        checked = read_checked(pairs[index], layout)
        return checked.image, checked.label

    def encoded(index: tf.Tensor) -> dict[str, tf.Tensor]:
        image, label = tf.numpy_function(read, [index], [tf.string, tf.string])
        return {
            "image/encoded": tf.ensure_shape(image, []),
            "label/encoded": tf.ensure_shape(label, []),
        }

    dataset = tf.data.Dataset.range(len(pairs))
    dataset = dataset.map(encoded, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = untuned(dataset)
    _LISTED[dataset] = len(pairs), encoded
    return dataset


def evaluation_batches(
    examples: tf.data.Dataset, size: tuple[int, int], batch_size: int
) -> tf.data.Dataset:
    """Returns every example once, in order, unchanged but for its size.

    Args:
        examples: What `read_records` or `read_pairs` returned.
        size: Height and width of the result, pixels.
        batch_size: Examples in a batch; the last batch may have fewer.

    Returns:
        A dataset of tuples of images, float32 `[B, H, W, 3]` in 0..255, and
        class ids, int32 `[B, H, W]`.
    """

    def finish(*example: tf.Tensor) -> Batch:
        image, label = _sized(size)(*example)
        return tf.cast(image, tf.float32), tf.cast(label, tf.int32)

    frames = examples.map(finish, num_parallel_calls=tf.data.AUTOTUNE)
    return untuned(frames.batch(batch_size).prefetch(AHEAD))


def training_batches(
    examples: tf.data.Dataset,
    size: tuple[int, int],
    batch_size: int,
    void: int,
    *,
    crop: tuple[int, int] | None = None,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    first_epoch: int = 0,
    count: int | None = None,
    cache: bool | str | None = None,
    shuffle: bool = True,
    shuffle_buffer: int | None = None,
    drop_remainder: bool = False,
    shard: tuple[int, int] = (1, 0),
    read: Callable[[dict[str, tf.Tensor]], tuple[tf.Tensor, ...]] = decode,
) -> tf.data.Dataset:
    """Returns batches whose every pass is the next epoch.

    Order and augmentation are functions of `(seed, epoch, index)` alone,
    however many threads prepare them: the first pass from `first_epoch=5` is
    what the sixth pass from 0 gives. So a resumed training sees the frames
    that it would have seen.

    Args:
        examples: What `read_records` or `read_pairs` returned; finite.
        size: Height and width that frames are resized to, pixels.
        batch_size: Examples in a batch.
        void: Label of what lies outside a frame.
        crop: Height and width of what is cut out of a resized frame. Defaults
            to `size`.
        augmentation: How frames are drawn and varied. Defaults to each once,
            as it is, with crops, where they are smaller than frames, placed
            at random. `rare_images` takes one more pass over the labels, now.
        seed: Another seed gives other orders and variations.
        first_epoch: Epoch of the first pass, for resuming.
        count: Number of examples, where it is known: gives the dataset a
            cardinality without a pass. Defaults to unknown.
        cache: Keep decoded, resized frames in memory (True), in files whose
            names start with a path (str) and go on with a digest of the
            examples, which are read once for it, of what the first 16 became
            and of this package's code, or not (False). Defaults to memory
            where `count` says that they take at most 2 GiB.
        shuffle: Whether each epoch has an order of its own.
        shuffle_buffer: Frames that order is drawn from at a time. Defaults to
            all where `read_pairs` lists them or memory keeps `count` of them,
            to 4096 of other caches, and otherwise to 512: let the records lie
            in no order then, as ingest writes them.
        drop_remainder: Whether a last, smaller batch is left out.
        shard: Number of machines and the place of this one, from 0. Each
            prepares its share of an epoch alone: with a share of the batch
            size, their batches together are those of one machine.
        read: Decodes an example into an image, a label and any further maps
            of `size`, `[H, W, ...]`, which are moved as the label is, with
            zeros outside the frame. Defaults to the image and the label.

    Returns:
        A dataset of tuples of images, float32 `[B, H, W, 3]` in 0..255, class
        ids, int32 `[B, H, W]`, and the further maps, if any.

    Raises:
        DataError: If no frame shows a rare class where some are asked for.
    """
    options = augmentation or Augmentation()
    window = crop or size
    if cache is None:
        cache = count is not None and _bytes(count, size, void) <= CACHE_BYTES
    listed = None if cache else _LISTED.get(examples)
    if shuffle_buffer is None:
        shuffle_buffer = SHUFFLE_CACHED if cache else SHUFFLE_ENCODED
        if listed is not None or (cache is True and count):
            shuffle_buffer = listed[0] if listed else count
    expected = None
    if options.rare_images > 0:
        presence = class_presence(examples, options.rare_classes)
        expected = expected_copies(presence, options.rare_images)
    frames = examples.enumerate()
    resize = _sized(size, read, narrow=void <= VOID)
    if listed is not None:
        # Numbers are shuffled, not files: all of them, for nothing.
        indices = tf.data.Dataset.range(listed[0])
        frames = tf.data.Dataset.zip((indices, indices))

    def prepare(index: tf.Tensor, *example: tf.Tensor) -> tuple[tf.Tensor, ...]:
        if listed is not None:
            example = (listed[1](*example),)
        return (index, *resize(*_flattened(example)))

    if cache:
        frames = frames.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        name = (
            ""
            if cache is True
            else cache_path(cache, examples, frames.take(_SAMPLE), size)
        )
        frames = frames.cache(name)

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        ordered = frames
        # Of this function's graph alone: the program's own seed must not
        # change the order (and 0 would break `shuffle`).
        tf.random.set_seed(1)
        if expected is not None:
            offset = tf.random.stateless_uniform([], _seed(seed, epoch, _DRAW))
            ordered = ordered.flat_map(_repeat(copies(expected, offset)))
        if shuffle:
            order = _seed(seed, epoch, _ORDER)
            ordered = ordered.shuffle(
                shuffle_buffer,
                seed=tf.cast(order[0], tf.int64),
                reshuffle_each_iteration=False,
            )
        if shard[0] > 1:
            ordered = ordered.shard(*shard)

        def vary(
            index: tf.Tensor,
            image: tf.Tensor,
            label: tf.Tensor,
            *maps: tf.Tensor,
        ) -> tuple[tf.Tensor, ...]:
            key = _seed(seed, epoch, index)
            return augment(image, label, window, void, options, key, *maps)

        def prepare_and_vary(*frame: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return vary(*prepare(*frame))

        # In one step: between two, each frame would wait and be handed on.
        finish = vary if cache else prepare_and_vary
        return ordered.map(finish, num_parallel_calls=tf.data.AUTOTUNE).batch(
            batch_size, drop_remainder=drop_remainder
        )

    with tf.device("/cpu:0"):
        passes = tf.Variable(first_epoch, trainable=False, dtype=tf.int64)

    def next_epoch(_: tf.Tensor) -> tf.Tensor:
        return passes.assign_add(1, read_value=True) - 1

    batches = tf.data.Dataset.from_tensors(0).map(next_epoch)
    batches = batches.flat_map(epoch_batches)
    if count is not None:
        own = len(range(shard[1], count, shard[0]))
        number = steps(own, batch_size, drop_remainder)
        batches = batches.apply(tf.data.experimental.assert_cardinality(number))
    return untuned(batches.prefetch(AHEAD))


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns a dataset that TensorFlow does not tune while it is read.

    The end of a pass may wait half a second for the tuner's thread, which is
    a tenth of a short epoch. Without it `AUTOTUNE` is the number of cores, 16
    at most.

    Args:
        dataset: Any; what is made of it is not tuned either.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def steps(count: int, batch_size: int, drop_remainder: bool = False) -> int:
    """Returns the number of batches in an epoch of `count` examples.

    Example:

    >>> steps(10, 4), steps(10, 4, drop_remainder=True)
    (3, 2)
    """
    return count // batch_size if drop_remainder else -(-count // batch_size)


def resize(image: tf.Tensor, label: tf.Tensor, size: tuple[int, int]) -> Batch:
    """Resizes a frame: the image by area, the label to the nearest pixel.

    Args:
        image: Image `[H, W, 3]`, uint8.
        label: Class ids `[H, W]`, uint8 or uint16.
        size: Height and width of the result, pixels.

    Returns:
        A tuple of the image, uint8, and the label, of its dtype.
    """
    unchanged = tf.reduce_all(tf.shape(label) == tf.constant(size))

    def resized() -> Batch:
        # Antialiased, so that shrinking averages areas; labels take the
        # pixel at the centre of each area, which keeps both aligned.
        small = tf.image.resize(image, size, "bilinear", antialias=True)
        small = tf.cast(tf.clip_by_value(tf.round(small), 0, 255), tf.uint8)
        ids = tf.image.resize(label[..., None], size, "nearest")
        return small, ids[..., 0]

    image, label = tf.cond(unchanged, lambda: (image, label), resized)
    image.set_shape([*size, 3])
    label.set_shape(size)
    return image, label


def _bytes(count: int, size: tuple[int, int], void: int) -> int:
    """Returns the bytes that decoded frames take: RGB and a label."""
    return count * size[0] * size[1] * (4 if void <= VOID else 5)


def _repeat(times: tf.Tensor) -> Callable[..., tf.data.Dataset]:
    """Returns a function from a frame to as many of it; each varies anew."""

    def repeated(index: tf.Tensor, *example: tf.Tensor) -> tf.data.Dataset:
        numbers = tf.data.Dataset.range(times[index])
        # Another index: that is what the variation is drawn by.
        return numbers.map(lambda k: (index + k * _MOST_FRAMES, *example))

    return repeated


def _seed(seed: int, epoch: tf.Tensor, index: tf.Tensor | int) -> tf.Tensor:
    """Returns two integers that are different for every epoch and index."""
    index = tf.cast(index, tf.int64)
    return tf.random.stateless_uniform(
        [2],
        seed=tf.stack([tf.cast(seed, tf.int64) * 1_000_003 + epoch, index]),
        minval=None,
        maxval=None,
        dtype=tf.int32,
    )


def _flattened(example: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
    """Undoes the nesting that `enumerate` adds."""
    first = example[0]
    return tuple(first) if isinstance(first, tuple) else example


def _sized(
    size: tuple[int, int],
    read: Callable[[dict[str, tf.Tensor]], tuple[tf.Tensor, ...]] = decode,
    narrow: bool = False,
) -> Callable[..., tuple[tf.Tensor, ...]]:
    """Returns a function from an example, decoded or not, to a frame."""

    def sized(*example: tf.Tensor) -> tuple[tf.Tensor, ...]:
        decoded = read(example[0]) if len(example) == 1 else example
        image, label, *maps = decoded
        if narrow and label.dtype == tf.uint16:
            label = _narrowed(label)
        return *resize(image, label, size), *maps

    return sized


def _narrowed(label: tf.Tensor) -> tf.Tensor:
    """Returns ids as uint8, which caches keep; none may be cut."""
    largest = tf.reduce_max(label)
    fits = tf.debugging.Assert(
        largest <= VOID,
        [
            "Invalid label. Expected ids up to 255, as `void` is. Received:",
            largest,
        ],
    )
    with tf.control_dependencies([fits]):
        return tf.cast(label, tf.uint8)
