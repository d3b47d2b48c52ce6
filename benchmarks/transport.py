"""Wasserstein distances of soft targets, by pixel: ours and the peers'.

    python -m benchmarks.transport [--json FILE]

Every solver gets the same histograms and the same D; its time stands beside
its worst relative error against the linear programme (POT's `ot.emd2`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import ot
import tensorflow as tf

from benchmarks import harness, peers
from wseg_tf.classes import CITYSCAPES
from wseg_tf.ground import GroundMatrix
from wseg_tf.transport import Sinkhorn, wasserstein

CLASSES = 19
CHECKED = 128  # Pixels whose exact distance the linear programme gives.
PIXELS = 16384
MEGAPIXEL = 2**20


def histograms(pixels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Makes predictions, and pruned soft targets with many zeros."""
    random = np.random.default_rng(seed)
    logits = 2.0 * random.normal(size=(pixels, CLASSES))
    source = np.exp(logits - logits.max(-1, keepdims=True))
    target = source * random.gamma(1.0, 1.0, source.shape)
    target = target**2
    for masses in (source, target):
        masses /= masses.sum(-1, keepdims=True)
    target[target < 0.02] = 0.0
    target /= target.sum(-1, keepdims=True)
    return source.astype(np.float32), target.astype(np.float32)


def unstructured() -> GroundMatrix:
    """An asymmetric D that is no tree and no line, entries 0..4."""
    random = np.random.default_rng(3)
    values = np.round(random.uniform(0.5, 4.0, (CLASSES, CLASSES)), 2)
    np.fill_diagonal(values, 0.0)
    return GroundMatrix(values)


