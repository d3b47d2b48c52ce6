"""Random logits of every size through every loss: finite in, finite out.

At void pixels they may be anything.

python -m tests.faults.numbers --count 1000000 --seed 0
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tests.wseg_tf.losses.every import LOSSES, NONE, VOID, N, step_of
from wseg_tf.losses import WassersteinLoss
from wseg_tf.transport import Sinkhorn

BATCH = 20_000
TYPES = ("float32", "bfloat16", "float16")
TARGETS = ("ids", "soft", "one-hot")
ALL = {
    **LOSSES,
    "wasserstein_sinkhorn": lambda **k: WassersteinLoss(
        NONE, sinkhorn=Sinkhorn(), **k
    ),
}
# Logarithms of what logits are multiplied by.
SCALES = (-4.0, 4.5)


@dataclass(frozen=True)
class Finding:
    """What came of one loss, policy and kind of target.

    Args:
        name: All three.
        count: Vectors that were tried.
        faults: Vectors whose value or gradient is not finite.
        example: Logits and target of one of them.
    """

    name: str
    count: int
    faults: int
    example: str = ""


def logits_of(random: np.random.Generator, count: int, kind: str) -> Any:
    """Returns logits of all sizes, ties and masked classes among them."""
    scale = 10 ** random.uniform(*SCALES, [count, 1])
    values = random.normal(size=[count, N]) * scale
    ties = random.uniform(size=count) < 0.1
    values[ties, 1] = values[ties, 0]
    values[random.uniform(size=count) < 0.02] = 0.0
    largest = tf.as_dtype(kind).max
    return tf.constant(np.clip(values, -largest, largest), kind)


def targets_of(random: np.random.Generator, count: int, kind: str) -> Any:
    """Returns targets of a kind, some of them void."""
    labels = random.integers(0, N, count)
    void = random.uniform(size=count) < 0.1
    if kind == "ids":
        return np.where(void, VOID, labels).astype(np.int32)
    share = np.eye(N)[labels]
    if kind == "soft":
        # From even shares to almost all of the mass on one class.
        concentration = 10 ** random.uniform(-2, 1, [count, 1])
        share = random.gamma(concentration, size=[count, N]) + 1e-30
        share /= share.sum(-1, keepdims=True)
    share[void] = 0.0
    return share.astype(np.float32)


def search(
    count: int, seed: int, chosen: slice = slice(None)
) -> Iterator[Finding]:
    """Tries every loss, policy and kind of target.

    Args:
        count: Vectors for each.
        seed: Draws them.
        chosen: Which of the combinations; all by default.
    """
    combinations = [*itertools.product(ALL, TYPES, TARGETS)]
    for name, dtype, target in combinations[chosen]:
        loss = ALL[name](from_logits=True, ignore_class=VOID)

        step = step_of(loss, "graph")
        random = np.random.default_rng(seed)
        faults, example = 0, ""
        for _ in range(max(1, count // BATCH)):
            size = min(count, BATCH)
            y_true = targets_of(random, size, target)
            y_pred = logits_of(random, size, dtype)
            # Void pixels may hold anything.
            void = (y_true == VOID) if target == "ids" else ~y_true.any(-1)
            anything = random.choice([0.0, np.nan, np.inf, -np.inf], size)
            y_pred += tf.cast(np.where(void, anything, 0.0)[:, None], dtype)
            weight = random.uniform(0, 2, size).astype(np.float32)
            weight[: size // 10] = 0.0
            value, gradient = step(y_true[None], y_pred[None], weight[None])
            bad = ~np.isfinite(gradient[0].astype(np.float32)).all(-1)
            # Where the value alone is none, any of them may be to blame.
            bad |= not np.isfinite(value)
            faults += int(bad.sum())
            if bad.any() and not example:
                place = int(np.argmax(bad))
                row = tf.cast(y_pred[place], tf.float32).numpy().tolist()
                example = f"{row} for {np.asarray(y_true)[place].tolist()}"
        yield Finding(f"{name}, {dtype}, {target}", count, faults, example)


def main() -> None:
    """Runs the search; exit code 1 if anything is not finite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--every", type=int, default=1, help="each so many of 144 combinations"
    )
    options = parser.parse_args()
    tried = bad = 0
    chosen = slice(None, None, options.every)
    for found in search(options.count, options.seed, chosen):
        tried, bad = tried + found.count, bad + found.faults
        if found.faults:
            print(f"{found.name}: {found.faults}, {found.example}", flush=True)
    print(f"{tried} vectors, {bad} not finite")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
