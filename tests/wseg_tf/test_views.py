"""Cases worked by hand, an oracle in NumPy, and what is served of it."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from wseg_tf.cards import CARD
from wseg_tf.classes import CAMVID
from wseg_tf.conversion import convert
from wseg_tf.data.checks import check_pair, encode_labels
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise
from wseg_tf.data.streets import draw_scene
from wseg_tf.decisions import decide
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics import confusion_count
from wseg_tf.serving import ServedModel, export
from wseg_tf.training.precision import policy
from wseg_tf.views import Views, class_scores, in_windows, starts

SIZE = (4, 6)
EVERY = Views(flip=True, scales=[1.0, 2.0], windows=True, overlap=0.5)
# Asymmetric, so that a decision by D is another than the likeliest.
COSTS = np.ones([11, 11]) - np.eye(11)
COSTS[CAMVID.index("tree")] *= 4


def brightness(images: tf.Tensor) -> tf.Tensor:
    """Two classes; the brightness of a pixel is the second's probability."""
    second = tf.cast(images, tf.float32)[..., :1] / 255
    return tf.math.log(tf.concat([1 - second, second], axis=-1))


def leaning(images: tf.Tensor) -> tf.Tensor:
    """Says more of the second class, the further right in what it sees."""
    width = tf.shape(images)[2]
    right = tf.cast(tf.range(width), tf.float32) / tf.cast(width, tf.float32)
    logits = tf.stack([tf.zeros_like(right), 2 * right], axis=-1)
    return tf.zeros_like(images[..., :1]) + logits


def noise(*shape: int) -> np.ndarray:
    found = np.random.default_rng(0).uniform(1, 254, [*shape, 3])
    return found.astype("float32")


def probabilities(
    images: np.ndarray, views: Views, network: object = brightness
) -> np.ndarray:
    scores = class_scores(network, tf.constant(images), SIZE, views)  # type: ignore[arg-type]
    assert scores.dtype == tf.float32
    found: np.ndarray = tf.nn.softmax(scores).numpy()
    return found


@given(
    length=st.integers(1, 90),
    window=st.integers(1, 40),
    overlap=st.floats(0, 0.75),
)
@settings(max_examples=80, deadline=None)
def test_windows_cover_each_pixel_and_overlap(
    length: int, window: int, overlap: float
) -> None:
    length = max(length, window)
    found = starts(length, window, overlap)
    unknown = starts(tf.constant(length), window, overlap).numpy()
    np.testing.assert_array_equal(found, unknown)
    assert found[0] == 0
    assert found[-1] == length - window
    steps = np.diff(found)
    assert (steps > 0).all()
    assert (steps <= max(int(window * (1 - overlap)), 1)).all()


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (11, 13), (3, 2), (1, 20)])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_weights_sum_to_one_wherever_the_windows_are(
    size: tuple[int, int], overlap: float
) -> None:
    """What each pixel says for itself comes back, at odd and small sizes."""
    images = noise(2, *size)
    whole = tf.TensorSpec([None, None, None, 3])
    for specs in ([], [whole]):  # Sizes that are known, and that are not.
        run = tf.function(
            lambda x: in_windows(brightness, x, SIZE, overlap),
            input_signature=specs or None,
        )
        found = run(tf.constant(images))[..., 1]
        np.testing.assert_allclose(found, images[..., 0] / 255, atol=1e-6)


def test_two_windows_are_blended_by_hand() -> None:
    """Windows of 4 at 0 and 2 of 6 pixels weigh 1, 2, 2, 1."""

    def place(images: tf.Tensor) -> tf.Tensor:  # 0.1, 0.3, 0.5, 0.7
        second = tf.constant([[[0.1], [0.3], [0.5], [0.7]]])[None]
        return tf.math.log(tf.concat([1 - second, second], axis=-1))

    found = in_windows(place, tf.zeros([1, 1, 6, 3]), (1, 4), 0.5)
    third, fourth = (0.5 * 2 + 0.1) / 3, (0.7 + 0.3 * 2) / 3
    expected = [0.1, 0.3, third, fourth, 0.5, 0.7]
    np.testing.assert_allclose(found[0, 0, :, 1], expected, atol=1e-6)


def test_windows_see_an_image_at_its_own_size() -> None:
    """Detail of one pixel is lost when the whole image is resized."""
    stripes = np.zeros([1, 8, 12, 3], "float32")
    stripes[:, :, ::2] = 254
    whole = probabilities(stripes, Views())[..., 1]
    seen = probabilities(stripes, Views(windows=True))[..., 1]
    assert np.ptp(whole[0, 4, 2:-2]) < 0.2
    np.testing.assert_allclose(seen, stripes[..., 0] / 255, atol=1e-5)


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("width", [6, 7, 17])
def test_a_mirrored_image_gets_the_mirrored_answer(
    windows: bool, width: int
) -> None:
    """Whichever way the network leans; mirrored twice it is as it was."""
    images = noise(1, 5, width)
    views = Views(flip=True, scales=[0.5, 1.0], windows=windows)
    found = probabilities(images, views, leaning)
    turned = probabilities(images[:, :, ::-1], views, leaning)
    np.testing.assert_allclose(turned[:, :, ::-1], found, atol=1e-5)
    alone = probabilities(images, Views(windows=windows), leaning)
    assert np.abs(alone - alone[:, :, ::-1]).max() > 0.1


def test_scales_are_averaged_as_probabilities() -> None:
    images = noise(1, 9, 13)
    each = [probabilities(images, Views(scales=[s])) for s in (0.5, 1.0, 1.5)]
    both = probabilities(images, Views(scales=[0.5, 1.0, 1.5]))
    np.testing.assert_allclose(both, np.mean(each, axis=0), atol=1e-6)
    assert np.abs(each[0] - each[1]).max() > 0.05


