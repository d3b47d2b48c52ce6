"""Plans against the linear programme of POT, and what panels say."""

import numpy as np
import pytest

from tests.wseg_tf.transport import oracle
from wseg_tf import CAMVID, GroundMatrix
from wseg_tf.plots import cheapest_plan, plot_predictions, plot_transport

D = GroundMatrix.severity_aware(CAMVID, within=0.5)
ASYMMETRIC = GroundMatrix(np.triu(3 * np.ones((11, 11)), 1) + np.tri(11, k=-1))


@pytest.mark.parametrize("ground", [D, ASYMMETRIC], ids=["tree", "asymmetric"])
def test_a_plan_has_both_margins_and_the_least_cost(ground):
    random = np.random.default_rng(0)
    source, target = (
        oracle.histograms(random, 4, 11, kind) for kind in ("peaked", "pruned")
    )
    costs = oracle.wasserstein(source, target, ground.values)
    for s, t, cost in zip(source, target, costs, strict=True):
        plan = cheapest_plan(s, t, ground)
        np.testing.assert_allclose(plan.sum(axis=1), s, atol=1e-6)
        np.testing.assert_allclose(plan.sum(axis=0), t, atol=1e-6)
        assert (plan * ground.values.T).sum() == pytest.approx(cost, abs=1e-5)


def test_unequal_masses_have_no_plan():
    with pytest.raises(ValueError, match="mass of the source, 1"):
        cheapest_plan([0.5, 0.5], [0.5, 0.0], GroundMatrix([[0, 1], [1, 0]]))


def test_a_panel_says_what_both_losses_are():
    near, far = np.zeros(11), np.zeros(11)
    near[[8, 10]] = far[[8, 3]] = 0.25, 0.75
    figure = plot_predictions({"near": near, "far": far}, "car", D, CAMVID)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    # -log(1/4); 3/4 of half a car's 4, and of all of it.
    assert titles == [
        "near: cross-entropy 1.39, Wasserstein 1.50",
        "far: cross-entropy 1.39, Wasserstein 3.00",
    ]


def test_lines_are_as_wide_as_the_mass_they_move():
    source, label = np.zeros(11), np.eye(11)[8]
    source[[8, 3]] = 0.25, 0.75
    figure = plot_transport({"label": (source, label)}, D, CAMVID)
    axes = figure.axes[0]
    assert axes.get_title() == "label: W = 3.00"
    widths = sorted(line.get_linewidth() for line in axes.lines)
    assert widths == pytest.approx([14 * 0.25, 14 * 0.75])
