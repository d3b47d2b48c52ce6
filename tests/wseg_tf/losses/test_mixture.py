import numpy as np
import pytest

from wseg_tf.losses import (
    CrossEntropyLoss,
    FocalLoss,
    MixtureLoss,
    WassersteinDiceLoss,
)


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
