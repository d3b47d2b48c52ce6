import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.ground import GroundMatrix, Line, Tree
from wseg_tf.ground.structure import find_line, find_structure, find_tree

seeds = st.integers(0, 2**32 - 1)


def random_edges(random, leaves):
    """A random rooted tree: leaves and joints joined two or three at a time."""
    edges, live = {str(leaf): None for leaf in range(leaves)}, []
    live = list(edges)
    while len(live) > 1:
        size = min(len(live), int(random.integers(2, 4)))
        parent = f"joint {len(edges)}"
        for node in random.choice(live, size, replace=False):
            live.remove(node)
            edges[str(node)] = (parent, *random.random(2))
        edges[parent] = None
        live.append(parent)
    del edges[live[0]]
    return edges


def linear_program(source, target, values):
    return ot.emd2(source, target, np.ascontiguousarray(values.T))


def tree_distance(tree, source, target):
    excess = tree.members @ (source - target)
    rising, falling = np.maximum(excess, 0), np.maximum(-excess, 0)
    return tree.up @ rising + tree.down @ falling


def monotone_distance(values, order, source, target):
    """The coupling that never crosses, one step at a time."""
    source, target = source[list(order)].copy(), target[list(order)].copy()
    values = values[np.ix_(order, order)]
    i = j = 0
    cost = 0.0
    while i < len(source) and j < len(target):
        moved = min(source[i], target[j])
        cost += moved * values[j, i]
        source[i] -= moved
        target[j] -= moved
        if source[i] <= target[j]:
            i += 1
        else:
            j += 1
    return cost


def assert_exact(values, random, rel=1e-9):
    structure = find_structure(values)
    assert structure is not None
    for concentration in (0.1, 1.0):
        source, target = random.dirichlet(
            np.full(len(values), concentration), 2
        )
        if isinstance(structure, Tree):
            found = tree_distance(structure, source, target)
        else:
            found = monotone_distance(values, structure.order, source, target)
        expected = linear_program(source, target, values)
        assert found == pytest.approx(expected, rel=rel, abs=1e-12)


@given(seeds, st.integers(2, 24))
@settings(max_examples=60, deadline=None)
def test_every_directed_tree_is_found_and_exact(seed, leaves):
    random = np.random.default_rng(seed)
    made = GroundMatrix.from_tree(random_edges(random, leaves))
    assert made.kind in ("star", "tree")
    assert_exact(made.values, random)
    assert_exact(made.values.astype(np.float32).astype(float), random, rel=1e-5)


@given(seeds, st.integers(4, 24), st.sampled_from([1.5, 2.0, 3.0]))
@settings(max_examples=40, deadline=None)
def test_every_convex_line_is_found_and_exact(seed, classes, exponent):
    random = np.random.default_rng(seed)
    line = GroundMatrix.from_line(random.normal(size=classes))
    made = line.power(exponent)
    assert made.kind in ("line", "tree", "star")
    assert_exact(made.values, random)
    assert line.kind in ("tree", "star")
    assert_exact(line.values, random)


@given(seeds, st.integers(3, 9), st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_whatever_is_found_is_exact(seed, classes, largest):
    """Small integers make accidental structures likely; none may be wrong."""
    random = np.random.default_rng(seed)
    values = random.integers(0, largest + 1, (classes, classes)).astype(float)
    np.fill_diagonal(values, 0)
    if find_structure(values) is not None:
        assert_exact(values, random)
    if find_line(values) is not None:
        source, target = random.dirichlet(np.ones(classes), 2)
        found = monotone_distance(
            values, find_line(values).order, source, target
        )
        expected = linear_program(source, target, values)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("class_set", [CAMVID, CITYSCAPES])
def test_severity_stays_a_tree_under_every_increasing_map(class_set):
    random = np.random.default_rng(0)
    severity = GroundMatrix.severity_aware(class_set)
    for made in (severity, severity.power(2), severity.huber(2)):
        assert made.kind == "tree"
        assert_exact(made.values, random)
    assert severity.step().kind == "star"
    assert GroundMatrix.importance_aware(class_set).kind == "star"


def test_two_levels_are_a_directed_tree_with_these_edges():
    """Within a, across b by the group of the truth: enter a group for b - a."""
    a, b, groups = {0: 1.0, 1: 2.0}, {0: 3.0, 1: 7.0}, [0, 0, 1, 1, 1]
    made = GroundMatrix.from_groups(groups, a, b)
    by_hand = Tree(
        members=np.vstack([np.eye(5), [1, 1, 0, 0, 0], [0, 0, 1, 1, 1]]) > 0,
        up=np.zeros(7),
        down=np.array([1.0, 1, 2, 2, 2, 3 - 1, 7 - 2]),
    )
    np.testing.assert_array_equal(by_hand.matrix(), made.values)
    random = np.random.default_rng(1)
    source, target = random.dirichlet(np.ones(5), 2)
    expected = linear_program(source, target, made.values)
    for tree in (by_hand, made.structure):
        found = tree_distance(tree, source, target)
        assert found == pytest.approx(expected, rel=1e-12)


def test_a_star_splits_into_costs_of_leaving_and_entering():
    up, down = np.array([0.0, 1, 2]), np.array([3.0, 4, 5])
    values = (up[None, :] + down[:, None]) * (1 - np.eye(3))
    star = find_tree(values)
    assert star.kind == "star"
    assert (star.up >= 0).all()
    np.testing.assert_allclose(star.matrix(), values, atol=1e-12)


@pytest.mark.parametrize("factor", [1 + 1e-4, 1 - 1e-4])
def test_nearly_a_tree_is_none(factor):
    random = np.random.default_rng(2)
    values = GroundMatrix.from_tree(random_edges(random, 12)).values.copy()
    values[3, 4] *= factor
    assert find_structure(values) is None


def test_what_has_no_structure_is_none():
    random = np.random.default_rng(3)
    place = random.normal(size=(9, 2))
    plane = np.linalg.norm(place[:, None] - place, axis=-1)
    concave = np.sqrt(np.abs(place[:, 0, None] - place[:, 0]))
    dense = random.random((9, 9)) * (1 - np.eye(9))
    for values in (plane, concave, dense):
        assert GroundMatrix(values).kind == "none"


def test_costs_that_favour_the_other_group_are_no_tree():
    assert GroundMatrix.from_groups([*"aabbcc"], 3, 1).kind == "none"


def test_a_matrix_of_zeros_is_an_empty_star():
    zero = GroundMatrix(np.zeros((4, 4)))
    assert zero.kind == "star"
    assert len(zero.structure.up) == 0


def test_a_line_keeps_its_order_under_a_permutation():
    shuffled = [3.0, 0.0, 2.0, 1.0]
    line = GroundMatrix.from_line(shuffled).power(2).structure
    assert isinstance(line, Line)
    assert line.order in ((1, 3, 2, 0), (0, 2, 3, 1))


def test_150_classes_are_found_in_time():
    random = np.random.default_rng(4)
    assert GroundMatrix.from_tree(random_edges(random, 150)).kind == "tree"
    line = GroundMatrix.from_line(random.normal(size=150))
    assert line.power(2).kind == "line"
    dense = random.random((150, 150)) * (1 - np.eye(150))
    assert GroundMatrix(dense).kind == "none"
