import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wseg_tf.transport import oracle
from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.ground import GroundMatrix
from wseg_tf.transport import Sinkhorn, choose_solver, pot, wasserstein
from wseg_tf.transport.partial import partial_tree_cost

KINDS = ("dense", "peaked", "pruned")


def dense_matrix(classes, seed=0):
    random = np.random.default_rng(seed)
    return random.random((classes, classes)) * (1 - np.eye(classes))


LINE = GroundMatrix.from_line(np.random.default_rng(7).normal(size=11))
EXACT = {
    "star": GroundMatrix.importance_aware(CITYSCAPES),
    "severity": GroundMatrix.severity_aware(CITYSCAPES),
    "squared severity": GroundMatrix.severity_aware(CAMVID).power(2),
    "step": GroundMatrix.severity_aware(CAMVID).step(),
    "line": LINE,
    "squared line": LINE.power(2),
    "Huber line": LINE.huber(0.7),
    "nothing costs": GroundMatrix(np.zeros((5, 5))),
}
DEEP = {
    "a": ("root", 1.0, 2.0),
    "b": ("a", 0.3, 0.7),
    "c": ("a", 0.1, 2.1),
    "d": ("b", 1.0, 0.2),
    "e": ("b", 0.5, 0.6),
    "f": ("c", 1.1, 1.0),
    "g": ("c", 0.0, 3.0),
    "h": ("root", 0.4, 0.9),
    "i": ("root", 2.0, 0.1),
}
PARTIAL = {
    "step": EXACT["step"],
    "squared severity": EXACT["squared severity"],
    "two": GroundMatrix(
        np.add.outer([0.1, 0.9, 0.4], [0.8, 0.0, 0.3]) * (1 - np.eye(3))
    ),
    "deep": GroundMatrix.from_tree(DEEP),
    "path": GroundMatrix.from_line([0.0, 1.0, 2.5, 3.0, 3.2, 5.0]),
}
GENERAL = {
    "dense": GroundMatrix(dense_matrix(11)),
    "skewed": GroundMatrix(dense_matrix(11) ** 6 * 100),
    "concave line": GroundMatrix(np.sqrt(LINE.values)),
}


def value_and_gradients(source, target, ground, **options):
    source, target = tf.constant(source), tf.constant(target)
    with tf.GradientTape() as tape:
        tape.watch((source, target))
        value = wasserstein(source, target, ground, **options)
    gradients = tape.gradient(value, (source, target))
    return value.numpy(), *(gradient.numpy() for gradient in gradients)


def assert_subgradient(source, target, ground, random, slack=1e-5):
    """W(s', t') >= W(s, t) + <f, s' - s> + <g, t' - t>, all from the oracle."""
    value, f, g = value_and_gradients(source, target, ground)
    classes = source.shape[1]
    for kind in KINDS:
        other = oracle.histograms(random, len(source), classes, kind)
        another = oracle.histograms(random, len(source), classes, kind)
        below = value + np.sum(f * (other - source), axis=1)
        below += np.sum(g * (another - target), axis=1)
        exact = oracle.wasserstein(other, another, ground)
        assert np.all(below <= exact + slack * ground.values.max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EXACT)
def test_closed_forms_are_the_linear_program(name, kind):
    ground, random = EXACT[name], np.random.default_rng(1)
    assert choose_solver(ground) in ("tree", "line")
    source = oracle.histograms(random, 20, len(ground), kind)
    target = oracle.histograms(random, 20, len(ground), kind)
    value, _, _ = value_and_gradients(source, target, ground)
    expected = oracle.wasserstein(source, target, ground)
    scale = max(ground.values.max(), 1e-9)
    np.testing.assert_allclose(value / scale, expected / scale, atol=2e-6)
    assert_subgradient(source, target, ground, random)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GENERAL)
def test_the_general_solver_is_the_linear_program(name, kind):
    ground, random = GENERAL[name], np.random.default_rng(2)
    assert choose_solver(ground) == "sinkhorn"
    source = oracle.histograms(random, 20, len(ground), kind)
    target = oracle.histograms(random, 20, len(ground), kind)
    value, _, _ = value_and_gradients(source, target, ground)
    expected = oracle.wasserstein(source, target, ground)
    scale = ground.values.max()
    np.testing.assert_allclose(value / scale, expected / scale, atol=2e-6)
    assert_subgradient(source, target, ground, random)


@pytest.mark.parametrize("name", ["severity", "squared line"])
def test_sinkhorn_can_be_asked_for_and_agrees_with_the_closed_form(name):
    ground, random = EXACT[name], np.random.default_rng(3)
    source = oracle.histograms(random, 30, len(ground), "peaked")
    target = oracle.histograms(random, 30, len(ground), "pruned")
    exact = wasserstein(source, target, ground).numpy()
    close = wasserstein(source, target, ground, "sinkhorn").numpy()
    np.testing.assert_allclose(close, exact, rtol=1e-5, atol=1e-5)


