import io
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from wseg_tf.classes import CAMVID
from wseg_tf.data.augmentation import Augmentation
from wseg_tf.data.checks import DataError, check_pair
from wseg_tf.data.input import (
    evaluation_batches,
    read_pairs,
    read_records,
    resize,
    steps,
    training_batches,
)
from wseg_tf.data.layouts import layout
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import decode, serialise

COUNT, SIZE, VOID = 7, (12, 16), 11
OPTIONS = Augmentation(flip=0.5, scale=(0.8, 1.5), brightness=0.2)


def encoded(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def frames():
    """Images whose colour, and labels whose last row, tell their index."""
    random = np.random.default_rng(0)
    images = np.zeros((COUNT, *SIZE, 3), np.uint8)
    images += (np.arange(COUNT, dtype=np.uint8) * 30)[:, None, None, None]
    labels = random.integers(0, 12, (COUNT, *SIZE)).astype(np.uint8)
    labels[:, 0, 0] = 3
    return images, labels


@pytest.fixture(scope="module")
def files(frames, tmp_path_factory):
    folder = tmp_path_factory.mktemp("re cords")
    pairs = []
    for start, stop in ((0, 4), (4, COUNT)):
        path = str(folder / f"data-{start}.gz")
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for k in range(start, stop):
                image, label = encoded(frames[0][k]), encoded(frames[1][k])
                paths = str(folder / f"{k}.png"), str(folder / f"{k}_l.png")
                for name, contents in zip(paths, (image, label), strict=True):
                    with open(name, "wb") as file:
                        file.write(contents)
                pair = Pair(str(k), *paths, "train", "a", "b")
                pairs.append(pair)
                writer.write(serialise(pair, check_pair(image, label, CAMVID)))
    return folder, pairs


@pytest.fixture
def examples(files):
    return read_records(f"{files[0]}/data-*.gz")


def arrays(batches):
    return [(x.numpy(), y.numpy()) for x, y in batches]


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def order(batches):
    means = np.concatenate([x.mean((1, 2, 3)) for x, _ in batches])
    return [round(mean / 30) for mean in means]


def test_evaluation_sees_each_frame_once_in_order(examples, frames):
    batches = arrays(evaluation_batches(examples, SIZE, 3))
    assert [len(x) for x, _ in batches] == [3, 3, 1]
    images, labels = (
        np.concatenate(part) for part in zip(*batches, strict=True)
    )
    np.testing.assert_array_equal(images, frames[0])
    np.testing.assert_array_equal(labels, frames[1])
    assert images.dtype == np.float32
    assert labels.dtype == np.int32


def test_pairs_give_what_records_give(examples, files):
    pairs = read_pairs(files[1], layout("camvid"))
    assert_same(
        arrays(evaluation_batches(pairs, SIZE, 2)),
        arrays(evaluation_batches(examples, SIZE, 2)),
    )


def test_every_pass_is_another_epoch_of_all_frames(examples):
    batches = training_batches(examples, SIZE, 2, VOID)
    orders = [order(arrays(batches)) for _ in range(3)]
    assert all(sorted(each) == list(range(COUNT)) for each in orders)
    assert len({tuple(each) for each in orders}) == 3


@pytest.mark.parametrize("cache", [True, False])
def test_resuming_gives_the_same_epochs(examples, cache):
    whole = training_batches(
        examples, SIZE, 2, VOID, augmentation=OPTIONS, seed=4
    )
    epochs = [arrays(whole) for _ in range(3)]
    resumed = training_batches(
        examples,
        SIZE,
        2,
        VOID,
        augmentation=OPTIONS,
        seed=4,
        first_epoch=1,
        cache=cache,
    )
    assert_same(arrays(resumed), epochs[1])
    assert_same(arrays(resumed), epochs[2])
    other = training_batches(
        examples, SIZE, 2, VOID, augmentation=OPTIONS, seed=5
    )
    assert order(arrays(other)) != order(epochs[0])


@pytest.mark.parametrize("program_seed", [0, 7])
def test_the_programs_own_seed_changes_nothing(examples, program_seed):
    def epoch():
        return arrays(
            training_batches(
                examples, SIZE, 2, VOID, augmentation=OPTIONS, seed=4
            )
        )

    expected = epoch()
    keras.utils.set_random_seed(program_seed)
    assert_same(epoch(), expected)


def test_frames_vary_from_epoch_to_epoch_and_from_each_other(frames):
    one = np.repeat(
        frames[0][3:4] + np.arange(16, dtype=np.uint8)[:, None], 4, 0
    )
    same = tf.data.Dataset.from_tensor_slices(
        (one, np.repeat(frames[1][:1], 4, 0))
    )
    batches = training_batches(
        same, SIZE, 4, VOID, augmentation=OPTIONS, shuffle=False
    )
    first, second = arrays(batches)[0], arrays(batches)[0]
    assert len({x.tobytes() for x in [*first[0], *second[0]]}) == 8


@pytest.mark.parametrize("cache", [True, False])
def test_frames_of_rare_classes_are_drawn_as_often_as_asked(frames, cache):
    labels = np.zeros((COUNT, *SIZE), np.uint8)
    labels[2, 5, 5] = 9
    examples = tf.data.Dataset.from_tensor_slices((frames[0], labels))
    options = Augmentation(rare_classes=(8, 9), rare_images=0.5)

    def epochs(first):
        batches = training_batches(
            examples,
            SIZE,
            2,
            VOID,
            augmentation=options,
            first_epoch=first,
            count=COUNT,
            cache=cache,
        )
        return [order(arrays(batches)) for _ in range(20 - first)]

    drawn = epochs(0)
    assert all(len(each) == COUNT for each in drawn)
    # Half of 7 and its share of the rest: 4 in each epoch.
    assert all(each.count(2) == 4 for each in drawn)
    others = np.bincount(np.ravel(drawn), minlength=COUNT) / 20
    assert np.all(np.abs(np.delete(others, 2) - 0.5) < 0.4)
    assert len({tuple(each) for each in drawn}) == 20
    assert epochs(17) == drawn[17:]


def test_each_copy_of_a_frame_varies_anew(frames):
    labels = np.zeros((COUNT, *SIZE), np.uint8)
    labels[2, 5, 5] = 9
    options = Augmentation(
        rare_classes=(9,), rare_images=1.0, brightness=0.2, flip=0.5
    )
    batches = training_batches(
        tf.data.Dataset.from_tensor_slices((frames[0], labels)),
        SIZE,
        COUNT,
        VOID,
        augmentation=options,
    )
    ((images, _),) = arrays(batches)
    assert len({image.tobytes() for image in images}) == COUNT


def test_rare_frames_are_found_in_records_too(examples):
    options = Augmentation(rare_classes=(3,), rare_images=0.5)
    batches = training_batches(
        examples, SIZE, 2, VOID, augmentation=options, shuffle=False
    )
    # All frames show class 3, so each is drawn once.
    assert order(arrays(batches)) == list(range(COUNT))


def test_void_alone_is_added(examples, frames):
    options = Augmentation(scale=(0.5, 0.9), rotation=15.0)
    batches = training_batches(
        examples, SIZE, 7, VOID, augmentation=options, shuffle=False
    )
    ((_, labels),) = arrays(batches)
    for found, original in zip(labels, frames[1], strict=True):
        assert set(np.unique(found)) <= {*np.unique(original), VOID}
        assert np.sum(found == VOID) > np.sum(original == VOID)


def test_the_cache_holds_whole_epochs(files, frames, tmp_path):
    """Later passes do not open the files again."""
    path = tmp_path / "copy.gz"
    path.write_bytes((files[0] / "data-0.gz").read_bytes())
    batches = training_batches(read_records(str(path)), SIZE, 2, VOID, count=4)
    assert sorted(order(arrays(batches))) == [0, 1, 2, 3]
    path.unlink()
    assert sorted(order(arrays(batches))) == [0, 1, 2, 3]
    stored = training_batches(
        read_records(f"{files[0]}/data-*.gz"),
        SIZE,
        2,
        VOID,
        cache=str(tmp_path / "cache"),
    )
    assert sorted(order(arrays(stored))) == list(range(COUNT))
    assert list(tmp_path.glob("cache*"))
    assert sorted(order(arrays(stored))) == list(range(COUNT))


@pytest.mark.parametrize(
    "how", [{}, {"cache": False, "count": 4}, {"count": 2**40}]
)
def test_nothing_is_kept_where_it_may_not_fit(files, tmp_path, how):
    path = tmp_path / "copy.gz"
    path.write_bytes((files[0] / "data-0.gz").read_bytes())
    batches = training_batches(read_records(str(path)), SIZE, 2, VOID, **how)
    next(iter(batches))
    path.unlink()
    with pytest.raises(tf.errors.NotFoundError):
        next(iter(batches))


def test_cardinality_is_known_where_the_count_is(examples):
    known = training_batches(examples, SIZE, 2, VOID, count=COUNT)
    assert int(known.cardinality()) == 4 == len(arrays(known))
    dropped = training_batches(
        examples, SIZE, 2, VOID, count=COUNT, drop_remainder=True
    )
    assert int(dropped.cardinality()) == 3 == len(arrays(dropped))
    assert steps(COUNT, 2, drop_remainder=True) == 3
    unknown = training_batches(examples, SIZE, 2, VOID)
    assert int(unknown.cardinality()) == tf.data.UNKNOWN_CARDINALITY


def test_crops_are_cut_from_resized_frames(examples):
    batches = training_batches(examples, (24, 32), 2, VOID, crop=(6, 8))
    for images, labels in arrays(batches):
        assert images.shape[1:] == (6, 8, 3)
        assert labels.shape[1:] == (6, 8)
        assert VOID not in set(np.unique(labels)) - {11}


def test_resizing_keeps_image_and_label_aligned():
    label = np.kron(np.array([[1, 4, 2], [6, 9, 0]]), np.ones((20, 20)))
    image = np.repeat(label[..., None] * 20, 3, -1).astype(np.uint8)
    for size in ((20, 30), (10, 12), (60, 90)):
        small, ids = resize(
            tf.constant(image), tf.constant(label.astype(np.uint8)), size
        )
        assert set(np.unique(ids)) == {0, 1, 2, 4, 6, 9}
        agree = small.numpy()[..., 0] == ids.numpy() * 20
        assert agree.mean() > 0.5
        rows, columns = np.nonzero(~agree)
        near = [(rows + 1) * 2 / size[0], (columns + 1) * 3 / size[1]]
        assert all(
            min(abs(r - 1), abs(c - 1), abs(c - 2)) < 0.35
            for r, c in zip(*near, strict=True)
        )


def test_shrinking_an_image_averages_areas():
    image = np.zeros((8, 8, 3), np.uint8)
    image[::2] = 200
    label = np.zeros((8, 8), np.uint8)
    small, _ = resize(tf.constant(image), tf.constant(label), (2, 2))
    assert np.all(np.abs(small.numpy().astype(int) - 100) < 15)


def test_pairs_are_mapped_as_their_layout_says(tmp_path):
    palette = Image.fromarray(np.array([[7, 8], [33, 34]], np.uint8), "P")
    palette.putpalette([value for k in range(256) for value in (9, k, 1)])
    palette.save(tmp_path / "palette.png")
    colours = np.zeros((2, 2, 3), np.uint8)
    colours[0, 0] = 128, 64, 128
    Image.fromarray(colours).save(tmp_path / "colours.png")
    image = str(tmp_path / "colours.png")

    def labels(label, name):
        pair = Pair("n", image, str(tmp_path / label), "train", "", "")
        pairs = read_pairs([pair], layout(name))
        ((_, found),) = evaluation_batches(pairs, (2, 2), 1)
        return found[0].numpy().tolist()

    assert labels("palette.png", "gta5") == [[0, 1], [18, 255]]
    assert labels("colours.png", "camvid_colours") == [[3, 11], [11, 11]]
    with pytest.raises(tf.errors.OpError, match="expected one channel"):
        labels("colours.png", "camvid")


def test_refuses_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"none-\*: no such record files"):
        read_records([f"{tmp_path}/none-*"])
    with pytest.raises(DataError, match="at least one pair"):
        read_pairs([], layout("camvid"))


