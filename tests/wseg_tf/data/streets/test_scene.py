import hashlib
import subprocess
import sys

import numpy as np
import pytest

from wseg_tf.classes import CAMVID
from wseg_tf.data.streets import draw_scene

SIZE = (96, 128)
SEEDS = range(40)


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(seed, *SIZE) for seed in SEEDS]


@pytest.mark.parametrize("look", ["day", "dusk"])
def test_same_seed_draws_the_same_bytes(look):
    first = draw_scene(3, *SIZE, look=look)
    second = draw_scene(3, *SIZE, look=look)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_another_process_draws_the_same_bytes_without_tensorflow():
    code = (
        "import hashlib, sys; from wseg_tf.data.streets import draw_scene;"
        "image, labels = draw_scene(3, 96, 128, drive=2);"
        "assert 'tensorflow' not in sys.modules;"
        "print(hashlib.sha256(image.tobytes() + labels.tobytes()).hexdigest())"
    )
    image, labels = draw_scene(3, *SIZE, drive=2)
    expected = hashlib.sha256(image.tobytes() + labels.tobytes()).hexdigest()
    found = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONHASHSEED": "5", "PYTHONPATH": ":".join(sys.path)},
    )
    assert found.stdout.strip() == expected


def test_another_seed_or_drive_draws_another_scene():
    image, labels = draw_scene(3, *SIZE)
    for other in (draw_scene(4, *SIZE), draw_scene(3, *SIZE, drive=3)):
        assert np.mean(image != other[0]) > 0.5
        assert np.mean(labels != other[1]) > 0.1


def test_looks_share_labels_and_dusk_is_darker(scenes):
    for seed in range(6):
        image, labels = scenes[seed]
        dusk, same = draw_scene(seed, *SIZE, look="dusk")
        np.testing.assert_array_equal(labels, same)
        below = labels != CAMVID.index("sky")
        assert np.median(dusk[below]) < 0.6 * np.median(image[below])


def test_shapes_and_types(scenes):
    for image, labels in scenes:
        assert image.shape == (*SIZE, 3)
        assert image.dtype == np.uint8
        assert labels.shape == SIZE
        assert labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {*range(len(CAMVID)), CAMVID.void}


def test_classes_are_as_unbalanced_as_in_a_real_street(scenes):
    labels = np.stack([labels for _, labels in scenes])
    share = np.bincount(labels.ravel(), minlength=12) / labels.size
    seen = [np.mean([(each == k).any() for each in labels]) for k in range(11)]
    bounds = {
        "sky": (0.08, 0.25),
        "building": (0.15, 0.35),
        "pole": (0.005, 0.03),
        "road": (0.25, 0.4),
        "sidewalk": (0.03, 0.1),
        "tree": (0.05, 0.15),
        "sign": (0.004, 0.02),
        "fence": (0.008, 0.04),
        "car": (0.03, 0.1),
        "pedestrian": (0.006, 0.025),
        "bicyclist": (0.003, 0.015),
    }
    for name, (low, high) in bounds.items():
        assert low < share[CAMVID.index(name)] < high, name
        assert seen[CAMVID.index(name)] > 0.7, name
    assert 0.005 < share[CAMVID.void] < 0.06


def test_perspective_sky_is_up_and_road_is_down(scenes):
    labels = np.stack([labels for _, labels in scenes])
    rows = np.arange(SIZE[0])[None, :, None] + np.zeros_like(labels, float)
    sky = rows[labels == CAMVID.index("sky")]
    road = rows[labels == CAMVID.index("road")]
    assert np.quantile(sky, 0.95) < np.quantile(road, 0.05)


def test_place_and_colour_tell_much_but_not_all(scenes):
    """More than a prior: a table by row, column and colour generalises."""

    def keys(images):
        rows = np.arange(SIZE[0])[:, None] // 8 + np.zeros(SIZE, int)
        columns = np.abs(np.arange(SIZE[1]) - 64)[None] // 16
        colours = (images // 43).astype(int) @ [36, 6, 1]
        return (colours * 12 + rows) * 5 + columns

    images = np.stack([image for image, _ in scenes])
    labels = np.stack([labels for _, labels in scenes]).astype(int)
    counts = np.zeros((216 * 60, 12))
    np.add.at(counts, (keys(images[:30]), labels[:30]), 1)
    prior = counts[:, :11].sum(0)
    guess = np.argmax(counts[:, :11] + prior / prior.sum(), axis=1)
    truth, found = labels[30:], guess[keys(images[30:])]
    valid = truth != CAMVID.void
    accuracy = np.mean(found[valid] == truth[valid])
    majority = np.mean(truth[valid] == np.argmax(prior))
    assert accuracy > majority + 0.25
    critical = np.isin(truth, [CAMVID.index(n) for n in CAMVID.critical])
    # Look-alikes: people and cars are lost to what surrounds them.
    assert np.mean(found[critical] == truth[critical]) < 0.5


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"seed": -1}, "seed"),
        ({"drive": -2}, "drive"),
        ({"height": 8}, "height"),
        ({"width": 31}, "width"),
        ({"look": "night"}, "look"),
    ],
)
def test_refuses(arguments, name):
    valid = {"seed": 0, "height": 48, "width": 64}
    with pytest.raises(ValueError, match=f"argument `{name}`"):
        draw_scene(**{**valid, **arguments})