# Ratios max(D) / epsilon for float32, float64 and logarithms.
@pytest.mark.parametrize("ratio", [5, 40, 300, 2000])
def test_any_epsilon_is_safe(ratio):
    ground, random = GENERAL["dense"], np.random.default_rng(4)
    how = Sinkhorn(ground.values.max() / ratio, iterations=200)
    source = oracle.histograms(random, 10, 11, "pruned")
    target = oracle.histograms(random, 10, 11, "dense")
    value, f, g = value_and_gradients(source, target, ground, sinkhorn=how)
    assert np.isfinite(f).all()
    assert np.isfinite(g).all()
    expected = oracle.wasserstein(source, target, ground)
    np.testing.assert_allclose(value, expected, atol=2e-6)


def test_more_work_is_closer():
    ground, random = GENERAL["dense"], np.random.default_rng(5)
    source = oracle.histograms(random, 50, 11, "dense")
    target = oracle.histograms(random, 50, 11, "dense")
    exact = oracle.wasserstein(source, target, ground)
    gaps = [
        np.mean(exact - wasserstein(source, target, ground, sinkhorn=how))
        for how in (
            Sinkhorn(iterations=20, tolerance=0.0, exchanges=0),
            Sinkhorn(iterations=20, tolerance=0.0, exchanges=1),
            Sinkhorn(iterations=20, tolerance=0.0, exchanges=4),
        )
    ]
    assert gaps[0] > 3 * gaps[1] > 6 * gaps[2] > 0.0


@pytest.mark.parametrize(
    "name", ["star", "severity", "line", "squared line", "dense"]
)
def test_a_small_step_changes_the_value_by_the_gradient(name):
    ground = {**EXACT, **GENERAL}[name]
    random = np.random.default_rng(6)
    source = oracle.histograms(random, 8, len(ground), "dense")
    target = oracle.histograms(random, 8, len(ground), "dense")
    _, f, g = value_and_gradients(source, target, ground)
    step = oracle.histograms(random, 8, len(ground), "dense") - source
    size = 1e-4  # Too small to pass a kink, checked below by both sides.
    far = [
        oracle.wasserstein(source + sign * size * step, target, ground)
        for sign in (1, -1)
    ]
    slope = (far[0] - far[1]) / (2 * size)
    np.testing.assert_allclose(np.sum(f * step, axis=1), slope, atol=2e-3)
    step = oracle.histograms(random, 8, len(ground), "dense") - target
    far = [
        oracle.wasserstein(source, target + sign * size * step, ground)
        for sign in (1, -1)
    ]
    slope = (far[0] - far[1]) / (2 * size)
    np.testing.assert_allclose(np.sum(g * step, axis=1), slope, atol=2e-3)


@pytest.mark.parametrize("factor", [0.5, 1.7])
@pytest.mark.parametrize("name", [*PARTIAL, "dense", "squared line"])
def test_unequal_masses_move_as_eq_1_says(name, factor):
    random = np.random.default_rng(8)
    ground = {**EXACT, **GENERAL, **PARTIAL}[name]
    source = oracle.histograms(random, 6, len(ground), "peaked")
    target = factor * oracle.histograms(random, 6, len(ground), "pruned")
    value, f, g = value_and_gradients(source, target, ground, partial=True)
    expected = oracle.partial(source, target, ground.values)
    scale = ground.values.max()
    np.testing.assert_allclose(value / scale, expected / scale, atol=2e-6)
    assert np.isfinite(f).all()
    assert np.isfinite(g).all()


@pytest.mark.parametrize("name", ["star", "severity", "deep", "dense"])
def test_partial_changes_nothing_on_equal_masses(name):
    ground = {**EXACT, **GENERAL, **PARTIAL}[name]
    random = np.random.default_rng(9)
    source = oracle.histograms(random, 20, len(ground), "dense")
    target = oracle.histograms(random, 20, len(ground), "pruned")
    whole = wasserstein(source, target, ground).numpy()
    part = wasserstein(source, target, ground, partial=True).numpy()
    np.testing.assert_allclose(part, whole, rtol=1e-5)


