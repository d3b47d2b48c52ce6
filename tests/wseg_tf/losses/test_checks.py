"""What is no distribution is refused; logits of a softmax are found."""

import warnings
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.losses.every import LOSSES, VOID, batch, softmax, step_of
from wseg_tf.losses import (
    CrossEntropyLoss,
    FocalLoss,
    ImportanceAwareLoss,
    MixtureLoss,
    WassersteinDiceLoss,
    WassersteinLoss,
    severity_loss,
)

every_loss = pytest.mark.parametrize("name", LOSSES)
STEP = [[0, 1], [1, 0]]
KNOWN = [name for name in LOSSES if name != "uniformity"]


def _refused_everywhere(loss: Any, y_true: Any, y_pred: Any, said: str) -> None:
    """By an error in eager mode and graphs, by NaN under XLA, for a few."""
    with pytest.raises(ValueError, match=said):
        step_of(loss)(y_true, y_pred)
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        step_of(loss, "graph")(y_true, y_pred)
    if loss.name in ("cross_entropy", "wasserstein_dice", "mixture"):
        assert np.isnan(step_of(loss, "xla")(y_true, y_pred)[0])


@every_loss
def test_logits_without_from_logits_are_refused(name: str) -> None:
    logits, labels, _ = batch()
    loss = LOSSES[name](ignore_class=VOID)
    _refused_everywhere(loss, labels, logits, "`y_pred`.*`from_logits=True`")
    # Their sums alone tell.
    positive = np.abs(logits)
    _refused_everywhere(loss, labels, positive, "`y_pred`.*sum to 1")


@every_loss
@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_soft_targets_of_another_mass_are_refused(
    name: str, factor: float
) -> None:
    logits, _, soft = batch()
    soft[0, 1] *= factor
    loss = LOSSES[name](from_logits=True)
    _refused_everywhere(loss, soft, logits, "`y_true`.*sum to 1")


@every_loss
def test_soft_targets_below_zero_or_nan_are_refused(name: str) -> None:
    logits, _, soft = batch()
    loss = LOSSES[name](from_logits=True)
    soft[0, 1, 1] = [1.2, -0.2, 0, 0]
    with pytest.raises(ValueError, match=r"`y_true`.*shares >= 0"):
        loss(soft, logits)
    soft[0, 1, 1] = [np.nan, 1, 0, 0]
    _refused_everywhere(loss, soft, logits, "`y_true`.*shares >= 0")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("classes", [2, 19, 150])
def test_rounded_distributions_pass(dtype: str, classes: int) -> None:
    random = np.random.default_rng(0)
    s = tf.cast(random.dirichlet(np.ones(classes), (2, 500)), dtype)
    t = tf.cast(random.dirichlet(np.ones(classes), (2, 500)), dtype)
    loss = CrossEntropyLoss()
    assert np.isfinite(loss(t, s))
    assert np.isfinite(tf.function(loss)(t, s))


def test_partial_masses_may_sum_to_anything_but_not_be_negative() -> None:
    loss = WassersteinLoss([[0, 1], [4, 0]], partial=True)
    assert float(loss([[0.0, 0.5]], [[0.75, 0.0]])) == 0.5 * 4
    with pytest.raises(ValueError, match=r"`y_true`.*shares >= 0 "):
        loss([[0.75, -0.25]], [[0.75, 0.25]])
    with pytest.raises(ValueError, match=r"`y_pred`.*probabilities >= 0,"):
        loss([[0.5, 0.5]], [[0.75, -0.25]])


def _model(activation: str | None) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3, 4, 3))
    output = keras.layers.Conv2D(4, 1, activation=activation)
    return keras.Model(inputs, output(inputs))


