"""An exported model is the same bytes, whatever its process did before."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from wseg_tf import function_names
from wseg_tf.classes import CAMVID
from wseg_tf.file_digests import file_digests
from wseg_tf.ground import GroundMatrix
from wseg_tf.serving import ServedModel, export

SIZE = (16, 24)


def network(seed: int = 0) -> keras.Model:
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    images = keras.Input((*SIZE, 3))
    x = keras.layers.Conv2D(8, 3, padding="same")(images)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(images, keras.layers.Conv2D(len(CAMVID), 1)(x))


def exported(folder: Path, seed: int = 0) -> dict[str, str]:
    export(
        network(seed),
        str(folder),
        CAMVID,
        *SIZE,
        GroundMatrix.severity_aware(CAMVID),
        "least_risk",
    )
    return file_digests(str(folder))


def trace_something(times: int) -> None:
    """Counts functions, captures and tensors on, as a training does."""
    for k in range(times):
        held = tf.Variable(float(k))

        @tf.function
        def step(x: tf.Tensor, held: tf.Variable = held) -> tf.Tensor:
            return tf.cond(x > 0, lambda: x * held, lambda: x - held)

        step(tf.constant(1.0))


def test_a_model_is_the_same_bytes_whatever_came_before(tmp_path: Path) -> None:
    first = exported(tmp_path / "a")
    trace_something(7)
    assert exported(tmp_path / "b") == first
    other = exported(tmp_path / "c", seed=1)
    assert {name for name in first if first[name] != other[name]} >= {
        "variables/variables.data-00000-of-00001"
    }
    # To number it again changes nothing.
    function_names.number_functions(str(tmp_path / "b"))
    assert file_digests(str(tmp_path / "b")) == first


def test_the_model_answers_as_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(tmp_path / "numbered")
    monkeypatch.setattr("wseg_tf.serving.number_functions", lambda _: None)
    exported(tmp_path / "plain")
    numbered, plain = (
        (tmp_path / name / "saved_model.pb").read_bytes()
        for name in ("numbered", "plain")
    )
    assert numbered != plain
    image = tf.io.encode_png(
        np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    )
    answers = []
    for name in ("numbered", "plain"):
        served = tf.saved_model.load(str(tmp_path / name))
        signature = served.signatures["serving_default"]
        [key] = signature.structured_input_signature[1]
        answers.append(
            {
                name: value.numpy().tolist()
                for name, value in signature(
                    **{key: tf.stack([image, b"no image"])}
                ).items()
            }
        )
        assert ServedModel(str(tmp_path / name)).classes == CAMVID
    assert answers[0] == answers[1]