@pytest.mark.parametrize("name", ["step", "squared severity", "deep", "path"])
@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_unequal_masses_have_the_gradient_of_what_moves(name, factor):
    ground, random = PARTIAL[name], np.random.default_rng(13)
    source = oracle.histograms(random, 8, len(ground), "dense")
    target = factor * oracle.histograms(random, 8, len(ground), "dense")
    _, f, g = value_and_gradients(source, target, ground, partial=True)
    for_source = 1e-4 * random.normal(size=source.shape) * source
    for_target = 1e-4 * random.normal(size=target.shape) * target
    for step, other, gradient in ((for_source, 0, f), (0, for_target, g)):
        ahead = oracle.partial(source + step, target + other, ground.values)
        behind = oracle.partial(source - step, target - other, ground.values)
        found = np.sum(gradient * (step + other), axis=1)
        np.testing.assert_allclose(found, (ahead - behind) / 2, atol=2e-6)


def test_too_deep_a_tree_takes_the_general_solver():
    random = np.random.default_rng(14)
    path = GroundMatrix.from_line(random.random(17))
    source = oracle.histograms(random, 4, 17, "peaked")
    target = 0.5 * oracle.histograms(random, 4, 17, "dense")
    assert path.kind == "tree"
    assert partial_tree_cost(source, target, path.structure) is None
    value = wasserstein(source, target, path, partial=True)
    expected = oracle.partial(source, target, path.values)
    np.testing.assert_allclose(value, expected, atol=5e-6)


@pytest.mark.parametrize("name", [*EXACT, *GENERAL])
def test_zero_rows_stay_finite(name):
    ground = {**EXACT, **GENERAL}[name]
    zero = np.zeros((2, len(ground)), np.float32)
    corner = np.eye(len(ground), dtype=np.float32)[:2]
    for source, target in ((zero, zero), (corner, zero), (corner, corner)):
        for each in value_and_gradients(source, target, ground):
            assert np.isfinite(each).all()


def test_many_pixels_in_blocks_equal_few():
    ground, random = GENERAL["dense"], np.random.default_rng(10)
    source = oracle.histograms(random, 9000, 11, "peaked")
    target = oracle.histograms(random, 9000, 11, "pruned")
    how = Sinkhorn(tolerance=0.0)
    solve = tf.function(lambda s, t: wasserstein(s, t, ground, sinkhorn=how))
    together = solve(source, target).numpy()
    apart = [solve(source[k : k + 50], target[k : k + 50]) for k in (0, 8950)]
    np.testing.assert_allclose(together[:50], apart[0], atol=1e-6)
    np.testing.assert_allclose(together[-50:], apart[1], atol=1e-6)


@pytest.mark.parametrize("name", ["severity", "squared line", "dense"])
def test_xla_agrees(name):
    ground, random = {**EXACT, **GENERAL}[name], np.random.default_rng(11)
    source = oracle.histograms(random, 12, len(ground), "dense")
    target = oracle.histograms(random, 12, len(ground), "pruned")
    compiled = tf.function(
        lambda s, t: value_and_gradient(s, t, ground), jit_compile=True
    )

    def value_and_gradient(s, t, ground):
        with tf.GradientTape() as tape:
            tape.watch(s)
            value = wasserstein(s, t, ground)
        return value, tape.gradient(value, s)

    value, gradient = compiled(tf.constant(source), tf.constant(target))
    expected, f, _ = value_and_gradients(source, target, ground)
    np.testing.assert_allclose(value, expected, atol=5e-6)
    np.testing.assert_allclose(gradient, f, atol=5e-6)


def test_150_classes():
    random = np.random.default_rng(12)
    source = oracle.histograms(random, 4, 150, "peaked")
    target = oracle.histograms(random, 4, 150, "pruned")
    line = GroundMatrix.from_line(random.normal(size=150))
    for ground in (line, line.power(2), GroundMatrix(dense_matrix(150))):
        value = wasserstein(source, target, ground).numpy()
        expected = oracle.wasserstein(source, target, ground)
        np.testing.assert_allclose(value, expected, rtol=1e-4)


laws = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(["severity", "squared line"])


def pair(seed, ground):
    random = np.random.default_rng(seed)
    kind = KINDS[seed % 3]
    rows = [oracle.histograms(random, 3, len(ground), kind) for _ in "st"]
    return *rows, random


@given(seeds, names)
@laws
def test_exchanging_the_roles_transposes_the_matrix(seed, name):
    ground = EXACT[name]
    source, target, _ = pair(seed, ground)
    swapped = wasserstein(target, source, GroundMatrix(ground.values.T))
    expected = wasserstein(source, target, ground)
    np.testing.assert_allclose(swapped, expected, rtol=1e-4, atol=2e-5)