@pytest.mark.parametrize("name", KNOWN)
def test_a_softmax_trains_as_its_logits_do(name: str) -> None:
    _, labels, _ = batch()
    x = np.random.default_rng(3).normal(size=(2, 3, 4, 3)).astype("float32")
    trained = []
    for activation, from_logits in (("softmax", False), (None, True)):
        model = _model(activation)
        weights = model.get_weights()
        weights[0] *= 60  # Confident: probabilities of 0.
        model.set_weights(weights)
        loss = LOSSES[name](from_logits=from_logits, ignore_class=VOID)
        model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
        model.fit(x, labels, epochs=1, batch_size=2, verbose=0)
        trained.append(model.get_weights()[0])
    np.testing.assert_allclose(*trained, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_graph_takes_predictions_from_outside_of_it(name: str) -> None:
    logits, labels, _ = batch()
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    expected = float(loss(labels, logits))
    for outside in (tf.constant(logits), tf.Variable(logits), logits):
        inside = tf.function(lambda own=outside: loss(labels, own))
        assert float(inside()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("activation", [None, "softmax"])
def test_forgotten_from_logits_is_said_when_it_is_traced(
    jit_compile: bool, activation: str | None
) -> None:
    """XLA can say it no other way: its loss is NaN."""
    _, labels, _ = batch()
    model = _model(activation)
    loss = CrossEntropyLoss(ignore_class=VOID)
    model.compile("sgd", loss, jit_compile=jit_compile)
    x = np.ones([2, 3, 4, 3], np.float32)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if activation is None and not jit_compile:
            with pytest.raises(tf.errors.InvalidArgumentError):
                model.evaluate(x, labels, verbose=0)
        else:
            value = model.evaluate(x, labels, verbose=0)
            assert np.isnan(value) == (activation is None)
    is_said = any("`from_logits=True`" in str(each.message) for each in said)
    assert is_said == (activation is None)


def test_eager_outputs_of_a_softmax_keep_their_logits() -> None:
    logits = tf.constant([[200.0, 0.0]])
    y_pred = keras.activations.softmax(logits)
    assert float(CrossEntropyLoss()([1], y_pred)) == 200.0
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        loss = CrossEntropyLoss(from_logits=True)
        assert float(loss([1], y_pred)) == 200.0
    assert "output of a softmax" in str(said[0].message)


def test_sigmoids_and_other_axes_are_no_softmax() -> None:
    logits = tf.random.stateless_normal([2, 3, 4, 4], [1, 2])
    labels = np.zeros((2, 3, 4), int)
    over_rows = keras.activations.softmax(logits, axis=1)
    for y_pred in (keras.activations.sigmoid(logits), over_rows):
        with pytest.raises(ValueError, match="Expected probabilities"):
            CrossEntropyLoss()(labels, y_pred)

    @tf.function
    def traced(logits: Any) -> Any:
        y_pred = keras.activations.softmax(logits, axis=1)
        return CrossEntropyLoss()(labels, y_pred)

    with pytest.raises(tf.errors.InvalidArgumentError, match="probabilities"):
        traced(logits)


def test_predictions_that_are_nan_are_no_mistake_of_the_user() -> None:
    """The guard of training speaks of them."""
    s = softmax(batch()[0])
    s[0, 0, 1] = np.nan
    assert np.isnan(CrossEntropyLoss(ignore_class=VOID)(batch()[1], s))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CrossEntropyLoss(from_logits="False"), "`from_logits`"),
        (lambda: CrossEntropyLoss(reduction=["mean"]), "`reduction`"),
        (lambda: CrossEntropyLoss(classes="camvid"), "`classes`.*'camvid'"),
        (lambda: CrossEntropyLoss(classes=5), "`classes`.*5"),
        (lambda: CrossEntropyLoss(classes=["a", "b", "a"]), r"twice.*\['a'\]"),
        (lambda: FocalLoss("two"), "`gamma`.*'two'"),
        (lambda: FocalLoss([1.0, 2.0]), "`gamma`"),
        (lambda: ImportanceAwareLoss([1, 2], offset="a"), "`offset`.*'a'"),
        (lambda: ImportanceAwareLoss([1, 2], margin=None), "`margin`.*None"),
        (lambda: ImportanceAwareLoss(3), "`groups`.*3"),
        (lambda: ImportanceAwareLoss("abc"), "`groups`.*'abc'"),
        (lambda: ImportanceAwareLoss([[1, 2]]), "`groups`"),
        (lambda: WassersteinDiceLoss(STEP, True), "`background`.*True"),
        (lambda: WassersteinDiceLoss(STEP, 0.5), "`background`.*0.5"),
        (lambda: WassersteinDiceLoss(STEP, "sky"), "`background`.*'sky'"),
        (lambda: WassersteinLoss(STEP, sinkhorn=5), "`sinkhorn`.*5"),
        (lambda: WassersteinLoss(STEP, sinkhorn={"a": 1}), "`sinkhorn`.*'a'"),
        (lambda: WassersteinLoss(STEP, classes="ab"), "`classes`.*'ab'"),
        (lambda: MixtureLoss([CrossEntropyLoss()]), "`terms`.*pairs"),
        (lambda: MixtureLoss({CrossEntropyLoss(): 1.0}), "`terms`.*pairs"),
        (lambda: MixtureLoss([("a", CrossEntropyLoss())]), r"terms\[0\]='a'"),
        (lambda: severity_loss(STEP, weight="a"), r"terms\[1\]='a'"),
    ],
)
def test_arguments_of_another_kind_are_one_sentence(
    make: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=f"Invalid value.*{said}"):
        make()


@every_loss
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4)])
def test_an_empty_batch_has_no_loss(
    name: str, mode: str, shape: tuple[int, ...]
) -> None:
    loss = LOSSES[name](from_logits=True)
    logits = np.zeros([*shape, 4], np.float32)
    for y_true in (np.zeros(shape, np.int32), logits):
        value, gradient = step_of(loss, mode)(y_true, logits)
        assert value == 0.0
        assert gradient.shape == logits.shape


@every_loss
@pytest.mark.parametrize(
    "shape", [(3,), (2, 3), (2, 4), (2, 3, 4, 4), (2, 3, 4, 1, 1)]
)
def test_weights_that_fit_no_map_are_refused(
    name: str, shape: tuple[int, ...]
) -> None:
    """`[2, 3]` is what `fit(class_weight=)` of Keras 2 makes of label maps."""
    logits, labels, _ = batch()
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    with pytest.raises(
        ValueError, match=r"`sample_weight`.*one a pixel.*`class_weights`"
    ):
        loss(labels, logits, np.ones(shape, np.float32))


@every_loss
def test_a_weight_that_is_nan_is_not_hidden(name: str) -> None:
    logits, labels, _ = batch()
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    weights = np.float32([np.nan, 1.0])
    assert np.isnan(loss(labels, logits, weights))
