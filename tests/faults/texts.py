"""Feeds texts with something wrong to whatever reads them.

    python -m tests.faults.texts --count 5000 --seed 0

What is refused is refused in one sentence; what is read holds what its types
and ranges promise. Nothing takes longer than `MOST_SECONDS`, or much memory.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.faults.kinds import kinds
from tests.faults.oracle import attempt
from tests.wseg_tf.data.fuzz import (
    MOST_MEGABYTES,
    peak_megabytes,
)


@dataclass
class Found:
    """What became of the inputs.

    Args:
        outcomes: How many, by kind and outcome.
        faults: By what and where, the first of them in full.
        times: How often each occurred.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)

    def table(self) -> str:
        """Returns the outcomes as Markdown."""
        rows = ["| input | tried | refused | accepted | faults |"]
        rows.append("|---|---:|---:|---:|---:|")
        for name in dict.fromkeys(name for name, _ in self.outcomes):
            own = [
                self.outcomes[name, outcome]
                for outcome in ("refused", "accepted", "fault")
            ]
            rows.append(
                f"| {name} | {sum(own)} | {own[0]} | {own[1]} | {own[2]} |"
            )
        return "\n".join(rows)


def campaign(count: int, seed: int = 0, only: str = "") -> Found:
    """Tries so many inputs, of each kind in turn.

    Args:
        count: How many; an input follows from `seed` and its number.
        seed: Another seed gives other inputs.
        only: Part of the names of the kinds to try. Defaults to all.

    Returns:
        What became of them.
    """
    found = Found()
    importlib.import_module("apache_beam")  # Takes seconds, once.
    with tempfile.TemporaryDirectory() as folder:
        chosen = [each for each in kinds(Path(folder)) if only in each.name]
        before = peak_megabytes()
        for number in range(count):
            kind = chosen[number % len(chosen)]
            given = kind.make(np.random.default_rng([seed, number]))
            outcome, what, story = attempt(kind, given)
            more = peak_megabytes() - before
            if more > MOST_MEGABYTES:
                before += more
                outcome, what, story = "fault", "memory", f"{more:.0f} MB more"
            found.outcomes[kind.name, outcome] += 1
            if outcome == "fault":
                what = f"{kind.name}: {what}"
                found.times[what] += 1
                found.faults.setdefault(
                    what, f"input {number}: {given[:2000]!r}\n{story}"
                )
    return found


def main() -> None:
    """Prints what became of the inputs, and each fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of a kind's name")
    options = parser.parse_args()
    found = campaign(options.count, options.seed, options.only)
    print(found.table())
    for what, story in found.faults.items():
        print(f"\n{found.times[what]} x {what}\n{story}")
    sys.exit(1 if found.faults else 0)


if __name__ == "__main__":
    main()