@given(seeds, names, st.floats(0.01, 100))
@laws
def test_it_scales_with_the_costs_and_with_the_masses(seed, name, factor):
    ground = EXACT[name]
    source, target, _ = pair(seed, ground)
    expected = factor * wasserstein(source, target, ground).numpy()
    dearer = wasserstein(source, target, GroundMatrix(factor * ground.values))
    atol = 1e-5 * factor
    np.testing.assert_allclose(dearer, expected, rtol=1e-4, atol=atol)
    factor = np.float32(factor)
    heavier = wasserstein(factor * source, factor * target, ground)
    np.testing.assert_allclose(heavier, expected, rtol=1e-4, atol=atol)


@given(seeds, names)
@laws
def test_the_order_of_the_classes_does_not_matter(seed, name):
    ground = EXACT[name]
    source, target, random = pair(seed, ground)
    order = random.permutation(len(ground))
    moved = GroundMatrix(ground.values[np.ix_(order, order)])
    permuted = wasserstein(source[:, order], target[:, order], moved)
    expected = wasserstein(source, target, ground)
    np.testing.assert_allclose(permuted, expected, rtol=1e-4, atol=2e-5)


@given(seeds, names)
@laws
def test_diracs_cost_their_entry_of_d(seed, name):
    ground = EXACT[name]
    true, predicted = np.random.default_rng(seed).integers(
        0, len(ground), (2, 4)
    )
    corners = np.eye(len(ground), dtype=np.float32)
    value = wasserstein(corners[predicted], corners[true], ground)
    expected = ground.values[true, predicted]
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_a_solver_needs_its_structure():
    assert choose_solver(EXACT["line"], "sinkhorn") == "sinkhorn"
    with pytest.raises(ValueError, match="has the structure 'none'"):
        choose_solver(GENERAL["dense"], "tree")
    with pytest.raises(ValueError, match="Expected one of"):
        choose_solver(EXACT["line"], "simplex")


@pytest.mark.parametrize(
    "wrong",
    [
        {"epsilon": 0.0},
        {"epsilon": -1.0},
        {"epsilon": np.inf},
        {"iterations": 0},
        {"tolerance": -0.1},
        {"exchanges": -1},
    ],
)
def test_senseless_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}`"):
        Sinkhorn(**wrong)


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1e31])
@pytest.mark.parametrize("solver", ["auto", "sinkhorn"])
@pytest.mark.parametrize("name", ["star", "severity", "squared line", "dense"])
def test_the_unit_of_d_is_the_unit_of_the_distance(name, solver, factor):
    ground, random = (EXACT | GENERAL)[name], np.random.default_rng(9)
    source = oracle.histograms(random, 20, len(ground), "dense")
    target = oracle.histograms(random, 20, len(ground), "pruned")
    scaled = GroundMatrix(ground.values * factor)
    options = {"solver": solver}
    value, f, g = value_and_gradients(source, target, ground, **options)
    found = value_and_gradients(source, target, scaled, **options)
    np.testing.assert_allclose(found[0] / factor, value, rtol=1e-4)
    np.testing.assert_allclose(found[1] / factor, f, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[2] / factor, g, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("classes", [3, 11, 60])
@pytest.mark.parametrize("source", ["dense", "pruned"])
def test_pot_is_exact_with_the_gradient_of_the_dual(classes, source):
    random = np.random.default_rng(classes)
    ground = GroundMatrix(dense_matrix(classes))
    source = oracle.histograms(random, 12, classes, source)
    target = oracle.histograms(random, 12, classes, "pruned")
    value, f, g = value_and_gradients(source, target, ground, solver="pot")
    expected = oracle.wasserstein(source, target, ground)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    # Feasible potentials that reach the value are optimal, at zeros too.
    room = ground.values.T - f[:, :, None] - g[:, None, :]
    assert room.min() > -1e-5
    dual = (f * source).sum(-1) + (g * target).sum(-1)
    np.testing.assert_allclose(dual, expected, rtol=1e-5)
    run = tf.function(lambda s, t: wasserstein(s, t, ground, "pot"))
    np.testing.assert_allclose(run(source, target), expected, rtol=1e-5)


def test_pot_moves_partial_masses_and_none():
    ground = GroundMatrix([[0, 1], [4, 0]])
    s, t = np.float32([[0.75, 0.25]] * 2), np.float32([[0.0, 0.5], [0, 0]])
    value = wasserstein(s, t, ground, "pot", partial=True)
    np.testing.assert_allclose(value, [0.25 * 4, 0.0], atol=1e-6)
    nothing = wasserstein(0 * s, 0 * t, ground, "pot")
    assert nothing.numpy().tolist() == [0.0, 0.0]


def test_pot_has_to_be_installed(monkeypatch):
    monkeypatch.setattr(pot, "is_installed", lambda: False)
    with pytest.raises(ValueError, match="pip install POT"):
        choose_solver(GENERAL["dense"], "pot")
