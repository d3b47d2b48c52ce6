import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.models.small import (
    DISTINCT_NAMES,
    NAMES,
    OPTIONS,
    images,
    small,
)
from wseg_tf.models import ARCHITECTURES, build
from wseg_tf.models.description import parameters

SIZES = [(33, 47), (64, 32), (1, 1)]


@pytest.fixture(scope="module")
def networks():
    keras.utils.set_random_seed(0)
    return {name: small(name) for name in NAMES}


@pytest.fixture
def policy():
    before = keras.mixed_precision.global_policy()
    yield keras.mixed_precision.set_global_policy
    keras.mixed_precision.set_global_policy(before)


# (classes, trainable parameters), from the published networks.
PARAMETERS = {
    "enet": {11: 356_743, 19: 357_895},
    "segnet": {11: 29_449_355, 19: 29_453_971, 21: 29_455_125},
    "fcn8s": {11: 134_314_081, 19: 134_353_017, 21: 134_362_751},
    "deeplab_v2": {11: 43_311_212, 19: 43_901_068, 21: 44_048_532},
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts_are_the_published_ones(name):
    model = build(name, 11)
    heads = [layer for layer in model.layers if layer.name.startswith("head")]
    by_class = sum(parameters_of(layer) for layer in heads) // 11
    for classes, expected in PARAMETERS[name].items():
        assert parameters(model) + (classes - 11) * by_class == expected


def parameters_of(layer):
    return sum(int(np.prod(v.shape)) for v in layer.trainable_variables)


@pytest.mark.parametrize("name", NAMES)
def test_only_the_head_depends_on_the_classes(name, networks):
    other = small(name, 5)
    for ours, theirs in zip(networks[name].layers, other.layers, strict=True):
        ratio = 5 / 3 if ours.name.startswith("head") else 1
        assert parameters_of(theirs) == ratio * parameters_of(ours)


@pytest.mark.parametrize("name", NAMES)
def test_logits_have_the_size_of_the_image(name, networks):
    model = networks[name]
    assert tuple(model.output_shape) == (None, None, None, 3)
    predict = tf.function(lambda image: model(image, training=False))
    for size in SIZES:
        logits = predict(tf.constant(images(2, *size, 3)))
        assert logits.shape == (2, *size, 3)
        assert logits.dtype == tf.float32
        assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", DISTINCT_NAMES)
def test_batch_is_its_singles(name, networks):
    batch = images(3, 17, 24, 3)
    together = networks[name](batch, training=False)
    for image, logits in zip(batch, together, strict=True):
        alone = networks[name](image[None], training=False)[0]
        scale = np.abs(alone).max()
        np.testing.assert_allclose(logits, alone, atol=1e-5 * scale)


@pytest.mark.parametrize("name", DISTINCT_NAMES)
def test_every_weight_gets_a_gradient_and_a_step_lowers_the_loss(name):
    keras.utils.set_random_seed(1)
    model = small(name)
    image = tf.constant(images(2, 64, 64, 3))
    labels = images(2, 64, 64, seed=1).astype(np.int32) % 3

    @tf.function
    def loss_and_gradients():
        with tf.GradientTape() as tape:
            logits = model(image, training=False)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            )
        return loss, tape.gradient(loss, model.trainable_variables)

    before, gradients = loss_and_gradients()
    for variable, gradient in zip(
        model.trainable_variables, gradients, strict=True
    ):
        assert np.abs(gradient).max() > 0, variable.name
    norm = float(tf.linalg.global_norm(gradients))
    step = 1e-4 * float(before) / norm**2
    for variable, gradient in zip(
        model.trainable_variables, gradients, strict=True
    ):
        variable.assign(variable - step * gradient)
    after, _ = loss_and_gradients()
    assert after < before