def exact(source: np.ndarray, target: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Returns the optima of the linear programmes."""
    cost = np.ascontiguousarray(D.T)  # From source to target.
    pairs = zip(balanced(source), balanced(target), strict=True)
    return np.array([ot.emd2(s, t, cost) for s, t in pairs])


def balanced(masses: np.ndarray) -> np.ndarray:
    """Returns the masses in float64, each row summing to 1."""
    masses = masses.astype(np.float64)
    return masses / masses.sum(-1, keepdims=True)


def distances(ground: GroundMatrix, **how: Any) -> Callable[..., Any]:
    """Returns the compiled distances."""
    return tf.function(lambda s, t: wasserstein(s, t, ground, **how))


def with_gradient(ground: GroundMatrix, **how: Any) -> Callable[..., Any]:
    """Returns the compiled distances and their gradient to predictions."""

    @tf.function
    def step(s: Any, t: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(s)
            value = wasserstein(s, t, ground, **how)
        return value, tape.gradient(value, s)

    return step


def add_ours(
    report: harness.Report,
    name: str,
    ground: GroundMatrix,
    source: np.ndarray,
    target: np.ndarray,
    truth: np.ndarray,
    **how: Any,
) -> None:
    """Adds our distances, with and without gradient, and their error."""
    s, t = tf.constant(source), tf.constant(target)
    value, both = distances(ground, **how), with_gradient(ground, **how)
    report.add(f"ours, {name}", lambda: value(s, t), len(source))
    report.add(f"ours, {name}, and gradient", lambda: both(s, t), len(source))
    found = value(s[:CHECKED], t[:CHECKED]).numpy()
    error = np.abs(found - truth) / truth
    report.facts[f"{ERROR}ours, {name}"] = float(error.max())


def add_linear_programme(
    report: harness.Report, source: np.ndarray, target: np.ndarray, D: Any
) -> None:
    """Adds the exact solver of POT, one pixel after another."""
    part = source[:CHECKED], target[:CHECKED]
    report.add("POT, ot.emd2 (exact)", lambda: exact(*part, D), units=CHECKED)


def add_floor(report: harness.Report, source: np.ndarray) -> None:
    """Adds one Sinkhorn iteration's products, and a large product."""
    s = tf.constant(source)
    kernel = tf.constant(np.eye(CLASSES), tf.float32)
    large = tf.random.normal([1024, 1024])

    def products(masses: Any) -> Any:
        return tf.matmul(tf.matmul(masses, kernel), kernel)

    iteration = tf.function(products)
    square = tf.function(lambda: tf.matmul(large, large))
    name = "floor: two [P, N] x [N, N] products"
    report.add(name, lambda: iteration(s), len(source))
    report.add("floor: one 1024^3 product", square)


def settings(ground: GroundMatrix) -> dict[str, Sinkhorn]:
    """Returns how hard our general solver is made to try."""
    fine = float(ground.values.max()) / 60
    return {
        "Sinkhorn, 10": Sinkhorn(iterations=10, exchanges=0),
        "Sinkhorn, 100": Sinkhorn(exchanges=0),
        "Sinkhorn, 120, max(D) / 60": Sinkhorn(fine, 120, exchanges=0),
        "Sinkhorn, 10, 4 exchanges": Sinkhorn(iterations=10, exchanges=4),
        "Sinkhorn, 30, 4 exchanges": Sinkhorn(iterations=30, exchanges=4),
        "Sinkhorn, 100, exact (default)": Sinkhorn(),
    }


CLOSED = "closed form"
ERROR = "worst relative error, "


def compare(ground: GroundMatrix, title: str, rounds: int) -> Any:
    """Runs every solver on one D."""
    source, target = histograms(PIXELS)
    truth = exact(source[:CHECKED], target[:CHECKED], ground.values)
    report = harness.Report(f"{title}, N = {CLASSES}, time by pixel")
    setup = (ground, source, target, truth)
    for name, how in settings(ground).items():
        add_ours(report, name, *setup, solver="sinkhorn", sinkhorn=how)
    if ground.kind != "none":
        add_ours(report, CLOSED, *setup)
    add_linear_programme(report, source, target, ground.values)
    add_floor(report, source)
    arrays = {
        "source": balanced(source[:4096]),
        "target": balanced(target[:4096]),
        "ground": ground.values,
        "exact": truth,
    }
    pixels = {"geomloss": 32, "POT, solve": 128, "POT, kernel": 512}
    client = None
    if peers.Peers.are_installed():
        client = peers.Peers("benchmarks.peer_transport", arrays)
        report.facts |= client.facts
        report.absent |= client.absent
        for name in client.names:
            units = [n for key, n in pixels.items() if name.startswith(key)]
            report.add_case(name, client.case(name), (units or [4096])[0])
    else:
        print(peers.HOW)
    report.run(rounds)
    report.goals += goals(report)
    add_bounds(report)
    if client:
        client.close()
    harness.show(report, "us", 1e6)
    return report


def goals(report: harness.Report) -> list[harness.Goal]:
    """Faster than each peer at no larger worst error, with our gradient.

    Against each peer stands the fastest of our settings whose worst error is
    no larger than the peer's; where D has a structure, its closed form is one.
    """
    asked = []
    for name in report.cases:
        error = report.facts.get(ERROR + name)
        if name.startswith("ours") or error is None:
            continue
        ours = [
            fact.removeprefix(ERROR)
            for fact, value in report.facts.items()
            if fact.startswith(f"{ERROR}ours") and value <= error
        ]
        if not ours:
            print(f"None of our settings is as exact as {name}.")
            continue
        best = min(ours, key=lambda case: report.median(case))
        limit = 50.0 if name.startswith("POT, solve_batch") else 1.0
        asked.append(
            harness.Goal(
                f"{name}: {limit:.0f}x, by {best.removeprefix('ours, ')}",
                name,
                f"{best}, and gradient",
                limit,
                at_least=True,
            )
        )
    return asked


def add_bounds(report: harness.Report) -> None:
    """Says what the general solver costs in products of its iterations."""
    floor = "floor: two [P, N] x [N, N] products"
    seconds = report.median(floor)
    report.facts |= {
        "rate of the thin products, GFLOP/s": 4 * CLASSES**2 / seconds / 1e9,
        "rate of a large product, GFLOP/s": 2
        * 1024**3
        / report.median("floor: one 1024^3 product")
        / 1e9,
    }
    for name in report.cases:
        if name.startswith("ours, Sinkhorn"):
            fact = f"{name}, in iterations' products"
            report.facts[fact] = report.ratio(name, floor)


def many_classes(rounds: int) -> harness.Report:
    """Compares the solvers of D without structure by the number of classes."""
    report = harness.Report("Distances and gradients, D without structure")
    random = np.random.default_rng(5)
    for classes, pixels in ((19, 2000), (40, 500), (80, 100), (150, 30)):
        values = random.uniform(0.5, 4.0, (classes, classes))
        np.fill_diagonal(values, 0.0)
        ground = GroundMatrix(values)
        source = random.dirichlet(np.ones(classes), pixels)
        target = random.dirichlet(np.ones(classes), pixels)
        target[target < np.quantile(target, 0.8, axis=1, keepdims=True)] = 0.0
        target /= target.sum(axis=1, keepdims=True)
        masses = (
            tf.constant(source, tf.float32),
            tf.constant(target, tf.float32),
        )
        for solver in ("sinkhorn", "pot"):
            step = with_gradient(ground, solver=solver)
            name = f"{solver}, {classes} classes"
            report.add(name, lambda step=step, m=masses: step(*m), pixels)
    report.run(rounds)
    for name in report.cases:
        if name.startswith("sinkhorn"):
            other = name.replace("sinkhorn", "pot")
            report.facts[f"{name}: times pot"] = report.ratio(name, other)
    harness.show(report, "us", 1e6)
    return report


def peak_bytes() -> int:
    """Returns the process' largest resident memory since the last reset."""
    with open("/proc/self/status") as lines:
        return next(
            int(line.split()[1]) * 1024
            for line in lines
            if line.startswith("VmHWM")
        )


def megapixel() -> None:
    """Prints the bytes that a megapixel with gradient adds at its peak."""
    step = with_gradient(unstructured(), solver="sinkhorn")
    source, target = histograms(4096)
    step(tf.constant(source), tf.constant(target))
    repeats = MEGAPIXEL // 4096
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # From here on the peak is counted anew.
    before = peak_bytes()
    s = tf.constant(np.tile(source, (repeats, 1)))
    t = tf.constant(np.tile(target, (repeats, 1)))
    step(s, t)
    print(f"BYTES {peak_bytes() - before}")


def megapixel_memory() -> float:
    """Runs `megapixel` in a process of its own; returns its bytes."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.transport", "--megapixel"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    return float(next(x for x in lines if x.startswith("BYTES"))[6:])


def main() -> None:
    """Measures, prints and writes."""
    options = harness.arguments(__doc__, rounds=5)
    memory = megapixel_memory()
    reports = [
        compare(unstructured(), "D without structure", options.rounds),
        compare(
            GroundMatrix.severity_aware(CITYSCAPES),
            "D of two levels (severity-aware, a tree)",
            options.rounds,
        ),
    ]
    reports.append(many_classes(options.rounds))
    name = "a megapixel with gradient adds at its peak, MB"
    reports[0].facts[name] = memory / 2**20
    verdict = "met" if memory <= 2**30 else "MISSED"
    print(f"\nmegapixel within 1024 MB: {memory / 2**20:.0f} MB {verdict}")
    harness.write(reports, options.json)


if __name__ == "__main__":
    if "--megapixel" in sys.argv:
        megapixel()
    else:
        main()
