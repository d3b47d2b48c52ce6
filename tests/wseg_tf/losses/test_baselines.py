"""What every baseline loss must do alike: void, weights, reductions, saving."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.wseg_tf.losses import oracles
from wseg_tf.losses import (
    CrossEntropyLoss,
    FocalLoss,
    ImportanceAwareLoss,
    MixtureLoss,
    WassersteinDiceLoss,
)
from wseg_tf.losses.targets import PixelLoss

N, VOID = 4, 255
WEIGHTS = (1.0, 0.5, 3.0, 2.0)
GROUPS = (1, 3, 2, 3)
GROUND = np.array([[0, 1, 2, 3], [4, 0, 1, 2], [1, 5, 0, 1], [2, 2, 6, 0.0]])


def _focal_mixture(**arguments: Any) -> MixtureLoss:
    return MixtureLoss(
        [
            (1.0, CrossEntropyLoss(WEIGHTS, **arguments)),
            (0.5, FocalLoss(gamma=1.0, **arguments)),
        ]
    )


BY_PIXEL = {
    "cross_entropy": lambda **k: CrossEntropyLoss(WEIGHTS, **k),
    "focal": lambda **k: FocalLoss(2.0, WEIGHTS, **k),
    "focal_half": lambda **k: FocalLoss(0.5, **k),
    "mixture": _focal_mixture,
}
LOSSES = BY_PIXEL | {
    "importance_aware": lambda **k: ImportanceAwareLoss(GROUPS, **k),
    "dice": lambda **k: WassersteinDiceLoss(GROUND, **k),
    "dice_background": lambda **k: WassersteinDiceLoss(GROUND, 0, **k),
    "dice_mixture": lambda **k: MixtureLoss(
        [(1.0, CrossEntropyLoss(**k)), (2.0, WassersteinDiceLoss(GROUND, **k))]
    ),
}
every_loss = pytest.mark.parametrize("name", LOSSES)
every_loss_by_pixel = pytest.mark.parametrize("name", BY_PIXEL)


def _batch() -> tuple[Any, Any]:
    random = np.random.default_rng(5)
    labels = random.integers(0, N, (3, 4, 2))
    labels[0, 0, 0] = labels[1, :, 1] = VOID
    return labels, random.normal(size=(3, 4, 2, N)).astype(np.float32)


def _value(name: str, s: Any, t: Any) -> float:
    """The mean of images `[B, P, N]`, from the oracles."""
    rows, targets = s.reshape(-1, N), t.reshape(-1, N)
    if name == "cross_entropy":
        return float(oracles.cross_entropy(rows, targets, WEIGHTS).mean())
    if name == "focal":
        return float(oracles.focal(rows, targets, WEIGHTS, 2.0).mean())
    if name == "focal_half":
        return float(oracles.focal(rows, targets, 1.0, 0.5).mean())
    if name == "mixture":
        losses = oracles.cross_entropy(rows, targets, WEIGHTS)
        losses += 0.5 * oracles.focal(rows, targets, 1.0, 1.0)
        return float(losses.mean())
    if name == "importance_aware":
        return oracles.importance_aware(rows, targets, GROUPS, 2.0, 0.5)
    background = 0 if name == "dice_background" else None
    dice = np.mean(
        [
            oracles.wasserstein_dice(image, target, GROUND, background)
            for image, target in zip(s, t, strict=True)
        ]
    )
    if name == "dice_mixture":
        return float(
            oracles.cross_entropy(rows, targets, 1.0).mean() + 2 * dice
        )
    return float(dice)


def _loss_and_gradient(loss: Any, labels: Any, predictions: Any) -> Any:
    predictions = tf.constant(predictions, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        value = loss(labels, predictions)
    return float(value), tape.gradient(value, predictions).numpy()


@every_loss
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("one_hot", [True, False])
def test_value_and_gradient_against_the_oracle(
    name: str, from_logits: bool, one_hot: bool
) -> None:
    random = np.random.default_rng(11)
    labels = random.integers(0, N, (2, 3))
    targets = np.eye(N)[labels]
    logits = random.normal(size=(2, 3, N)).astype(np.float32)
    given = logits if from_logits else oracles.softmax(logits)
    given = given.astype(np.float32).astype(np.float64)

    def value(predictions: Any) -> float:
        s = oracles.softmax(predictions) if from_logits else predictions
        return _value(name, s, targets)

    loss = LOSSES[name](from_logits=from_logits)
    result, gradient = _loss_and_gradient(
        loss, targets if one_hot else labels, given
    )
    assert result == pytest.approx(value(given), rel=2e-6)
    expected = oracles.gradient(value, given)
    np.testing.assert_allclose(gradient, expected, rtol=2e-4, atol=2e-6)


@every_loss_by_pixel
def test_soft_targets_against_the_oracle(name: str) -> None:
    random = np.random.default_rng(12)
    targets = random.dirichlet(np.ones(N), (2, 3))
    targets[0, 0] = [0.0, 0.25, 0.75, 0.0]  # Zeros are the normal case.
    logits = random.normal(size=(2, 3, N)).astype(np.float32)

    def value(predictions: Any) -> float:
        return _value(name, oracles.softmax(predictions), targets)

    result, gradient = _loss_and_gradient(
        LOSSES[name](from_logits=True), targets, logits
    )
    at = logits.astype(np.float64)
    assert result == pytest.approx(value(at), rel=2e-6)
    expected = oracles.gradient(value, at)
    np.testing.assert_allclose(gradient, expected, rtol=2e-4, atol=2e-6)


@every_loss
def test_void_carries_no_loss_no_gradient_and_no_count(name: str) -> None:
    labels, logits = _batch()
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    value, gradient = _loss_and_gradient(loss, labels, logits)
    other = logits.copy()
    other[labels == VOID] = 50.0 * np.arange(N)
    assert loss(labels, other).numpy() == pytest.approx(value)
    assert not gradient[labels == VOID].any()
    assert gradient[labels != VOID].any()
    # All-zero rows of one-hot targets are the same void.
    one_hot = np.eye(VOID + 1)[labels][..., :N]
    without = LOSSES[name](from_logits=True)
    assert float(without(one_hot, logits)) == pytest.approx(value, rel=1e-5)


@every_loss
def test_a_batch_that_is_all_void_gives_zero(name: str) -> None:
    labels, logits = _batch()
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    value, gradient = _loss_and_gradient(
        loss, np.full_like(labels, VOID), logits
    )
    assert value == 0.0
    assert not gradient.any()  # NaN would count as true.


@every_loss
def test_saturated_logits_stay_finite(name: str) -> None:
    labels, logits = _batch()
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    right = 1e4 * np.eye(VOID + 1, dtype=np.float32)[labels][..., :N]
    for saturated in (right, -right, 1e4 * logits):
        value, gradient = _loss_and_gradient(loss, labels, saturated)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
    assert float(loss(labels, right)) == pytest.approx(0.0, abs=1e-6)


@every_loss
def test_probabilities_of_zero_and_one_stay_finite(name: str) -> None:
    labels, _ = _batch()
    loss = LOSSES[name](ignore_class=VOID)
    certain = np.eye(VOID + 1, dtype=np.float32)[labels][..., :N]
    for probabilities in (certain, certain[..., ::-1]):
        value, gradient = _loss_and_gradient(loss, labels, probabilities)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


@every_loss
def test_labels_with_a_last_axis_of_one(name: str) -> None:
    labels, logits = _batch()
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    value = float(loss(labels, logits))
    assert float(loss(labels[..., None], logits)) == value


@every_loss
def test_graph_and_xla_agree_with_eager(name: str) -> None:
    labels, logits = _batch()
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    expected, gradient = _loss_and_gradient(loss, labels, logits)
    for jit_compile in (False, True):

        @tf.function(jit_compile=jit_compile)
        def step(y_true: Any, y_pred: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(y_pred)
                value = loss(y_true, y_pred)
            return value, tape.gradient(value, y_pred)

        value, slope = step(tf.constant(labels), tf.constant(logits))
        assert float(value) == pytest.approx(expected, rel=1e-5)
        np.testing.assert_allclose(slope, gradient, rtol=1e-4, atol=1e-6)


@every_loss
@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_predictions_are_computed_in_float32(
    name: str, dtype: Any
) -> None:
    labels, logits = _batch()
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    half = tf.cast(logits, dtype)
    value = loss(labels, half)
    assert value.dtype == tf.float32
    assert float(value) == float(loss(labels, tf.cast(half, tf.float32)))


@every_loss_by_pixel
def test_reductions_and_weights(name: str) -> None:
    labels, logits = _batch()

    def loss(reduction: str | None) -> Any:
        return LOSSES[name](
            from_logits=True, ignore_class=VOID, reduction=reduction
        )

    each = loss("none")(labels, logits).numpy()
    count = (labels != VOID).sum()
    assert each.shape == labels.shape
    mean = float(loss("sum_over_batch_size")(labels, logits))
    assert float(loss("sum")(labels, logits)) == pytest.approx(each.sum())
    assert mean == pytest.approx(each.sum() / count)
    weights = np.random.default_rng(1).random(labels.shape)
    weighted = float(loss("sum")(labels, logits, weights))
    assert weighted == pytest.approx((weights * each).sum(), rel=1e-5)
    by_image = float(loss("sum")(labels, logits, np.array([0.0, 2.0, 0.0])))
    assert by_image == pytest.approx(2 * each[1].sum(), rel=1e-5)


@every_loss_by_pixel
def test_a_batch_is_its_singles(name: str) -> None:
    labels, logits = _batch()
    arguments = {"from_logits": True, "ignore_class": VOID}
    batch = LOSSES[name](**arguments)
    singles = [batch(labels[i], logits[i]).numpy() for i in range(3)]
    counts = (labels != VOID).sum(axis=(1, 2))
    mean = np.dot(singles, counts) / counts.sum()
    assert float(batch(labels, logits)) == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize("name", ["importance_aware", "dice"])
def test_permuting_the_classes_changes_nothing(name: str) -> None:
    labels, logits = _batch()
    order = np.array([2, 0, 3, 1])
    renamed = np.append(np.argsort(order), np.full(VOID + 1 - N, VOID))
    permuted: PixelLoss = (
        ImportanceAwareLoss([GROUPS[i] for i in order], ignore_class=VOID)
        if name == "importance_aware"
        else WassersteinDiceLoss(
            GROUND[np.ix_(order, order)], None, False, VOID
        )
    )
    loss = LOSSES[name](ignore_class=VOID)
    s = oracles.softmax(logits)
    value = float(permuted(renamed[labels], s[..., order]))
    assert value == pytest.approx(float(loss(labels, s)), rel=1e-5)


@every_loss
def test_configuration_round_trip(name: str) -> None:
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    )
    labels, logits = _batch()
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    assert float(again(labels, logits)) == float(loss(labels, logits))


@pytest.mark.parametrize("name", ["mixture", "dice", "importance_aware"])
def test_compiles_trains_saves_and_loads(name: str, tmp_path: Path) -> None:
    labels, _ = _batch()
    images = np.random.default_rng(2).normal(size=(3, 4, 2, 3))
    inputs = keras.Input((4, 2, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(N, 1)(inputs))
    loss = LOSSES[name](from_logits=True, ignore_class=VOID)
    model.compile(keras.optimizers.Adam(0.1), loss)
    history = model.fit(
        images, labels, batch_size=3, epochs=15, verbose=0
    ).history["loss"]
    assert history[-1] < 0.9 * history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    before = model.evaluate(images, labels, verbose=0)
    assert loaded.evaluate(images, labels, verbose=0) == pytest.approx(before)
    assert before == pytest.approx(
        float(loss(labels, model(images.astype(np.float32)))), rel=1e-5
    )


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: CrossEntropyLoss([1.0, -2.0]), r"class_weights\[1\]=-2"),
        (lambda: CrossEntropyLoss([float("nan")]), r"class_weights\[0\]=nan"),
        (lambda: FocalLoss(gamma=-1.0), "gamma=-1"),
        (lambda: ImportanceAwareLoss([0, 1]), r"groups=\(0, 1\)"),
        (lambda: ImportanceAwareLoss([1], offset=-1.0), "offset=-1"),
        (lambda: WassersteinDiceLoss(GROUND, 9), "background=9"),
        (lambda: WassersteinDiceLoss(-GROUND), "-1"),
        (lambda: MixtureLoss([]), "`terms`"),
        (lambda: MixtureLoss([(-1.0, FocalLoss())]), r"terms\[0\]=-1"),
        (lambda: MixtureLoss([(1.0, "mse")]), r"terms\[0\]=mse"),
        (
            lambda: MixtureLoss(
                [(1, FocalLoss(reduction="none")), (1, CrossEntropyLoss())]
            ),
            r"`terms`.*\('focal', 'none'\)",
        ),
        (
            lambda: MixtureLoss(
                [
                    (1, FocalLoss(reduction="none")),
                    (1, WassersteinDiceLoss(GROUND, reduction="none")),
                ]
            ),
            r"`terms`.*\('wasserstein_dice', 'none'\)",
        ),
        (lambda: CrossEntropyLoss(reduction="mode"), "reduction='mode'"),
    ],
)
def test_refusals_name_the_argument(make: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make()


@pytest.mark.parametrize(
    ("loss", "named"),
    [
        (CrossEntropyLoss([1.0, 2.0]), "`class_weights`.*4 classes"),
        (FocalLoss(class_weights=[1.0]), "`class_weights`"),
        (ImportanceAwareLoss([1, 2]), "`groups`"),
        (WassersteinDiceLoss(np.ones((2, 2)) - np.eye(2)), "`ground`"),
    ],
)
def test_refuses_another_number_of_classes(loss: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        loss([0], np.zeros((1, 4), np.float32))
