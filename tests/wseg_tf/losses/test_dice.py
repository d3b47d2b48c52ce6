import numpy as np
import pytest

from tests.wseg_tf.losses.oracles import softmax
from wseg_tf.losses import LovaszSoftmaxLoss, PixelLoss, WassersteinDiceLoss

# Asymmetric; every class is as far from class 0 as can be.
GROUND = np.array([[0, 5, 5, 5], [5, 0, 2, 3], [5, 2.5, 0, 1], [5, 4, 1.5, 0]])
# MONAI 1.6.1, from `.venv-peers/bin/python -m benchmarks.monai_constants`.
MONAI = [0.3860771, 0.4254818, 0.436434]


def _batch() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    labels = random.integers(0, 4, (3, 5, 6))
    logits = random.normal(size=(3, 5, 6, 4)).astype(np.float32)
    return labels, logits


def test_agrees_with_monai_where_both_mean_the_same() -> None:
    labels, logits = _batch()
    loss = WassersteinDiceLoss(
        GROUND, background=0, from_logits=True, reduction="none"
    )
    values = loss(labels, logits).numpy()
    np.testing.assert_allclose(values, MONAI, rtol=1e-5)


def test_a_batch_is_the_mean_of_its_images() -> None:
    labels, logits = _batch()
    loss = WassersteinDiceLoss(GROUND, from_logits=True)
    singles = [
        float(loss(labels[i : i + 1], logits[i : i + 1])) for i in range(3)
    ]
    assert len(set(singles)) == 3
    assert float(loss(labels, logits)) == pytest.approx(np.mean(singles))


@pytest.mark.parametrize(
    "loss",
    [
        WassersteinDiceLoss(GROUND, from_logits=True),
        LovaszSoftmaxLoss(by_image=True, from_logits=True),
    ],
    ids=lambda loss: loss.name,
)
def test_the_first_axis_counts_images(loss: PixelLoss) -> None:
    labels, logits = (each[0].reshape(30, *each.shape[3:]) for each in _batch())
    one = float(loss(labels[None], logits[None]))
    assert one == pytest.approx(float(loss(*(e[:1] for e in _batch()))))
    each = [float(loss(labels[[i]], logits[[i]])) for i in range(30)]
    flat = float(loss(labels, logits))
    assert flat == pytest.approx(np.mean(each), rel=1e-5)
    assert flat != pytest.approx(one, rel=1e-2)


def test_an_image_without_a_valid_pixel_is_not_counted() -> None:
    labels, logits = _batch()
    labels[2] = 9
    loss = WassersteinDiceLoss(GROUND, from_logits=True, ignore_class=9)
    two = float(loss(labels[:2], logits[:2]))
    assert float(loss(labels, logits)) == pytest.approx(two)


@pytest.mark.parametrize("background", [None, 1])
def test_scaling_the_ground_matrix_changes_nothing(
    background: int | None,
) -> None:
    labels, logits = _batch()
    once = WassersteinDiceLoss(GROUND, background, from_logits=True)
    scaled = WassersteinDiceLoss(17 * GROUND, background, from_logits=True)
    value = float(once(labels, logits))
    assert float(scaled(labels, logits)) == pytest.approx(value, rel=1e-5)


def test_rows_are_truth() -> None:
    # Truth 1 called 3 costs 3; truth 3 called 1 costs 4.
    sure = np.eye(4, dtype=np.float32)
    loss = WassersteinDiceLoss(GROUND)
    one_as_three = float(loss([[1]], sure[None, [3]]))
    three_as_one = float(loss([[3]], sure[None, [1]]))
    assert one_as_three == pytest.approx(3 / (2 * (5 - 3) + 3))
    assert three_as_one == pytest.approx(4 / (2 * (5 - 4) + 4))


def test_weights_by_image_and_by_pixel() -> None:
    labels, logits = _batch()
    s = softmax(logits)
    each = WassersteinDiceLoss(GROUND, reduction="none")
    images = each(labels, s).numpy()
    by_image = each(labels, s, np.array([1.0, 0.0, 3.0])).numpy()
    np.testing.assert_allclose(by_image, images * [1, 0, 3], rtol=1e-6)
    # A weight of 2 is the pixel twice; a weight of 0 is the pixel void.
    weights = np.ones(labels.shape)
    weights[:, 0], weights[:, 1] = 2, 0
    by_pixel = each(labels, s, weights).numpy()
    rows = [0, 0, 2, 3, 4]
    repeated = each(labels[:, rows], s[:, rows]).numpy()
    np.testing.assert_allclose(by_pixel, repeated, rtol=1e-5)


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 1, 1)])
def test_weights_by_image_of_any_rank_by_hand(shape: tuple[int, ...]) -> None:
    step = [[0, 1], [1, 0]]
    s = [[[0.5, 0.5], [0.0, 1.0]]] * 2
    # The images' losses, worked in test_mixture.py, weigh 2 and 3.
    weights = np.reshape([2.0, 3.0], shape)
    value = WassersteinDiceLoss(step)([[0, 1], [1, 0]], s, weights)
    assert float(value) == pytest.approx((2 * 1 / 7 + 3 * 3 / 5) / 2)


def test_a_scalar_weight_scales_the_loss() -> None:
    labels, logits = _batch()
    loss = WassersteinDiceLoss(GROUND, from_logits=True)
    value = float(loss(labels, logits))
    assert float(loss(labels, logits, 3.0)) == pytest.approx(3 * value)
