import itertools

import numpy as np
import pytest
import tensorflow as tf

from wseg_tf.models.pooling import (
    MaxPoolingWithMask2D,
    MaxUnpooling2D,
    max_pool_with_mask,
    max_unpool,
)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_first_of_every_tie_is_marked():
    # All 81 windows of three values, so every pattern of ties is among them.
    windows = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=4)))
    image = windows.reshape(81, 2, 2, 1).astype(np.float32)
    pooled, mask = max_pool_with_mask(tf.constant(image))
    expected = np.eye(4)[windows.argmax(axis=1)]
    np.testing.assert_array_equal(mask.numpy().reshape(81, 4), expected)
    np.testing.assert_array_equal(pooled.numpy().ravel(), windows.max(axis=1))


@pytest.mark.parametrize("shape", [(2, 6, 10, 3), (3, 4, 2, 5)])
def test_agrees_with_tensorflow_addons(shape):
    layers = pytest.importorskip("tensorflow_addons.layers")
    image = random(*shape)
    values = random(shape[0], shape[1] // 2, shape[2] // 2, shape[3], seed=1)
    pooled, argmax = tf.nn.max_pool_with_argmax(
        image, 2, 2, "SAME", include_batch_in_index=False
    )
    ours, mask = max_pool_with_mask(tf.constant(image))
    np.testing.assert_array_equal(ours, pooled)
    np.testing.assert_array_equal(
        max_unpool(tf.constant(values), mask),
        layers.MaxUnpooling2D()(tf.constant(values), argmax),
    )


@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (1, 1, 4, 2), (2, 6, 3, 1)])
def test_the_last_window_of_an_odd_size_is_cut_off(shape):
    image = random(*shape) - 5.0  # Negative: no padding by zeros may win.
    half = (shape[0], (shape[1] + 1) // 2, (shape[2] + 1) // 2, shape[3])
    values = random(*half, seed=1)
    pooled, argmax = tf.nn.max_pool_with_argmax(
        image, 2, 2, "SAME", include_batch_in_index=True
    )
    expected = np.zeros(image.size, np.float32)
    expected[argmax.numpy().ravel()] = values.ravel()
    images = tf.TensorSpec([None, None, None, shape[3]])

    @tf.function(input_signature=[images, images])
    def in_graph(image, values):
        pooled, mask = max_pool_with_mask(image)
        return pooled, max_unpool(values, mask)

    eager, mask = max_pool_with_mask(tf.constant(image))
    for ours, spread in (
        (eager, max_unpool(tf.constant(values), mask)),
        in_graph(image, values),
    ):
        np.testing.assert_array_equal(ours, pooled)
        np.testing.assert_array_equal(spread, expected.reshape(shape))


@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
def test_pooling_gradient_is_that_of_max_pooling(size):
    image = tf.constant(random(2, *size, 3))
    upstream = random(2, (size[0] + 1) // 2, (size[1] + 1) // 2, 3)
    gradients = []
    for pool in (
        lambda x: max_pool_with_mask(x)[0],
        lambda x: tf.nn.max_pool2d(x, 2, 2, "SAME"),
    ):
        with tf.GradientTape() as tape:
            tape.watch(image)
            output = pool(image)
        gradients.append(tape.gradient(output, image, upstream))
    np.testing.assert_array_equal(*gradients)


def test_unpooling_gradient_of_an_odd_size_sums_what_each_window_has():
    _, mask = max_pool_with_mask(tf.constant(random(2, 5, 7, 3)))
    values, upstream = tf.constant(random(2, 3, 4, 3)), random(2, 5, 7, 3)
    with tf.GradientTape() as tape:
        tape.watch(values)
        output = max_unpool(values, mask)
    gradient = tape.gradient(output, values, upstream)
    marked = np.pad(upstream * mask, [(0, 0), (0, 1), (0, 1), (0, 0)])
    cells = marked.reshape(2, 3, 2, 4, 2, 3)
    np.testing.assert_array_equal(gradient, cells.sum(axis=(2, 4)))


def test_unpooling_gradient_picks_the_marked_position():
    _, mask = max_pool_with_mask(tf.constant(random(2, 4, 6, 3)))
    values, upstream = tf.constant(random(2, 2, 3, 3)), random(2, 4, 6, 3)
    with tf.GradientTape() as tape:
        tape.watch(values)
        output = max_unpool(values, mask)
    gradient = tape.gradient(output, values, upstream)
    cells = (upstream * mask.numpy()).reshape(2, 2, 2, 3, 2, 3)
    np.testing.assert_array_equal(gradient, cells.sum(axis=(2, 4)))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_is_exact(dtype):
    image = tf.cast(random(1, 4, 4, 2), dtype)
    pooled, mask = max_pool_with_mask(image)
    assert pooled.dtype == mask.dtype == image.dtype
    expected, expected_mask = max_pool_with_mask(tf.cast(image, tf.float32))
    np.testing.assert_array_equal(tf.cast(pooled, tf.float32), expected)
    np.testing.assert_array_equal(tf.cast(mask, tf.float32), expected_mask)


@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
def test_xla_compiles_both_and_their_gradients(size):
    def cycle(image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            pooled, mask = max_pool_with_mask(image)
            spread = max_unpool(pooled * pooled, mask)
        return spread, tape.gradient(spread, image)

    image = tf.constant(random(2, *size, 3))
    compiled = tf.function(cycle, jit_compile=True)(image)
    for ours, expected in zip(compiled, cycle(image), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_batch_is_its_singles():
    image = random(3, 4, 4, 2)
    layer = MaxPoolingWithMask2D()
    for together, *alone in zip(
        layer(image), *(layer(each[None]) for each in image), strict=True
    ):
        np.testing.assert_array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
def test_inference_and_training_agree_in_values_and_gradients(size):
    image = tf.constant(random(2, *size, 3))
    upstream = random(2, *size, 3)
    found = []
    for training in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(image)
            pooled, mask = MaxPoolingWithMask2D()(image, training=training)
            spread = MaxUnpooling2D()(
                [pooled * pooled, mask], training=training
            )
        found.append((spread, tape.gradient(spread, image, upstream)))
    for plain, trained in zip(*found, strict=True):
        np.testing.assert_array_equal(plain, trained)


@pytest.mark.parametrize("training", [False, True])
def test_what_is_served_has_no_gradient_of_its_own(training):
    images = tf.TensorSpec([None, None, None, 3])

    @tf.function(input_signature=[images])
    def cycle(image):
        pooled, mask = MaxPoolingWithMask2D()(image, training=training)
        return MaxUnpooling2D()([pooled, mask], training=training)

    graph = cycle.get_concrete_function().graph
    own = {each.type for each in graph.get_operations()} & {"IdentityN"}
    assert bool(own) == training
    # TensorFlow Lite slices tensors of five axes at most.
    assert all(
        (tensor.shape.rank or 0) <= 5
        for each in graph.get_operations()
        for tensor in each.outputs
    )
