"""A converted model answers as the SavedModel does."""

import json
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.models.small import DISTINCT_NAMES, IS_KERAS_2, images, small
from wseg_tf.classes import class_set
from wseg_tf.conversion import convert
from wseg_tf.decisions import decide
from wseg_tf.ground import GroundMatrix
from wseg_tf.serving import PIXELS, export

SIZE = (41, 56)  # Odd heights are padded, pooled and cropped.
NAMES = class_set(["road", "car", "person"])
GROUND = GroundMatrix([[0.0, 1.0, 2.0], [7.0, 0.0, 1.0], [30.0, 1.0, 0.0]])
# Ties aside, two libraries round a logit another way.
ALIKE = 0.995
with_onnx = pytest.mark.skipif(
    not find_spec("tf2onnx"), reason="needs the extra `export`"
)


# What converts is TensorFlow; of Keras 3 each kind of layer is seen once.
CONVERTED = (
    DISTINCT_NAMES
    if IS_KERAS_2
    else [n for n in DISTINCT_NAMES if n not in ("enet", "deeplab_v3plus")]
)


@pytest.fixture(scope="module", params=[*CONVERTED, "least_risk"])
def saved(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A SavedModel of each network, and one that decides by D."""
    keras.utils.set_random_seed(4)
    by_risk = request.param == "least_risk"
    model = small("fcn32s" if by_risk else request.param)
    _tell_classes_apart(model, GROUND if by_risk else None)
    folder = tmp_path_factory.mktemp(request.param)
    decision = "least_risk" if by_risk else "likeliest"
    export(model, str(folder), NAMES, *SIZE, GROUND, decision)
    return folder


def _tell_classes_apart(
    model: keras.Model, ground: GroundMatrix | None
) -> None:
    """Moves random weights until more than one class is decided for."""
    pixels = images(2, *SIZE, 3).astype("float32")
    first = model.get_weights()
    for seed in range(40):
        generator = np.random.default_rng(seed)
        moved = [w + generator.normal(0, 0.05, w.shape) for w in first]
        model.set_weights(moved)
        ids = decide(model(pixels, training=False), ground).numpy()
        # Not by one pixel: what is served is rounded otherwise.
        if np.bincount(ids.ravel(), minlength=3).max() < 0.99 * ids.size:
            return
    pytest.fail("no weights tell classes apart")


def served(folder: Path, pixels: np.ndarray) -> np.ndarray:
    loaded = tf.saved_model.load(str(folder))
    answer = loaded.signatures[PIXELS](images=tf.constant(pixels))
    ids: np.ndarray = answer["classes"].numpy()
    return ids


def test_tensorflow_lite_answers_the_same(saved: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "model.tflite")
    convert(str(saved), path, "tflite")
    pixels = images(2, *SIZE, 3)
    interpreter = tf.lite.Interpreter(path)
    interpreter.allocate_tensors()
    (given,), (asked,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    assert given["dtype"] == asked["dtype"] == np.uint8
    found = []
    for image in pixels:
        interpreter.set_tensor(given["index"], image[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(asked["index"])[0])
    expected = served(saved, pixels)
    assert np.mean(np.stack(found) == expected) > ALIKE
    assert len(np.unique(expected)) > 1
    card = json.loads((tmp_path / "model.json").read_text())
    assert class_set(card["classes"]) == NAMES


@with_onnx
def test_onnx_answers_the_same(saved: Path, tmp_path: Path) -> None:
    import onnxruntime

    path = str(tmp_path / "model.onnx")
    convert(str(saved), path, "onnx")
    session = onnxruntime.InferenceSession(path)
    pixels = images(3, *SIZE, 3)
    (found,) = session.run(["classes"], {"images": pixels})
    expected = served(saved, pixels)
    assert found.dtype == np.uint8
    assert np.mean(found == expected) > ALIKE
    assert len(np.unique(expected)) > 1


def test_what_cannot_be_converted_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`format`.*\['onnx', 'tflite'\]"):
        convert(str(tmp_path), "model.pb", "pb")
    with pytest.raises(ValueError, match="Expected the folder of a SavedModel"):
        convert(str(tmp_path), "model.tflite", "tflite")
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(ValueError, match="with a signature `pixels`"):
        convert(str(tmp_path), "model.tflite", "tflite")
