"""The encoder is KerasCV's, and answers as PyTorch's with its weights."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.models import lite0_peer
from tests.wseg_tf.models.small import HAS_KERAS_CV, images, small
from wseg_tf.models import build
from wseg_tf.models.description import parameters
from wseg_tf.models.feature_pyramid import efficientnet_lite0

pytestmark = pytest.mark.skipif(not HAS_KERAS_CV, reason="needs KerasCV")
NAME = "fpn_efficientnet_lite0"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The weights that the peer drew, by PyTorch's names."""
    path = tmp_path_factory.mktemp("lite0") / "lite0.npz"
    np.savez(path, **lite0_peer.state())
    return str(path)


def test_features_are_pytorchs(file):
    expected = json.loads(lite0_peer.FEATURES.read_text())
    found, report = lite0_peer.our_features(file)
    assert len(report.matched) == 98
    assert report.missing == report.mismatched == ()
    assert report.unused == ("_fc",)
    for level, values in found.items():
        wanted = expected[level]
        assert values.mean() == pytest.approx(wanted["mean"], abs=1e-4)
        assert values.std() == pytest.approx(wanted["deviation"], rel=1e-4)
        some = lite0_peer.some(values)
        np.testing.assert_allclose(some, wanted["some"], atol=2e-4)


def test_encoder_is_kerascvs_layer_for_layer():
    backbone = efficientnet_lite0()
    model = build(NAME, 2)
    ours = {
        layer.name.removeprefix("encoder_"): layer
        for layer in model.layers
        if layer.name.startswith("encoder_")
    }
    assert list(ours) == [layer.name for layer in backbone.layers[1:]]
    for layer in backbone.layers[1:]:
        config = {**layer.get_config(), "name": None}
        assert config == {**ours[layer.name].get_config(), "name": None}
        ours[layer.name].set_weights(layer.get_weights())
    levels = list(backbone.pyramid_level_inputs.values())[1:]
    image = images(2, 64, 96, 3)
    encoder = keras.Model(model.input, [ours[level].output for level in levels])
    whole = keras.Model(
        backbone.input, [backbone.get_layer(level).output for level in levels]
    )
    scaled = (image.astype("f4") - 127) / 128
    for own, theirs in zip(
        encoder(image, training=False),
        whole(scaled, training=False),
        strict=True,
    ):
        np.testing.assert_allclose(own, theirs, atol=1e-5)


def test_parameters_are_the_encoders_and_the_pyramids():
    encoder = efficientnet_lite0().count_params()
    statistics = 2 * sum(
        layer.get_weights()[2].size
        for layer in efficientnet_lite0().layers
        if layer.name.endswith("bn")
    )
    lateral = 64 * (24 + 40 + 112 + 1280) + 4 * 64
    smooth = 4 * (9 * 64 * 64 + 2 * 64)
    expected = encoder - statistics + lateral + smooth + 11 * 65
    assert parameters(build(NAME, 11)) == expected


@pytest.mark.parametrize("width", [0.01, 0.25, 0.5, 1.5, 2.0])
def test_every_width_adds_up(width):
    model = build(NAME, 2, width=width)
    assert model(images(1, 5, 40, 3)).shape == (1, 5, 40, 2)


def test_the_border_that_is_padded_is_no_image():
    """What lies beyond an odd image is 0 after scaling: its grey."""
    model = small(NAME)
    image = images(1, 33, 47, 3).astype(np.float32)
    grey = tf.pad(
        image, [[0, 0], [0, 31], [0, 17], [0, 0]], constant_values=127
    )
    np.testing.assert_allclose(
        model(image, training=False),
        model(grey, training=False)[:, :33, :47],
        atol=1e-5,
    )


def test_it_is_loaded_without_kerascv():
    config = small(NAME).get_config()
    assert "keras_cv" not in json.dumps(config, default=str)
