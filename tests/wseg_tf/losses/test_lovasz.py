"""Against the Jaccard loss as a set function, and its extension by force."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from wseg_tf.losses import CrossEntropyLoss, LovaszSoftmaxLoss, MixtureLoss

VOID = 9


def jaccard(truth, wrong):
    """1 - IoU of a class whose pixels in `wrong` are given otherwise."""
    given_class = {i for i in range(len(truth)) if truth[i] ^ (i in wrong)}
    own = {i for i in range(len(truth)) if truth[i]}
    return 1 - len(own & given_class) / len(own | given_class)


def extension(truth, errors):
    """The convex extension: the dearest order in which to go wrong.

    The Jaccard loss is submodular, so its greedy order is the dearest.
    """
    best = 0.0
    for order in itertools.permutations(range(len(truth))):
        value, before = 0.0, 0.0
        for place, pixel in enumerate(order):
            after = jaccard(truth, set(order[: place + 1]))
            value += errors[pixel] * (after - before)
            before = after
        best = max(best, value)
    return best


def by_force(labels, probabilities, weights=None):
    kept = np.asarray(labels) != VOID
    labels, probabilities = np.asarray(labels)[kept], probabilities[kept]
    weights = np.ones(probabilities.shape[1]) if weights is None else weights
    present = sorted(set(labels.tolist()))
    losses = [
        weights[c]
        * extension(labels == c, np.abs((labels == c) - probabilities[:, c]))
        for c in present
    ]
    return sum(losses) / len(present) if present else 0.0


def drawn(seed, pixels, classes):
    random = np.random.default_rng(seed)
    logits = random.normal(scale=2, size=(pixels, classes))
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = random.choice([*range(classes), VOID], pixels)
    return labels, logits.astype("f4"), probabilities


def test_two_pixels_by_hand():
    """Both classes have errors .4 (pixel 1) and .5 (pixel 2).

    Class 0 is pixel 1: J({2}) = 1/2, so .5 * 1/2 + .4 * 1/2 = .45. Class 1 is
    pixel 2: J({2}) = 1 already, so .5 * 1 + .4 * 0 = .5.
    """
    loss = LovaszSoftmaxLoss()
    value = loss([0, 1], [[0.6, 0.4], [0.5, 0.5]])
    assert float(value) == pytest.approx((0.45 + 0.5) / 2)


def test_a_missed_class_counts_in_full_however_rare():
    # 99 of 100 right: the rare class has an IoU of 0, the common one of .99.
    labels = np.array([1] + [0] * 99)
    value = LovaszSoftmaxLoss()(labels, np.eye(2)[[0] * 100])
    assert float(value) == pytest.approx((1 + 0.01) / 2)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 6), st.booleans())
def test_it_is_the_extension_of_the_jaccard_loss(seed, pixels, weighted):
    labels, logits, probabilities = drawn(seed, pixels, 3)
    weights = [0.5, 1.0, 4.0] if weighted else None
    expected = by_force(labels, probabilities, weights)
    loss = LovaszSoftmaxLoss(weights, from_logits=True, ignore_class=VOID)
    value = float(loss(labels, logits))
    # Lower by a level at most, each class by its weight.
    assert expected - 4 * 2**-14 - 1e-6 < value < expected + 1e-6


def sorted_loss(labels, probabilities):
    """The loss of one set, and its gradient, by sorting, as the source does."""
    losses, gradient = [], np.zeros_like(probabilities)
    present = np.unique(labels)
    for c in present:
        truth = labels == c
        errors = np.abs(truth - probabilities[:, c])
        order = np.argsort(-errors, kind="stable")
        hits, misses = np.cumsum(truth[order]), np.cumsum(~truth[order])
        lost = 1 - (truth.sum() - hits) / (truth.sum() + misses)
        steps = np.diff(lost, prepend=0.0)
        losses.append((errors[order] * steps).sum())
        gradient[order, c] = np.where(truth[order], -1, 1) * steps
    return np.mean(losses), gradient / len(present)


@pytest.mark.parametrize("images", [1, 300])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_levels_of_the_error_stand_in_for_its_order(images, jit_compile):
    random = np.random.default_rng(images)
    shape, classes = (images, 20, 30), 4
    logits = random.normal(scale=4, size=(*shape, classes)).astype("f4")
    probabilities = tf.nn.softmax(logits).numpy()
    labels = random.integers(0, classes, shape)
    labels[random.random(shape) < 0.7] = 0
    sets = zip(
        labels.reshape(images, -1),
        probabilities.reshape(images, -1, classes).astype(np.float64),
        strict=True,
    )
    exact = [sorted_loss(*each) for each in sets]
    loss = LovaszSoftmaxLoss(by_image=True, reduction="none")
    values = tf.constant(probabilities)

    def step(labels, values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            losses = loss(labels, values)
        return losses, tape.gradient(losses, values)

    losses, gradient = tf.function(step, jit_compile=jit_compile)(
        tf.constant(labels), values
    )
    expected = np.array([each for each, _ in exact])
    # Sets of 4 classes each: 1,200 of them leave 2^10 levels at least, one
    # set leaves 2^14.
    level = 2.0**-14 if images == 1 else 2.0**-10
    apart = expected - losses.numpy()
    assert apart.max() < level
    assert apart.min() > -1e-6
    # Steps move within a level alone, and those of all sum up to 1; an error
    # that rounds to 0 has no slope.
    flat = gradient.numpy().reshape(images, -1, classes)
    slopes = np.stack([each for _, each in exact])
    np.testing.assert_allclose(
        np.abs(flat).sum(axis=1), np.abs(slopes).sum(axis=1), atol=1e-3
    )
    assert (flat * slopes).sum() > 0.97 * (slopes**2).sum()


def test_pixels_of_one_error_have_one_gradient():
    """However they come: three pixels of the class, five of the other."""
    labels = np.array([0] * 3 + [1] * 5)
    probabilities = np.where(
        labels[:, None] == np.arange(2), np.float32(0.6), np.float32(0.4)
    )
    order = np.random.default_rng(0).permutation(8)
    for own in (np.arange(8), order):
        values = tf.constant(probabilities[own])
        with tf.GradientTape() as tape:
            tape.watch(values)
            value = LovaszSoftmaxLoss()(labels[own], values)
        # All are given up at once, so .4 of all that there is to lose.
        assert float(value) == pytest.approx(0.4)
        gradient = tape.gradient(value, values).numpy()
        # For class 0: five others, 1 - 3/8, then the three that are left.
        inside, outside = 1 / 8, (1 - 3 / 8) / 5
        expected = np.where(labels[own] == 0, -inside, outside) / 2
        np.testing.assert_allclose(gradient[:, 0], expected, rtol=1e-5)


def test_hard_outputs_have_the_mean_jaccard_loss():
    random = np.random.default_rng(4)
    labels, given_ids = random.integers(0, 4, (2, 500))
    expected = np.mean(
        [
            1
            - ((labels == c) & (given_ids == c)).sum()
            / ((labels == c) | (given_ids == c)).sum()
            for c in range(4)
        ]
    )
    value = LovaszSoftmaxLoss()(labels, np.eye(4)[given_ids])
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_gradient_is_that_of_finite_differences():
    labels, logits, _ = drawn(3, 40, 3)
    loss = LovaszSoftmaxLoss(
        [1.0, 3.0, 0.5], from_logits=True, ignore_class=VOID
    )
    values = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = loss(labels, values)
    gradient = tape.gradient(value, values).numpy()
    assert np.abs(gradient).max() > 1e-3
    assert not gradient[labels == VOID].any()
    direction = np.random.default_rng(5).normal(size=logits.shape)
    step = 1e-3
    apart = [
        float(loss(labels, logits + sign * step * direction))
        for sign in (1, -1)
    ]
    slope = (apart[0] - apart[1]) / (2 * step)
    assert slope == pytest.approx((gradient * direction).sum(), rel=0.02)


def test_rare_steps_keep_their_digits():
    """Among 2^20 pixels, one that is wrong lowers the IoU by about 2^-19."""
    count = 2**20
    labels = np.zeros(count, int)
    labels[: count // 2] = 1
    probabilities = np.eye(2, dtype="f4")[labels]
    probabilities[0] = [1.0, 0.0]
    value = float(LovaszSoftmaxLoss()(labels, probabilities))
    own, other = 1 / (count // 2), 1 / (count // 2 + 1)
    assert value == pytest.approx((own + other) / 2, rel=1e-5)


def test_a_batch_is_one_set_or_a_set_an_image():
    labels = np.stack([drawn(seed, 6, 3)[0] for seed in (1, 2)])
    probabilities = np.stack([drawn(seed, 6, 3)[2] for seed in (1, 2)])
    alone = [
        by_force(each, values)
        for each, values in zip(labels, probabilities, strict=True)
    ]
    options = {"by_image": True, "ignore_class": VOID}
    each = LovaszSoftmaxLoss(reduction="none", **options)
    np.testing.assert_allclose(each(labels, probabilities), alone, atol=1e-6)
    mean = LovaszSoftmaxLoss(**options)(labels, probabilities)
    assert float(mean) == pytest.approx(np.mean(alone), abs=1e-6)
    weighted = LovaszSoftmaxLoss(reduction="sum", **options)(
        labels, probabilities, [2.0, 0.5]
    )
    assert float(weighted) == pytest.approx(2 * alone[0] + 0.5 * alone[1])
    together = LovaszSoftmaxLoss(ignore_class=VOID)(
        labels.reshape(-1), probabilities.reshape(-1, 3)
    )
    batch = LovaszSoftmaxLoss(ignore_class=VOID)(labels, probabilities)
    assert float(batch) == pytest.approx(float(together))
    assert abs(float(batch) - np.mean(alone)) > 1e-3


def test_images_that_are_all_void_count_nowhere():
    labels, _, probabilities = drawn(1, 6, 3)
    labels = np.stack([labels, np.full(6, VOID)])
    probabilities = np.stack([probabilities, probabilities])
    loss = LovaszSoftmaxLoss(by_image=True, ignore_class=VOID)
    alone = by_force(labels[0], probabilities[0])
    assert float(loss(labels, probabilities)) == pytest.approx(alone, abs=1e-6)
    values = tf.Variable(probabilities)
    with tf.GradientTape() as tape:
        value = LovaszSoftmaxLoss(ignore_class=VOID)(
            np.full((2, 6), VOID), values
        )
    assert float(value) == 0
    assert not np.asarray(tape.gradient(value, values)).any()


def test_weights_of_pixels_are_repeated_pixels():
    labels, _, probabilities = drawn(8, 5, 3)
    weights = np.array([1.0, 3.0, 0.0, 2.0, 1.0])
    repeats = weights.astype(int)
    loss = LovaszSoftmaxLoss(ignore_class=VOID)
    weighted = loss(labels, probabilities, weights)
    repeated = loss(
        np.repeat(labels, repeats), np.repeat(probabilities, repeats, axis=0)
    )
    assert float(weighted) == pytest.approx(float(repeated), rel=1e-5)


def test_soft_targets_are_shares_of_pixels():
    labels, _, probabilities = drawn(2, 6, 3)
    labels[labels == VOID] = 0
    loss = LovaszSoftmaxLoss()
    one_hot = loss(np.eye(3)[labels], probabilities)
    assert float(one_hot) == pytest.approx(float(loss(labels, probabilities)))
    soft = tf.nn.softmax(np.random.default_rng(0).normal(size=(6, 3)))
    assert float(loss(soft, soft)) == pytest.approx(0, abs=1e-6)
    assert float(loss(soft, probabilities)) > 0.01


def test_it_is_saved_and_mixed():
    loss = LovaszSoftmaxLoss([1.0, 2.0, 3.0], True, ignore_class=VOID)
    config = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(config)
    labels, logits, probabilities = drawn(1, 6, 3)
    assert again.get_config() == loss.get_config()
    one = labels[None], probabilities[None]
    assert float(again(*one)) == float(loss(*one))
    plain = CrossEntropyLoss(from_logits=True, ignore_class=VOID)
    lovasz = LovaszSoftmaxLoss(from_logits=True, ignore_class=VOID)
    mixed = MixtureLoss([(1.0, plain), (0.5, lovasz)])
    expected = plain(labels, logits) + 0.5 * lovasz(labels, logits)
    assert float(mixed(labels, logits)) == pytest.approx(float(expected))


def test_it_compiles_and_takes_half_precision():
    labels, logits, _ = drawn(5, 50, 3)
    loss = LovaszSoftmaxLoss(from_logits=True, ignore_class=VOID)
    expected = float(loss(labels, logits))
    compiled = tf.function(loss, jit_compile=True)
    assert float(compiled(tf.constant(labels), logits)) == pytest.approx(
        expected
    )
    half = loss(labels, tf.cast(logits, tf.float16))
    assert half.dtype == tf.float32
    assert float(half) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("weights", [[1.0, -1.0, 1.0], [1.0, float("nan"), 1]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match=r"class_weights\[1\]"):
        LovaszSoftmaxLoss(weights)


def test_weights_of_other_classes_are_refused():
    with pytest.raises(ValueError, match="each of the 2 classes"):
        LovaszSoftmaxLoss([1.0] * 3)([0], [[0.5, 0.5]])
