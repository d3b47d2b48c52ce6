import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.models.small import (
    DISTINCT_NAMES,
    IS_KERAS_2,
    NAMES,
    OPTIONS,
    images,
    small,
)
from wseg_tf.models import ARCHITECTURES, build
from wseg_tf.models.description import parameters
from wseg_tf.models.dropout import Dropout

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
def test_every_weight_has_its_gradient_and_a_step_lowers_the_loss(name):
    keras.utils.set_random_seed(1)
    model = small(name)
    variables = model.trainable_variables
    image = tf.constant(images(2, 32, 48, 3))
    labels = images(2, 32, 48, seed=1).astype(np.int32) % 3

    def loss():
        logits = model(image, training=False)
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        )

    with tf.GradientTape() as tape:
        before = loss()
    gradients = tape.gradient(before, variables)
    for variable, gradient in zip(variables, gradients, strict=True):
        assert np.abs(gradient).max() > 0, variable.name

    # Along the gradient the loss must rise by the gradient's square norm.
    # Where maxima are unpooled it jumps whenever one moves, as no gradient
    # tells; so there only what follows the last pooling is moved.
    if name in ("enet", "segnet"):
        chosen = {
            id(variable)
            for layer in model.layers
            for variable in layer.trainable_variables
            if not layer.name.startswith("encoder")
        }
        pairs = [
            (variable, gradient)
            for variable, gradient in zip(variables, gradients, strict=True)
            if id(variable) in chosen
        ]
        variables, gradients = zip(*pairs, strict=True)
    slope = float(tf.linalg.global_norm(gradients)) ** 2
    step = 3e-4 * float(before) / slope
    around = []
    weights = [variable.numpy() for variable in variables]
    for sign in (1, -1):
        for variable, weight, gradient in zip(
            variables, weights, gradients, strict=True
        ):
            variable.assign(weight + sign * step * gradient)
        around.append(float(loss()))
    above, below = around
    assert below < before < above
    assert (above - below) / (2 * step) == pytest.approx(slope, rel=0.05)


# What learns is the network; the one is to see that Keras 3 trains them. ENet,
# the slowest, is what the notebook and tutorials train.
@pytest.mark.parametrize(
    "name", ["segnet", "fcn8s", "deeplab_v2"] if IS_KERAS_2 else ["segnet"]
)
def test_overfits_four_images(name):
    keras.utils.set_random_seed(0)
    labels = np.kron(images(4, 2, 3) % 3, np.ones((16, 16), int))
    image = (np.eye(3)[labels] * 200 + 20).astype(np.float32)
    model = small(name)
    for layer in model.layers:
        if isinstance(layer, Dropout):
            layer.rate = 0.0  # What it is there to prevent is what is asked.
    optimizer = keras.optimizers.Adam(5e-3)
    optimizer.build(model.trainable_variables)  # Or Keras traces twice.
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(image, labels, batch_size=4, epochs=120, verbose=0)
    predicted = np.argmax(model(image, training=False), axis=-1)
    assert (predicted == labels).mean() > 0.95


def test_weights_are_loaded_from_a_path(networks, tmp_path):
    networks["enet"].save_weights(tmp_path / "enet.weights.h5")
    networks["enet"].save(tmp_path / "enet.keras")
    image = images(1, 16, 16, 3)
    for file in ("enet.weights.h5", "enet.keras"):
        copy = small("enet", weights=str(tmp_path / file))
        np.testing.assert_array_equal(copy(image), networks["enet"](image))


@pytest.mark.parametrize(
    "name", [n for n in DISTINCT_NAMES if n != "deeplab_v3plus"]
)
def test_each_layer_in_bfloat16_only_rounds(name, networks, policy):
    """Each is compared with the float32 layer on the very same inputs.

    End to end nothing sharp holds: rounding moves maxima between windows.
    """
    policy("mixed_bfloat16")
    low = small(name)
    low.set_weights(networks[name].get_weights())
    layers = [each for each in low.layers if each is not low.layers[0]]
    probe = keras.Model(low.input, [[x.input, x.output] for x in layers])
    values = probe(images(2, 17, 24, 3), training=False)
    assert values[-1][1].dtype == tf.float32
    for layer, value in zip(layers, values, strict=True):
        inputs, outputs = tf.nest.map_structure(
            lambda x: tf.cast(x, tf.float32), value
        )
        expected = networks[name].get_layer(layer.name)(inputs, training=False)
        for ours, exact in zip(
            tf.nest.flatten(outputs), tf.nest.flatten(expected), strict=True
        ):
            error = np.linalg.norm(ours - exact)
            assert error <= 2**-7 * np.linalg.norm(exact), layer.name


@pytest.mark.skipif("deeplab_v3plus" not in NAMES, reason="needs KerasCV")
def test_deeplab_v3plus_in_bfloat16_only_rounds(networks, policy):
    # Its backbone is a model of its own, so it is compared end to end.
    image = images(2, 33, 47, 3)
    expected = networks["deeplab_v3plus"](image, training=False).numpy()
    policy("mixed_bfloat16")
    low = small("deeplab_v3plus")
    low.set_weights(networks["deeplab_v3plus"].get_weights())
    logits = low(image, training=False)
    assert logits.dtype == tf.float32
    error = np.linalg.norm(logits - expected)
    assert error <= 0.03 * np.linalg.norm(expected)


@pytest.mark.parametrize("name", ["enet", "segnet"])
@pytest.mark.parametrize("precision", ["mixed_float16", "float16"])
def test_float16_gives_float32_logits(name, precision, policy):
    policy(precision)
    logits = small(name)(images(1, 9, 8, 3))
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", DISTINCT_NAMES)
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