def test_one_view_is_the_network_alone() -> None:
    images = noise(1, *SIZE)
    scores = class_scores(leaning, tf.constant(images), SIZE, Views())
    np.testing.assert_array_equal(scores, leaning(tf.constant(images)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scales": []}, "Expected at least one zoom"),
        ({"scales": [0.0]}, "`scales`. Expected at least 0.1 and at most 4"),
        ({"scales": [float("nan")]}, "`scales`"),
        ({"overlap": 1.0}, "`overlap`. Expected at least 0 and at most 0.75"),
    ],
)
def test_views_that_see_nothing_are_refused(
    options: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Views(**options)  # type: ignore[arg-type]


def certain_model() -> keras.Model:
    """A network that tells eleven classes apart, whatever they are."""
    keras.utils.set_random_seed(3)
    image = keras.Input([None, None, 3])
    hidden = keras.layers.Conv2D(6, 3, padding="same")(image / 255.0)
    certain = keras.initializers.RandomNormal(stddev=6.0, seed=1)
    logits = keras.layers.Conv2D(
        11, 1, kernel_initializer=certain, dtype="float32"
    )
    return keras.Model(image, logits(hidden))


def test_a_finished_model_looks_as_one_that_was_exported_so(
    tmp_path: Path,
) -> None:
    model, ground = certain_model(), GroundMatrix(COSTS, CAMVID)
    zooms = Views(scales=[0.5, 1.0])
    folders = {}
    for name, views in (("plain", None), ("every", EVERY), ("zooms", zooms)):
        folders[name] = str(tmp_path / name)
        export(
            model, folders[name], CAMVID, 32, 40, ground,
            decision="least_risk", views=views,
        )  # fmt: skip
    picture, label = draw_scene(1, 45, 37)
    encoded = tf.io.encode_png(picture).numpy()
    pair = Pair("1", "i", "l", "eval", "drive", "streets")
    record = serialise(pair, check_pair(encoded, encode_labels(label), CAMVID))
    answers = {}
    for name, views, wanted in (
        ("plain", None, "plain"),
        ("every", None, "every"),
        ("zooms", None, "zooms"),
        ("plain", EVERY, "every"),
        ("every", Views(), "plain"),
        ("zooms", EVERY, "every"),
    ):
        served = ServedModel(folders[name], views)
        found = served.segment(encoded), served.count_confusion(record)
        if views is None:
            answers[wanted] = found
        for own, expected in zip(found, answers[wanted], strict=True):
            np.testing.assert_array_equal(own, expected)
    ids = [each[0] for each in answers.values()]
    assert all((ids[k] != ids[k - 1]).any() for k in range(3))
    with pytest.raises(ValueError, match=r"takes 32x40 alone.*0\.5") as said:
        ServedModel(folders["plain"], zooms)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_what_is_served_is_what_is_counted(
    tmp_path: Path, precision: str
) -> None:
    """Each signature looks as it should; void pixels are not counted."""
    size, ground = (32, 40), GroundMatrix(COSTS, CAMVID)
    with policy(precision):
        model = certain_model()
    folder = str(tmp_path / "model")
    export(
        model, folder, CAMVID, *size, ground, decision="least_risk", views=EVERY
    )
    said = json.loads((tmp_path / "model" / CARD).read_text())["views"]
    assert Views(**said) == EVERY
    served = ServedModel(folder)
    picture, label = draw_scene(1, 45, 37)
    encoded = tf.io.encode_png(picture).numpy()
    scores = class_scores(model, tf.constant(picture[None]), size, EVERY)
    expected = decide(scores, ground).numpy()[0]
    ids = served.segment(encoded)
    assert np.mean(ids == expected) > 0.99
    plain = class_scores(model, tf.constant(picture[None]), size, Views())
    assert np.mean(decide(plain, ground)[0] == expected) < 0.98
    assert (label == CAMVID.void).any()
    pair = Pair("1", "i", "l", "eval", "drive", "streets")
    checked = check_pair(encoded, encode_labels(label), CAMVID)
    np.testing.assert_array_equal(
        served.count_confusion(serialise(pair, checked)),
        confusion_count(label, ids, 11, void=CAMVID.void),
    )
    if precision == "float32":
        _check_converted(folder, model, ground, size)


def _check_converted(
    folder: str, model: keras.Model, ground: GroundMatrix, size: tuple[int, int]
) -> None:
    target = f"{folder}/new/model.tflite"
    convert(folder, target, "tflite")
    picture = draw_scene(2, *size)[0]
    scores = class_scores(model, tf.constant(picture[None]), size, EVERY)
    interpreter = tf.lite.Interpreter(target)
    interpreter.allocate_tensors()
    interpreter.set_tensor(
        interpreter.get_input_details()[0]["index"], picture[None]
    )
    interpreter.invoke()
    answer = interpreter.get_tensor(
        interpreter.get_output_details()[0]["index"]
    )
    assert np.mean(answer == decide(scores, ground)) > 0.99


def test_a_zoom_that_no_other_runtime_has_is_one_sentence(
    tmp_path: Path,
) -> None:
    image = keras.Input([None, None, 3])
    model = keras.Model(image, keras.layers.Conv2D(11, 1)(image))
    folder, views = str(tmp_path / "model"), Views(scales=[0.5, 1.0])
    export(model, folder, CAMVID, *SIZE, views=views)
    for kind in ("tflite", "onnx"):
        with pytest.raises(ValueError, match=r"scales=\[0.5, 1.0\]") as said:
            convert(folder, f"{folder}.{kind}", kind)
        assert "\n" not in str(said.value)
        assert not Path(f"{folder}.{kind}").exists()
