import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from wseg_tf.data.augmentation import Augmentation
from wseg_tf.data.warp import _move, _resample, augment

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.integers(0, 256, (12, 16, 3)).astype(np.uint8)
LABEL = RANDOM.integers(0, 5, (12, 16)).astype(np.uint8)
FULL = Augmentation(
    flip=0.5,
    scale=(0.5, 2.0),
    rotation=20.0,
    brightness=0.2,
    contrast=0.3,
    saturation=0.3,
)


def varied(image, label, crop, options, seed, void=255):
    image, label = augment(
        tf.constant(image), tf.constant(label), crop, void, options, seed
    )
    assert image.dtype == tf.float32
    assert label.dtype == tf.int32
    assert image.shape == (*crop, 3)
    assert label.shape == crop
    return image.numpy(), label.numpy()


def test_the_defaults_change_nothing():
    image, label = varied(IMAGE, LABEL, (12, 16), Augmentation(), [1, 2])
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(label, LABEL)


def test_a_flip_mirrors_both():
    options = Augmentation(flip=1.0)
    image, label = varied(IMAGE, LABEL, (12, 16), options, [1, 2])
    np.testing.assert_array_equal(image, IMAGE[:, ::-1])
    np.testing.assert_array_equal(label, LABEL[:, ::-1])


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_a_crop_is_a_piece_of_the_frame(flip):
    places = set()
    step = -1 if flip else 1
    for seed in range(60):
        options = Augmentation(flip=flip)
        image, label = varied(IMAGE, LABEL, (7, 10), options, [seed, 3])
        found = [
            (top, left)
            for top in range(6)
            for left in range(7)
            if np.array_equal(
                image, IMAGE[top : top + 7, left : left + 10][:, ::step]
            )
        ]
        assert len(found) == 1
        top, left = found[0]
        piece = LABEL[top : top + 7, left : left + 10][:, ::step]
        np.testing.assert_array_equal(label, piece)
        places.add(found[0])
    assert {top for top, _ in places} == set(range(6))
    assert {left for _, left in places} == set(range(7))


def test_a_crop_larger_than_the_frame_is_void_around_it():
    image, label = varied(IMAGE, LABEL, (20, 30), Augmentation(), [5, 6])
    inside = label != 255
    assert inside.sum() == LABEL.size
    np.testing.assert_array_equal(label[inside], LABEL.ravel())
    np.testing.assert_array_equal(image[inside], IMAGE.reshape(-1, 3))


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(
        st.sampled_from([0, 3, 7, 18, 255]), min_size=1, max_size=9
    ),
    void=st.sampled_from([255, 11]),
    seed=st.integers(0, 2**31 - 1),
)
def test_no_class_is_invented(labels, void, seed):
    label = np.resize(np.array(labels, np.uint8), (12, 16))
    image, found = varied(IMAGE, label, (12, 16), FULL, [seed, 0], void)
    assert set(np.unique(found)) <= {*labels, void}
    assert image.min() >= 0
    assert image.max() <= 255


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), rare=st.booleans())
def test_image_and_label_stay_aligned(seed, rare):
    """Where a neighbourhood has one label, the image shows that label."""
    label = np.kron(np.array([[1, 4], [6, 9]], np.uint8), np.ones((12, 16)))
    label = label.astype(np.uint8)
    image = np.repeat(label[..., None] * 20, 3, axis=-1)
    options = Augmentation(
        flip=0.5,
        scale=(0.6, 2.0),
        rotation=30.0,
        rare_classes=(9,),
        rare=float(rare),
    )
    seen, found = varied(image, label, (24, 32), options, [seed, 1])
    windows = np.lib.stride_tricks.sliding_window_view(found, (5, 5))
    uniform = windows.min((2, 3)) == windows.max((2, 3))
    middle = found[2:-2, 2:-2]
    sure = uniform & (middle != 255)
    assert sure.sum() > 20
    np.testing.assert_allclose(
        seen[2:-2, 2:-2][sure],
        middle[sure][:, None] * 20 * np.ones(3),
        atol=1e-3,
    )


@settings(max_examples=40, deadline=None)
@given(
    zoom=st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)),
    start=st.tuples(st.floats(-9, 20), st.floats(-9, 20)),
    mirror=st.sampled_from([1.0, -1.0]),
)
def test_without_a_turn_it_is_tensorflows_own_transform(zoom, start, mirror):
    matrix = tf.constant(
        [mirror * zoom[1], 0, start[1], 0, zoom[0], start[0], 0, 0], tf.float32
    )
    image = tf.constant(IMAGE, tf.float32)
    label = tf.constant(LABEL)
    crop = (9, 14)
    seen, found = _move(image, label, matrix, crop, 255)
    expected = _resample(image, matrix, crop, "BILINEAR", "NEAREST")
    # Within rounding: a place may fall just on the other side of a pixel.
    np.testing.assert_allclose(seen, expected, atol=0.01)
    ids = _resample(
        label[..., None], matrix, crop, "NEAREST", "CONSTANT", 255.0
    )[..., 0]
    edges = _edges(zoom[0], start[0], 9)[:, None] | _edges(
        mirror * zoom[1], start[1], 14
    )
    assert np.all((found.numpy() == ids.numpy()) | edges)


def _edges(scale, start, count):
    """Whether a place is half-way between two pixels, but for rounding."""
    places = start + scale * np.arange(count)
    return np.abs(places - np.floor(places) - 0.5) < 1e-3