@pytest.mark.parametrize("name", ["enet", "segnet", "fcn8s", "deeplab_v2"])
def test_overfits_four_images(name):
    keras.utils.set_random_seed(0)
    labels = np.kron(images(4, 2, 3) % 3, np.ones((16, 16), int))
    image = (np.eye(3)[labels] * 200 + 20).astype(np.float32)
    model = small(name)
    model.compile(
        keras.optimizers.Adam(5e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(image, labels, batch_size=4, epochs=90, verbose=0)
    predicted = np.argmax(model.predict(image, verbose=0), axis=-1)
    assert (predicted == labels).mean() > 0.95


@pytest.mark.parametrize("name", DISTINCT_NAMES)
def test_saved_files_give_the_same_logits(name, networks, tmp_path):
    model = networks[name]
    image = tf.constant(images(2, 33, 47, 3), tf.float32)
    expected = tf.function(model)(image)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(tf.function(loaded)(image), expected)

    model.export(str(tmp_path / "saved"))
    served = tf.saved_model.load(str(tmp_path / "saved"))
    logits = served.serve(image)
    np.testing.assert_allclose(
        logits, expected, atol=1e-6 * np.abs(expected).max()
    )


def test_weights_are_loaded_from_a_path(networks, tmp_path):
    networks["enet"].save_weights(tmp_path / "enet.weights.h5")
    networks["enet"].save(tmp_path / "enet.keras")
    image = images(1, 16, 16, 3)
    for file in ("enet.weights.h5", "enet.keras"):
        copy = small("enet", weights=str(tmp_path / file))
        np.testing.assert_array_equal(copy(image), networks["enet"](image))


@pytest.mark.parametrize("name", DISTINCT_NAMES)
def test_mixed_bfloat16_gives_float32_logits_near_ours(name, networks, policy):
    image = images(2, 17, 24, 3)
    expected = networks[name](image).numpy()
    policy("mixed_bfloat16")
    low = small(name)
    low.set_weights(networks[name].get_weights())
    logits = low(image)
    assert logits.dtype == tf.float32
    # SegNet's are the farthest: rounding moves some of the pooling's maxima.
    assert np.corrcoef(np.ravel(logits), np.ravel(expected))[0, 1] > 0.8


@pytest.mark.parametrize("name", ["enet", "segnet"])
@pytest.mark.parametrize("precision", ["mixed_float16", "float16"])
def test_float16_gives_float32_logits(name, precision, policy):
    policy(precision)
    logits = small(name)(images(1, 9, 8, 3))
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", ["enet", "segnet", "deeplab_v2"])
def test_xla_compiles_inference(name, networks):
    model = networks[name]
    image = tf.constant(images(1, 9, 16, 3), tf.float32)
    compiled = tf.function(
        lambda image: model(image, training=False), jit_compile=True
    )
    expected = model(image, training=False)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(compiled(image), expected, atol=1e-4 * scale)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("unet", 3), r"Expected one of \['deeplab_v2'.*'segnet'\].*'unet'"),
        (("enet", 0), r"`classes`.*Received: classes=0"),
        (("enet", 2.5), r"`classes`.*classes=2.5"),
        (("enet", True), r"`classes`.*classes=True"),
        (("enet", 3, (32, 32, 4)), r"`input_shape`.*\(32, 32, 4\)"),
    ],
)
def test_a_bad_argument_is_one_clear_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(*arguments)


def test_a_bad_option_lists_those_there_are():
    with pytest.raises(ValueError, match=r"\['name', 'width'\].*\['widht'\]"):
        build("enet", 3, widht=0.5)
    with pytest.raises(ValueError, match=r"`width`.*width=0"):
        build("enet", 3, width=0)
    with pytest.raises(ValueError, match=r"`width`.*'resnet18_v2'.*width=0.5"):
        build("deeplab_v3plus", 3, width=0.5, backbone="resnet18_v2")


def test_a_bad_backbone_lists_those_there_are():
    with pytest.raises(ValueError, match=r"'resnet101_v2'.*'vgg'"):
        build("deeplab_v3plus", 3, backbone="vgg")


def test_small_versions_exist_for_every_network():
    assert OPTIONS.keys() == ARCHITECTURES.keys()
