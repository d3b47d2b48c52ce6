import keras
import numpy as np
import pytest

from wseg_tf.losses import (
    CrossEntropyLoss,
    FocalLoss,
    MixtureLoss,
    WassersteinDiceLoss,
    WassersteinLoss,
)
from wseg_tf.losses import wasserstein as wasserstein_module

STEP = [[0, 1], [1, 0]]
# Two images of two pixels. Dice of the first: d = 1/2 and 0, so TP = 3/2, and
# of the second: d = 1/2 and 1, so TP = 1/2; the loss is d / (2 TP + d).
HALF = [[[0.5, 0.5], [0.0, 1.0]]] * 2
IDS = [[0, 1], [1, 0]]
DICE = np.array([1 / 7, 3 / 5])


def test_is_the_weighted_sum_of_its_terms() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, (2, 4, 4))
    s = random.dirichlet(np.ones(3), (2, 4, 4)).astype(np.float32)
    weights = random.random((2, 4, 4)).astype(np.float32)
    terms = [
        CrossEntropyLoss(),
        FocalLoss(),
        WassersteinDiceLoss(1 - np.eye(3)),
    ]
    mixture = MixtureLoss(list(zip([1.0, 0.25, 3.0], terms, strict=True)))
    for sample_weight in (None, weights):
        values = [float(loss(labels, s, sample_weight)) for loss in terms]
        expected = values[0] + 0.25 * values[1] + 3 * values[2]
        assert float(mixture(labels, s, sample_weight)) == pytest.approx(
            expected, rel=1e-5
        )


def test_mixtures_nest() -> None:
    s = np.array([[0.25, 0.75]], np.float32)
    inner = MixtureLoss([(2.0, CrossEntropyLoss())])
    outer = MixtureLoss([(3.0, inner), (1.0, CrossEntropyLoss())])
    assert float(outer([0], s)) == pytest.approx(7 * np.log(4))


def test_a_nested_dice_counts_by_hand() -> None:
    inner = MixtureLoss([(2.0, WassersteinDiceLoss(STEP))])
    outer = MixtureLoss([(3.0, inner), (4.0, WassersteinLoss(STEP))])
    # W is 1/2 and 0 in the first image, 1/2 and 1 in the second.
    expected = 3 * 2 * DICE.mean() + 4 * (0.5 + 0 + 0.5 + 1) / 4
    assert float(outer(IDS, HALF)) == pytest.approx(expected)


def test_members_keep_their_own_settings_by_hand() -> None:
    s, labels = [[0.5, 0.5], [0.25, 0.75]], [0, 1]
    mixture = MixtureLoss(
        [
            (1.0, CrossEntropyLoss(reduction="sum")),
            (2.0, CrossEntropyLoss(ignore_class=1)),
            (4.0, CrossEntropyLoss(from_logits=True)),
        ]
    )
    own = np.log(2) - np.log(0.75)
    first_alone = np.log(2)
    of_logits = (np.log(2) + np.log(1 + np.exp(-0.5))) / 2
    expected = own + 2 * first_alone + 4 * of_logits
    assert float(mixture(labels, s)) == pytest.approx(expected, rel=1e-6)


def test_maps_are_added_by_pixel_and_by_image() -> None:
    by_pixel = MixtureLoss([(2.0, WassersteinLoss(STEP, reduction="none"))])
    assert by_pixel(IDS, HALF).numpy().tolist() == [[1.0, 0.0], [1.0, 2.0]]
    dice = WassersteinDiceLoss(STEP, reduction="none")
    nested = MixtureLoss([(2.0, MixtureLoss([(1.0, dice)])), (1.0, dice)])
    np.testing.assert_allclose(nested(IDS, HALF), 3 * DICE, rtol=1e-6)
    np.testing.assert_allclose(nested.call(IDS, HALF), 3 * DICE, rtol=1e-6)


def test_soft_targets_take_the_compiled_shortcut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    shortcut = wasserstein_module.total_cost_from_logits

    def counted(*arguments: object) -> object:
        calls.append(1)
        return shortcut(*arguments)

    monkeypatch.setattr(wasserstein_module, "total_cost_from_logits", counted)
    w = WassersteinLoss(STEP, from_logits=True)
    mixture = MixtureLoss([(1.0, CrossEntropyLoss(from_logits=True)), (2.0, w)])
    target, logits = [[1.0, 0.0]], np.log([[0.25, 0.75]])
    value = float(mixture(target, logits.astype(np.float32)))
    assert value == pytest.approx(np.log(4) + 2 * 0.75)
    assert calls == [1]


def test_a_mixture_saved_with_a_reduction_loads_as_it_was() -> None:
    """Earlier versions reduced once, whatever the members said."""
    inner = MixtureLoss([(2.0, WassersteinLoss(STEP))])
    now = MixtureLoss([(1.0, CrossEntropyLoss()), (0.5, inner)])
    saved = keras.saving.serialize_keras_object(now)
    saved["config"]["reduction"] = "sum"
    saved["config"]["terms"][1][1]["config"]["reduction"] = "none"
    loaded = keras.saving.deserialize_keras_object(saved)
    s = [[0.5, 0.5], [0.25, 0.75]]
    # Sums: log 2 + log 4/3 and 1/2 + 1/4.
    expected = np.log(8 / 3) + 0.5 * 2 * 0.75
    assert float(loaded([0, 1], s)) == pytest.approx(expected)
    assert "reduction" not in loaded.get_config()