def test_a_turn_leaves_void_in_the_corners_and_255_alone():
    label = np.full((24, 24), 2, np.uint8)
    label[10:14, 10:14] = 255
    options = Augmentation(rotation=45.0)
    seen = 0
    for seed in range(10):
        image = np.zeros((24, 24, 3), np.uint8)
        _, found = varied(image, label, (24, 24), options, [seed, 1])
        assert set(np.unique(found)) <= {2, 255}
        assert np.all(found[11:13, 11:13] == 255)
        seen += found[0, 0] == 255
    assert seen >= 8


def test_zoom_shows_a_part_as_large():
    label = np.zeros((40, 40), np.uint8)
    label[18:22, 18:22] = 1
    image = np.zeros((40, 40, 3), np.uint8)
    options = Augmentation(scale=(2.0, 2.0), rare_classes=(1,), rare=1.0)
    areas = [
        np.sum(varied(image, label, (40, 40), options, [seed, 0])[1] == 1)
        for seed in range(20)
    ]
    assert max(areas) == 64
    assert min(areas) > 0


@pytest.mark.parametrize("place", [(0, 0), (39, 59), (20, 3), (0, 30)])
def test_a_rare_class_is_in_every_crop_that_is_placed_on_it(place):
    label = np.zeros((40, 60), np.uint8)
    label[place] = 9
    image = np.zeros((40, 60, 3), np.uint8)
    options = Augmentation(flip=0.5, rare_classes=(8, 9), rare=1.0)
    for seed in range(25):
        _, found = varied(image, label, (10, 12), options, [seed, 4])
        assert np.sum(found == 9) == 1


def test_rare_classes_are_chosen_evenly_however_small():
    label = np.zeros((40, 60), np.uint8)
    label[:, :30] = 8
    label[5, 55] = 9
    image = np.zeros((40, 60, 3), np.uint8)
    options = Augmentation(rare_classes=(8, 9, 10), rare=1.0)
    count = sum(
        9 in varied(image, label, (8, 8), options, [seed, 4])[1]
        for seed in range(200)
    )
    assert 70 < count < 130
    none = np.zeros((40, 60), np.uint8)
    assert varied(image, none, (8, 8), options, [1, 4])[1].max() == 0


def test_colour_changes_the_image_alone():
    options = Augmentation(brightness=0.3, contrast=0.3, saturation=0.5)
    image, label = varied(IMAGE, LABEL, (12, 16), options, [1, 2])
    np.testing.assert_array_equal(label, LABEL)
    assert np.abs(image - IMAGE).mean() > 3
    grey = np.repeat(IMAGE[..., :1], 3, axis=-1)
    image, _ = varied(grey, LABEL, (12, 16), options, [1, 2])
    assert np.ptp(image, axis=-1).max() < 0.1  # no colour out of grey


def test_colour_is_saturation_then_contrast_then_brightness():
    options = Augmentation(brightness=0.1, contrast=0.2, saturation=0.4)
    image, _ = varied(IMAGE, LABEL, (12, 16), options, [1, 2])
    draws = 2 * tf.random.stateless_uniform([10], [1, 2]).numpy()[7:] - 1
    grey = tf.image.rgb_to_grayscale(IMAGE.astype(np.float32)).numpy()
    expected = grey + (IMAGE - grey) * (1 + 0.4 * draws[0])
    mean = expected.mean()
    expected = mean + (expected - mean) * (1 + 0.2 * draws[1])
    expected = np.clip(expected + 25.5 * draws[2], 0, 255)
    np.testing.assert_allclose(image, expected, atol=0.01)


def test_equal_seeds_give_equal_frames():
    first = varied(IMAGE, LABEL, (8, 8), FULL, [3, 4])
    again = varied(IMAGE, LABEL, (8, 8), FULL, [3, 4])
    other = varied(IMAGE, LABEL, (8, 8), FULL, [4, 4])
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert np.any(first[0] != other[0])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"flip": 1.5}, "flip"),
        ({"brightness": -0.1}, "brightness"),
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"scale": (2.0, 1.0)}, "scale"),
        ({"rotation": 200.0}, "rotation"),
        ({"rare": 0.5}, "rare_classes"),
        ({"rare_images": 0.5}, "rare_classes"),
        ({"rare_images": 1.5, "rare_classes": (1,)}, "rare_images"),
    ],
)
def test_refuses(options, name):
    with pytest.raises(ValueError, match=f"argument `{name}`"):
        Augmentation(**options)


@pytest.mark.parametrize("rotation", [0.0, 20.0])
def test_further_maps_go_where_their_labels_go(rotation):
    random = np.random.default_rng(3)
    image = random.integers(0, 256, (12, 16, 3)).astype(np.uint8)
    label = random.integers(0, 4, (12, 16)).astype(np.uint8)
    soft = (255 * np.eye(4)[label]).astype(np.uint8)
    options = Augmentation(
        flip=0.5, scale=(0.5, 1.6), rotation=rotation, rare=0.5,
        rare_classes=(2,),
    )  # fmt: skip
    for draw in range(6):
        given = (tf.constant(image), tf.constant(label), (10, 14), 9, options)
        plain = augment(*given, tf.constant([draw, 1]))
        moved = augment(*given, tf.constant([draw, 1]), tf.constant(soft))
        np.testing.assert_array_equal(moved[0], plain[0])
        np.testing.assert_array_equal(moved[1], plain[1])
        expected = 255 * tf.one_hot(plain[1], 4)  # zeros where void
        np.testing.assert_array_equal(moved[2], expected)
    assert (plain[1].numpy() == 9).any() or rotation == 0
