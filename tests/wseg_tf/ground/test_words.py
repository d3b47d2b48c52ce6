"""What a matrix says in words is what the library does with it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wseg_tf.classes import CAMVID
from wseg_tf.ground import GroundMatrix, words

NAMES = ("sky", "tree", "car")
COSTS = st.lists(
    st.sampled_from([0.25, 0.5, 1.0, 2.0, 7.0]), min_size=6, max_size=6
)


def asymmetric(costs):
    values = np.zeros([3, 3])
    values[~np.eye(3, dtype=bool)] = costs
    return GroundMatrix(values, NAMES)


@given(COSTS, st.integers(0, 2), st.integers(0, 2))
def test_the_probability_is_where_the_decision_turns(costs, own, other):
    if own == other:
        return
    ground = asymmetric(costs)
    lines = words.explain(ground, NAMES[own])
    begin = lines.index(
        f"Deciding by D, {NAMES[own]} is chosen from a probability of"
    )
    (line,) = (
        each
        for each in lines[begin + 1 :]
        if NAMES[other] in each.split(", ")
        or each.endswith(f"against {NAMES[other]}")
        or f"against {NAMES[other]}," in each
    )
    turn = float(line.split()[0])
    for step, chosen in ((0.01, own), (-0.01, other)):
        p = np.zeros(3)
        p[own], p[other] = turn + step, 1 - turn - step
        risk = p @ ground.values
        assert min((own, other), key=lambda name: risk[name]) == chosen


@given(COSTS, st.lists(st.integers(0, 99), min_size=9, max_size=9))
def test_shares_are_the_parts_of_the_expected_severity(costs, pixels):
    ground, counts = asymmetric(costs), np.reshape(pixels, [3, 3])
    whole = (ground.values * counts).sum()
    found = words.shares(ground, counts, most=9)
    assert [each.share for each in found] == sorted(
        (each.share for each in found), reverse=True
    )
    for each in found:
        place = NAMES.index(each.true), NAMES.index(each.predicted)
        assert each.pixels == counts[place] > 0
        assert each.share == pytest.approx(each.cost * each.pixels / whole)
    assert sum(each.share for each in found) == pytest.approx(whole and 1.0)


def test_a_proposal_without_severities_is_the_preset():
    assert words.propose(CAMVID) == GroundMatrix.severity_aware(CAMVID)


def test_a_class_comes_before_its_group():
    ground = words.propose(CAMVID, {"pedestrian": 10, "4": 6}, within=0.25)
    assert ground.cost("pedestrian", "sky") == 10
    assert ground.cost("pedestrian", "car") == 2.5
    assert ground.cost("car", "sky") == 6
    assert ground.cost("road", "sky") == 3


@pytest.mark.parametrize("severities", [{"5": 1}, {"perdestrian": 2}])
def test_a_key_that_is_no_class_and_no_group_is_refused(severities):
    with pytest.raises(ValueError, match=r"`severities`.*'pedestrian'"):
        words.propose(CAMVID, severities)


@pytest.mark.parametrize("cost", [-1.0, float("nan"), float("inf")])
def test_a_cost_that_is_none_is_refused(cost):
    with pytest.raises(ValueError, match="Expected"):
        words.propose(CAMVID, {"4": cost})


def test_the_order_of_the_file_does_not_matter():
    ground = GroundMatrix.severity_aware(CAMVID)
    turned = ground.subset(CAMVID.names[::-1])
    assert words.by_groups(turned, CAMVID) == words.by_groups(ground, CAMVID)
