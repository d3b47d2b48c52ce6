"""Files are made by Keras itself, with random weights."""

import keras
import numpy as np
import pytest

from tests.wseg_tf.models.small import IS_KERAS_2, images, small
from wseg_tf.models import build, import_imagenet
from wseg_tf.models.feature_pyramid import efficientnet_lite0

pytestmark = pytest.mark.skipif(
    not IS_KERAS_2, reason="only Keras 2 writes files in the published format"
)


def randomize(model):
    """Gives biases and statistics values that a mistake would show."""
    random = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights(
            [
                w if w.ndim > 1 else w + random.uniform(0.1, 0.5, w.shape)
                for w in layer.get_weights()
            ]
        )


def features(model, layer):
    return keras.Model(model.input, model.get_layer(layer).output)


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    path = tmp_path_factory.mktemp("vgg16") / "notop.h5"
    source = keras.applications.VGG16(weights=None, include_top=False)
    randomize(source)
    source.save_weights(path)
    return source, str(path)


def test_vgg16_becomes_segnets_encoder(vgg16):
    source, path = vgg16
    model = build("segnet", 3)
    report = import_imagenet(model, path)
    assert len(report.matched) == 13
    assert report.missing[0] == "encoder_block1_conv1_norm"
    assert len(report.missing) == 13  # The batch normalisations.
    assert report.mismatched == report.unused == ()
    image = images(1, 32, 32, 3).astype(np.float32)
    np.testing.assert_allclose(
        features(model, "encoder_block1_conv1")(image),
        keras.layers.Conv2D(
            64, 3, padding="same", weights=source.layers[1].get_weights()
        )(keras.applications.vgg16.preprocess_input(image.copy())),
        rtol=1e-4,
        atol=1e-3,
    )


def test_vgg16_with_top_becomes_all_of_fcns_encoder(vgg16, tmp_path):
    source = keras.applications.VGG16(weights=None)
    randomize(source)
    source.save_weights(tmp_path / "vgg16.h5")
    model = build("fcn32s", 2)
    without = import_imagenet(model, vgg16[1])
    assert without.missing == ("encoder_fc6", "encoder_fc7")
    report = import_imagenet(model, str(tmp_path / "vgg16.h5"))
    assert len(report.matched) == 15
    assert report.missing == report.mismatched == ()
    assert report.unused == ("predictions",)
    # A 7x7 map of features: its middle cell sees what the dense layer saw.
    image = images(1, 224, 224, 3).astype(np.float32)
    expected = features(source, "fc2")(
        keras.applications.vgg16.preprocess_input(image.copy())
    )
    ours = features(model, "encoder_fc7")(image)[:, 3, 3]
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3)


def test_resnet101_becomes_deeplabs_encoder(tmp_path):
    source = keras.applications.ResNet101(weights=None, include_top=False)
    randomize(source)
    source.save_weights(tmp_path / "resnet101.h5")
    model = build("deeplab_v2", 2)
    report = import_imagenet(model, str(tmp_path / "resnet101.h5"))
    assert len(report.matched) == 2 * 104
    assert report.missing == report.mismatched == report.unused == ()
    # Up to stage 3 nothing is dilated yet; biases live on in the means.
    image = images(1, 33, 41, 3).astype(np.float32)
    expected = features(source, "conv3_block4_out")(
        keras.applications.resnet.preprocess_input(image.copy())
    )
    ours = features(model, "encoder_conv3_block4_out")(image)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(ours, expected, atol=1e-5 * scale)


def test_narrow_network_says_what_does_not_fit(vgg16):
    model = small("segnet")
    with pytest.raises(
        ValueError, match=r"(?s)matched \(0\).*another shape \(13\)"
    ):
        import_imagenet(model, vgg16[1])


def test_other_network_says_that_nothing_matches(vgg16):
    with pytest.raises(ValueError, match="No layer of 'enet' matches"):
        import_imagenet(small("enet"), vgg16[1])


def test_other_files_are_refused(tmp_path):
    (tmp_path / "weights.h5").write_bytes(b"no")
    with pytest.raises(ValueError, match="of another format"):
        import_imagenet(small("segnet"), str(tmp_path / "weights.h5"))


@pytest.mark.parametrize("ending", [".h5", ".weights.h5"])
def test_kerascvs_resnet_becomes_deeplabs_encoder(ending, tmp_path):
    """Its layers have names in one format, and only an order in the other."""
    from keras_cv.models import ResNetV2Backbone

    source = ResNetV2Backbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_blocks=[2, 2, 2, 2],
        stackwise_strides=[1, 2, 2, 2],
        block_type="basic_block",
        include_rescaling=True,
    )
    randomize(source)
    path = str(tmp_path / f"resnet18{ending}")
    source.save_weights(path)
    model = build("deeplab_v3plus", 2, backbone="resnet18_v2")
    report = import_imagenet(model, path)
    assert report.missing == report.mismatched == report.unused == ()
    encoder = model.get_layer("encoder")
    assert len(report.matched) == sum(bool(x.weights) for x in encoder.layers)
    for layer in filter(lambda each: each.weights, source.layers):
        for ours, theirs in zip(
            encoder.get_layer(layer.name).get_weights(),
            layer.get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_numbered_layers_become_the_pyramids_encoder(tmp_path):
    source = efficientnet_lite0()
    randomize(source)
    path = str(tmp_path / "lite0.weights.h5")
    source.save_weights(path)
    model = build("fpn_efficientnet_lite0", 2)
    report = import_imagenet(model, path)
    assert len(report.matched) == 98
    assert report.missing == report.mismatched == report.unused == ()
    for layer in source.layers[1:]:
        for ours, theirs in zip(
            model.get_layer(f"encoder_{layer.name}").get_weights(),
            layer.get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)
