import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wseg_tf.transport import oracle
from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.ground import GroundMatrix
from wseg_tf.losses import WassersteinLoss

VOID = 255
LINE = GroundMatrix.from_line(np.random.default_rng(7).normal(size=11))
DENSE = np.random.default_rng(0).random((11, 11)) * (1 - np.eye(11))
GROUNDS = {
    "asymmetric": GroundMatrix.severity_aware(CAMVID).power(2),
    "squared line": LINE.power(2),
    "dense": GroundMatrix(DENSE),
}


def batch(seed=0, shape=(2, 3, 4), classes=11, void=0.2):
    """Logits, class ids with void, and distributions void where they are."""
    random = np.random.default_rng(seed)
    logits = (3 * random.normal(size=(*shape, classes))).astype(np.float32)
    labels = random.integers(0, classes, shape)
    labels[random.random(shape) < void] = VOID
    soft = oracle.histograms(random, labels.size, classes, "pruned")
    soft = soft.reshape(*shape, classes) * (labels != VOID)[..., None]
    return logits, labels.astype(np.int32), soft


def softmax(logits):
    powers = np.exp(np.float64(logits) - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def one_hot_by_hand(logits, labels, values):
    """Eq. 2, pixel by pixel."""
    losses = np.zeros(labels.shape)
    for place in np.ndindex(labels.shape):
        if labels[place] != VOID:
            losses[place] = softmax(logits[place]) @ values[labels[place]]
    return losses


def value_and_gradient(loss, y_true, y_pred, sample_weight=None):
    y_pred = tf.constant(y_pred)
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = loss(y_true, y_pred, sample_weight)
    return value.numpy(), tape.gradient(value, y_pred).numpy()


def test_a_value_by_hand_and_its_transpose():
    ground = GroundMatrix([[0, 1], [4, 0]], ["sky", "car"])
    loss = WassersteinLoss(ground)
    # Truth sky, car with probability 0.25: 0.25 * D[sky, car] = 0.25.
    assert float(loss([0], [[0.75, 0.25]])) == 0.25
    # Truth car, sky with probability 0.25: 0.25 * D[car, sky] = 1.
    assert float(loss([1], [[0.25, 0.75]])) == 1.0


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("name", GROUNDS)
def test_class_ids_are_eq_2(name, from_logits):
    ground, (logits, labels, _) = GROUNDS[name], batch()
    y_pred = logits if from_logits else np.float32(softmax(logits))
    expected = one_hot_by_hand(logits, labels, ground.values)
    loss = WassersteinLoss(ground, from_logits, VOID, "none")
    np.testing.assert_allclose(loss(labels, y_pred), expected, rtol=2e-5)
    mean = WassersteinLoss(ground, from_logits, VOID)
    valid = np.sum(labels != VOID)
    assert float(mean(labels, y_pred)) == pytest.approx(
        expected.sum() / valid, rel=1e-5
    )


@pytest.mark.parametrize("name", GROUNDS)
def test_one_hot_distributions_agree_with_class_ids(name):
    logits, labels, _ = batch()
    ids = WassersteinLoss(GROUNDS[name], True, VOID, "none")
    target = np.eye(11, dtype=np.float32)[np.minimum(labels, 10)]
    target[labels == VOID] = 0
    np.testing.assert_allclose(
        ids(target, logits), ids(labels, logits), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("name", GROUNDS)
def test_soft_targets_are_the_linear_program(name, from_logits):
    ground, (logits, labels, soft) = GROUNDS[name], batch()
    y_pred = logits if from_logits else np.float32(softmax(logits))
    valid = labels != VOID
    expected = oracle.wasserstein(
        softmax(logits)[valid], soft[valid], ground.values
    ).mean()
    loss = WassersteinLoss(ground, from_logits)
    assert float(loss(soft, y_pred)) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("target", ["labels", "soft"])
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("link", ["linear", "log"])
@pytest.mark.parametrize("name", GROUNDS)
def test_gradients_are_finite_differences(name, link, from_logits, target):
    logits, labels, soft = batch(seed=3)
    logits = logits / 3
    loss = WassersteinLoss(GROUNDS[name], from_logits, VOID, "sum", link=link)
    y_true = {"labels": labels, "soft": soft}[target]

    def through_softmax(logits):
        logits = tf.constant(logits, tf.float32)
        return logits if from_logits else tf.nn.softmax(logits)

    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        y_pred = variable if from_logits else tf.nn.softmax(variable)
        value = loss(y_true, y_pred)
    gradient = tape.gradient(value, variable).numpy()
    random = np.random.default_rng(4)
    size = 2e-3
    for _ in range(3):
        step = np.float32(random.normal(size=logits.shape))
        above = loss(y_true, through_softmax(logits + size * step))
        below = loss(y_true, through_softmax(logits - size * step))
        slope = float(above - below) / (2 * size)
        # The general solver's value has small jumps where its vertex changes.
        share = 0.3 if (name, target) == ("dense", "soft") else 0.05
        scale = share * float(np.linalg.norm(gradient))
        assert np.sum(gradient * step) == pytest.approx(slope, abs=scale)
    void = labels == VOID
    assert np.all(gradient[void] == 0)
    assert np.all(np.any(gradient[~void] != 0, axis=-1))
    np.testing.assert_allclose(gradient.sum(-1), 0, atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", ["labels", "soft"])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
def test_shortcuts_equal_the_long_way(reduction, target, weighted):
    """From logits and reduced it takes a shortcut; from a map, none."""
    logits, labels, soft = batch(seed=5)
    y_true = {"labels": labels, "soft": soft}[target]
    weight = np.random.default_rng(6).random(labels.shape).astype(np.float32)
    weight = weight if weighted else None
    ground = GROUNDS["asymmetric"]
    short = WassersteinLoss(ground, True, VOID, reduction)
    by_pixel = WassersteinLoss(ground, True, VOID, "none")
    count = np.sum(labels != VOID) if reduction != "sum" else 1

    def the_long_way(y_true, y_pred, weight):
        return tf.reduce_sum(by_pixel(y_true, y_pred, weight)) / count

    value, gradient = value_and_gradient(short, y_true, logits, weight)
    expected, slope = value_and_gradient(the_long_way, y_true, logits, weight)
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, slope, atol=2e-6)


@pytest.mark.parametrize("target", ["labels", "soft"])
@pytest.mark.parametrize("link", ["linear", "log"])
@pytest.mark.parametrize("name", GROUNDS)
def test_a_batch_equals_its_images_one_by_one(name, link, target):
    logits, labels, soft = batch(seed=8, shape=(5, 2, 3), void=0)
    y_true = {"labels": labels, "soft": soft}[target]
    loss = WassersteinLoss(GROUNDS[name], True, VOID, link=link)
    alone = [loss(y_true[k : k + 1], logits[k : k + 1]) for k in range(5)]
    together = float(loss(y_true, logits))
    assert together == pytest.approx(np.mean(alone), rel=1e-3)


@pytest.mark.parametrize("target", ["labels", "soft"])
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("link", ["linear", "log"])
def test_a_batch_all_void_has_no_loss_and_no_gradient(
    link, from_logits, target
):
    logits, labels, soft = batch()
    y_true = {"labels": np.full_like(labels, VOID), "soft": 0 * soft}[target]
    for ground in GROUNDS.values():
        loss = WassersteinLoss(ground, from_logits, VOID, link=link)
        value, gradient = value_and_gradient(loss, y_true, logits)
        assert value == 0
        assert np.all(gradient == 0)


@pytest.mark.parametrize("link", ["linear", "log"])
def test_any_rank_of_predictions(link):
    logits, labels, soft = batch(shape=(6,))
    expected = {}
    for shape in ((6,), (2, 3), (1, 2, 3), (1, 1, 2, 3)):
        loss = WassersteinLoss(GROUNDS["asymmetric"], True, VOID, link=link)
        z = logits.reshape(*shape, 11)
        for key, y_true in (
            ("ids", labels.reshape(shape)),
            ("ids with an axis", labels.reshape(*shape, 1)),
            ("soft", soft.reshape(*shape, 11)),
        ):
            value = float(loss(y_true, z))
            assert value == pytest.approx(expected.setdefault(key, value))


def test_saturated_logits_stay_finite():
    logits = np.float32([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]])
    ground = GroundMatrix([[0, 1, 2], [4, 0, 4], [1, 3, 0]])
    soft = np.float32([[0.0, 0.5, 0.5], [0.0, 1.0, 0.0]])
    for link in ("linear", "log"):
        loss = WassersteinLoss(ground, True, reduction="sum", link=link)
        for y_true in ([1, 1], soft):
            value, gradient = value_and_gradient(loss, y_true, logits)
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()
    linear = WassersteinLoss(ground, True, reduction="none")
    assert linear([1, 1], logits).numpy().tolist() == [4.0, 0.0]


@pytest.mark.parametrize("unit", [1e9, 1e31])
@pytest.mark.parametrize("name", GROUNDS)
@pytest.mark.parametrize("is_soft", [False, True])
def test_the_unit_of_d_is_that_of_the_loss_however_large_the_logits(
    unit, name, is_soft
):
    """Powers of logits that are no overflow would be one times a cost of D."""
    logits, labels, soft = batch()
    logits *= 68.0 / logits.max()
    y_true = soft if is_soft else labels
    ground, options = GROUNDS[name], {"ignore_class": VOID}
    loss = WassersteinLoss(ground, True, **options)
    expected, slope = value_and_gradient(loss, y_true, logits)
    loss = WassersteinLoss(unit * ground.values, True, **options)
    value, gradient = value_and_gradient(loss, y_true, logits)
    assert value / unit == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(gradient / unit, slope, rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_predictions_are_computed_in_float32(dtype):
    logits, labels, soft = batch()
    narrow = tf.cast(logits, dtype)
    loss = WassersteinLoss(GROUNDS["asymmetric"], True, VOID)
    for y_true in (labels, soft):
        value = loss(y_true, narrow)
        assert value.dtype == tf.float32
        wide = tf.cast(narrow, tf.float32)
        assert float(value) == pytest.approx(float(loss(y_true, wide)))


def test_150_classes():
    logits, labels, soft = batch(classes=150, shape=(1, 2, 2))
    groups = [k % 4 for k in range(150)]
    ground = GroundMatrix.from_groups(groups, 1, 3)
    loss = WassersteinLoss(ground, True, VOID, "none")
    expected = one_hot_by_hand(logits, labels, ground.values)
    np.testing.assert_allclose(loss(labels, logits), expected, rtol=1e-4)
    assert loss.solver == "tree"
    assert np.isfinite(loss(soft, logits)).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_eq_1_bounds_one_hot_from_every_side(seed):
    """W <= max(D), W = 0 for the truth itself, and W is linear in s."""
    random = np.random.default_rng(seed)
    ground = GROUNDS["asymmetric"]
    loss = WassersteinLoss(ground, reduction="none")
    s = oracle.histograms(random, 2, 11, "dense")
    label = random.integers(0, 11, 2)
    values = loss(label, s).numpy()
    assert np.all(values <= ground.values[label].max(1) + 1e-4)
    mixed = loss(label, 0.25 * s + 0.75 * np.eye(11, dtype="f4")[label])
    np.testing.assert_allclose(mixed, 0.25 * values, rtol=1e-4)


@pytest.mark.parametrize("from_logits", [True, False])
def test_the_log_link_of_the_step_matrix_is_cross_entropy(from_logits):
    logits, labels, soft = batch(void=0)
    y_pred = logits if from_logits else np.float32(softmax(logits))
    step = GroundMatrix.severity_aware(CAMVID).step()
    loss = WassersteinLoss(step, from_logits, link="log")
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    dense = keras.losses.CategoricalCrossentropy(from_logits=from_logits)
    for y_true, peer in ((labels, sparse), (soft, dense)):
        expected = value_and_gradient(peer, y_true, y_pred)
        value, gradient = value_and_gradient(loss, y_true, y_pred)
        assert value == pytest.approx(expected[0], rel=1e-5)
        if from_logits:
            np.testing.assert_allclose(gradient, expected[1], atol=1e-6)


def test_the_log_link_of_a_star_is_weighted_cross_entropy():
    logits, labels, soft = batch(void=0)
    star = GroundMatrix.importance_aware(CAMVID)
    loss = WassersteinLoss(star, True, reduction="none", link="log")
    weights = np.array(CAMVID.groups)
    crossed = -np.log(softmax(logits))
    own = np.take_along_axis(crossed, labels[..., None], -1)[..., 0]
    np.testing.assert_allclose(
        loss(labels, logits), weights[labels] * own, rtol=1e-4
    )
    expected = np.sum(soft * weights * crossed, -1)
    np.testing.assert_allclose(loss(soft, logits), expected, rtol=1e-4)


def test_the_log_link_by_hand():
    ground = GroundMatrix([[0, 1, 2], [4, 0, 4], [1, 3, 0]])
    s = np.float32([[0.5, 0.3, 0.2]])
    rows = ground.values @ s[0]  # What each truth would cost.
    largest = ground.values.max(1)
    each = -largest * np.log(1 - rows / largest)
    for link_of in ("probabilities", "logits"):
        y_pred = s if link_of == "probabilities" else np.log(s)
        loss = WassersteinLoss(ground, link_of == "logits", link="log")
        for true in range(3):
            assert float(loss([true], y_pred)) == pytest.approx(
                each[true], rel=1e-5
            )
        target = np.float32([[0.2, 0.7, 0.1]])
        assert float(loss(target, y_pred)) == pytest.approx(
            each @ target[0], rel=1e-5
        )


def test_the_log_link_pushes_where_the_linear_one_is_flat():
    logits, ground = np.float32([[40.0, 0.0, 0.0]]), np.ones((3, 3)) - np.eye(3)
    _, flat = value_and_gradient(WassersteinLoss(ground, True), [1], logits)
    log = WassersteinLoss(ground, True, link="log")
    _, steep = value_and_gradient(log, [1], logits)
    assert np.abs(flat).max() < 1e-6
    np.testing.assert_allclose(steep, [[1, -1, 0]], atol=1e-6)


def test_a_class_that_costs_nothing_has_no_loss():
    free = GroundMatrix([[0, 0, 0], [1, 0, 1], [1, 2, 0]])
    logits = np.float32([[1.0, 2.0, 3.0]])
    for link in ("linear", "log"):
        loss = WassersteinLoss(free, True, link=link)
        value, gradient = value_and_gradient(loss, [0], logits)
        assert value == 0
        assert np.all(gradient == 0)


def test_partial_masses_are_an_option():
    ground = GroundMatrix([[0, 1], [4, 0]])
    loss = WassersteinLoss(ground, partial=True)
    # 0.5 of 1 moves: sky's 0.5 is there already, so nothing is paid.
    assert float(loss([[0.5, 0.0]], [[0.75, 0.25]])) == 0.0
    assert float(loss([[0.0, 0.5]], [[0.75, 0.25]])) == 0.25 * 4


def test_arrays_lists_and_matrices_are_taken_alike():
    values = [[0, 1], [4, 0]]
    y_pred = np.float32([[0.5, 0.5]])
    for ground in (values, np.array(values), GroundMatrix(values)):
        assert float(WassersteinLoss(ground)([1], y_pred)) == 2.0


def test_the_solver_shows_and_can_be_chosen():
    cities = GroundMatrix.severity_aware(CITYSCAPES)
    assert WassersteinLoss(cities).solver == "tree"
    assert WassersteinLoss(cities, solver="sinkhorn").solver == "sinkhorn"
    assert WassersteinLoss(LINE.power(2)).solver == "line"
    assert WassersteinLoss(DENSE).solver == "sinkhorn"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ground": [[0, -1], [1, 0]]}, r"D\[0, 1\]"),
        ({"link": "square"}, "`link`"),
        ({"solver": "exact"}, "`solver`"),
        ({"solver": "line"}, "the structure 'star'"),
        ({"reduction": "median"}, "`reduction`"),
        ({"sinkhorn": {"epsilon": 0}}, "`epsilon`"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        WassersteinLoss(**{"ground": [[0, 1], [1, 0]], **options})


def test_another_number_of_classes_is_refused():
    loss = WassersteinLoss([[0, 1], [1, 0]], True)
    with pytest.raises(ValueError, match="the classes of the ground matrix"):
        loss([0], np.zeros((1, 3), np.float32))