def test_keras_fits_on_it(examples):
    model = keras.Sequential(
        [keras.Input((*SIZE, 3)), keras.layers.Conv2D(12, 1)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    batches = training_batches(
        examples, SIZE, 3, VOID, augmentation=OPTIONS, count=COUNT
    )
    history = model.fit(batches, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2


def test_shards_together_are_the_batches_of_one_machine() -> None:
    images = tf.reshape(tf.cast(tf.range(10), tf.uint8), [10, 1, 1, 1])
    frames = tf.data.Dataset.from_tensor_slices(
        (tf.tile(images, [1, 2, 2, 3]), tf.zeros([10, 2, 2], tf.uint8))
    )

    def epochs(batch: int, shard: tuple[int, int]) -> list[list[set[int]]]:
        batches = training_batches(
            frames, (2, 2), batch, 11, count=10, seed=1, shard=shard
        )
        assert int(batches.cardinality()) == len(list(batches))
        return [
            [set(image[:, 0, 0, 0].numpy().astype(int)) for image, _ in batches]
            for _ in range(2)
        ]

    whole = epochs(4, (1, 0))
    first, second = epochs(2, (2, 0)), epochs(2, (2, 1))
    assert [
        [a | b for a, b in zip(*pair, strict=True)]
        for pair in zip(first, second, strict=True)
    ] == whole
    assert whole[0] != whole[1]


def numbered(folder, count):
    """Pairs sorted by drive; the colour of an image tells its place."""
    label = encoded(np.full((2, 2), 3, np.uint8))
    (folder / "label.png").write_bytes(label)
    pairs = []
    for k in range(count):
        pixels = np.full((2, 2, 3), (k % 256, k // 256, 0), np.uint8)
        path = folder / f"{k:05d}.png"
        path.write_bytes(encoded(pixels))
        drive = f"city{k * 18 // count:02d}"
        pairs.append(
            Pair(f"{k:05d}", str(path), str(folder / "label.png"), "train",
                 drive, "b")
        )  # fmt: skip
    return pairs


def places(batches):
    pixels = np.concatenate([x.numpy()[:, 0, 0] for x, _ in batches])
    return (pixels[:, 0] + 256 * pixels[:, 1]).astype(int)


@pytest.mark.parametrize("cache", [True, False])
def test_an_epoch_goes_through_the_drives_in_no_order(tmp_path, cache):
    count = 2975
    pairs = numbered(tmp_path, count)
    batches = training_batches(
        read_pairs(pairs, layout("camvid")), (2, 2), 64, VOID, count=count,
        cache=cache,
    )  # fmt: skip
    for _ in range(2):
        found = places(batches)
        assert sorted(found) == list(range(count))
        correlation = np.corrcoef(np.arange(count), found)[0, 1]
        assert abs(correlation) < 0.05
        first = {pairs[k].drive for k in found[: count // 10]}
        assert len(first) == 18


def test_listed_pairs_give_the_frames_that_records_give(examples, files):
    pairs = read_pairs(files[1], layout("camvid"))
    options = {"augmentation": OPTIONS, "cache": False, "shuffle": False}
    assert_same(
        arrays(training_batches(pairs, SIZE, 2, VOID, **options)),
        arrays(training_batches(examples, SIZE, 2, VOID, **options)),
    )


def test_files_of_a_cache_are_those_of_the_examples(frames, tmp_path):
    images, labels = frames
    path = str(tmp_path / "cache")

    def cached(first, last, size=SIZE):
        data = tf.data.Dataset.from_tensor_slices(
            (images[first:last], labels[first:last])
        )
        batches = training_batches(data, size, 2, VOID, cache=path)
        return sorted(order(arrays(batches)))

    assert cached(0, 3) == cached(0, 3) == [0, 1, 2]
    assert len(list(tmp_path.glob("*.index"))) == 1
    assert cached(3, 6) == [3, 4, 5]
    assert cached(0, 3, (6, 8)) == [0, 1, 2]
    assert len(list(tmp_path.glob("*.index"))) == 3


def test_files_of_a_cache_are_of_the_code_that_made_them(
    examples, tmp_path, monkeypatch
):
    def reader(largest):
        def read(example):  # One name, two meanings.
            image, label = decode(example)
            return image, tf.minimum(label, largest)

        return read

    def cached(largest):
        batches = training_batches(
            examples,
            SIZE,
            2,
            VOID,
            cache=str(tmp_path / "cache"),
            read=reader(largest),
        )
        return max(int(labels.numpy().max()) for _, labels in batches)

    assert (cached(9), cached(5), cached(9)) == (9, 5, 9)
    assert len(list(tmp_path.glob("*.index"))) == 2
    # Another version may see other frames of others than the first ones.
    monkeypatch.setattr("wseg_tf.data.caching.code_digest", lambda _: "later")
    assert cached(9) == 9
    assert len(list(tmp_path.glob("*.index"))) == 3


KILLED = """
import os, sys
import tensorflow as tf
from wseg_tf.data.input import training_batches
pixels = tf.zeros([900, 8, 8, 3], tf.uint8), tf.zeros([900, 8, 8], tf.uint8)
data = tf.data.Dataset.from_tensor_slices(pixels)
batches = training_batches(
    data, (8, 8), 1, 11, cache=sys.argv[1], shuffle_buffer=2
)
iterator = iter(batches)
next(iterator)
if len(sys.argv) > 2:
    os.kill(os.getpid(), 9)
print(1 + sum(1 for _ in iterator))
"""


def test_a_cache_that_a_killed_program_left_is_made_anew(tmp_path):
    path = str(tmp_path / "cache")
    command = [sys.executable, "-c", KILLED, path]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    killed = subprocess.run([*command, "kill"], env=environment)
    assert killed.returncode == -9
    assert list(tmp_path.glob("*.lockfile"))
    for _ in range(2):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True
        )
        assert done.stdout.strip() == "900", done.stderr[-2000:]
    assert len(list(tmp_path.glob("*.index"))) == 1
