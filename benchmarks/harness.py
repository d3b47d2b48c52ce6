"""How everything is measured: in turn, in one run, compared round by round.

The machine may be busy, so no time stands alone: every round runs each case
once, and a ratio is the median over rounds of the two times of one round. The
ratio of the fastest times is shown too: load swells it least.
This module imports NumPy alone: peers use it in environments of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Case = Callable[[], float]


def stopwatch(work: Callable[[], Any]) -> Case:
    """Makes a case of a function: running it returns its seconds."""

    def run() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return run


@dataclass
class Goal:
    """What a ratio of two cases should be, and what it is."""

    text: str
    numerator: str
    denominator: str
    limit: float
    at_least: bool = False

    def is_met(self, ratio: float) -> bool:
        """Whether the ratio keeps the limit."""
        return ratio >= self.limit if self.at_least else ratio <= self.limit


@dataclass
class Report:
    """Cases, their times and what is asked of them."""

    title: str
    cases: dict[str, Case] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    units: dict[str, float] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, work: Callable[[], Any], units: float = 1) -> None:
        """Adds a case; one that fails on its first run is absent, with why.

        Args:
            name: Of the case.
            work: What is timed.
            units: How many units (pixels, say) one run covers; times are
                divided by it.
        """
        self.add_case(name, stopwatch(work), units)

    def add_case(self, name: str, case: Case, units: float = 1) -> None:
        """Adds a case that times itself."""
        try:
            case()
            case()
        except Exception as error:  # A peer's failure is a result.
            lines = str(error).strip().splitlines() or [""]
            self.absent[name] = f"{type(error).__name__}: {lines[0][:120]}"
            return
        self.cases[name] = case
        self.units[name] = units

    def run(self, rounds: int, warm: bool = False) -> None:
        """Times every case once a round, in turn.

        Args:
            rounds: How often.
            warm: Whether each case runs once unmeasured before, so that what
                it reads is in the caches whatever the case before it was.
        """
        self.times = {name: [] for name in self.cases}
        for _ in range(rounds):
            for name, case in self.cases.items():
                time.sleep(0.02)  # The last case's threads may still spin.
                if warm:
                    case()
                self.times[name].append(case() / self.units[name])

    def median(self, name: str) -> float:
        """Returns the median seconds of a case, by unit."""
        return statistics.median(self.times[name])

    def ratio(self, numerator: str, denominator: str) -> float:
        """Returns the median over rounds of the ratio of two cases."""
        pairs = zip(self.times[numerator], self.times[denominator], strict=True)
        return statistics.median(a / b for a, b in pairs)

    def fastest_ratio(self, numerator: str, denominator: str) -> float:
        """Returns the ratio of the fastest times of two cases."""
        return min(self.times[numerator]) / min(self.times[denominator])

    def results(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        goals = []
        for goal in self.goals:
            missing = {goal.numerator, goal.denominator} - set(self.times)
            ratio = (
                None
                if missing
                else self.ratio(goal.numerator, goal.denominator)
            )
            goals.append(
                {
                    "goal": goal.text,
                    "ratio": ratio,
                    "fastest_ratio": None
                    if missing
                    else self.fastest_ratio(goal.numerator, goal.denominator),
                    "limit": goal.limit,
                    "at_least": goal.at_least,
                    "met": None if ratio is None else goal.is_met(ratio),
                    "missing": sorted(missing),
                }
            )
        return {
            "title": self.title,
            "machine": machine(),
            "facts": self.facts,
            "cases": {
                name: {
                    "median_seconds": self.median(name),
                    "fastest_seconds": min(times),
                    "rounds": len(times),
                }
                for name, times in self.times.items()
            },
            "absent": self.absent,
            "goals": goals,
        }


def machine() -> dict[str, Any]:
    """Says what this ran on, without naming the machine."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            named = [line for line in lines if line.startswith("model name")]
        model = named[0].split(":", 1)[1].strip() if named else model
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
    }


def show(report: Report, unit: str = "ms", scale: float = 1e3) -> None:
    """Prints a report for people."""
    results = report.results()
    where = results["machine"]
    print(f"\n{report.title}")
    print(
        f"{where['processor']}, {where['cores']} cores, "
        f"load {where['load']:.1f}, Python {where['python']}"
    )
    print(f"\n{'case':58s} {'median ' + unit:>12s} {'fastest':>9s}")
    for name, case in results["cases"].items():
        median = scale * case["median_seconds"]
        fastest = scale * case["fastest_seconds"]
        print(f"{name:58s} {median:12.4g} {fastest:9.4g}")
    for name, reason in report.absent.items():
        print(f"{name:58s} absent: {reason}")
    if report.facts:
        print()
    for name, value in report.facts.items():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        print(f"{name}: {shown}")
    if results["goals"]:
        print(f"\n{'goal':66s} {'measured':>8s} {'fastest':>8s}")
    for goal in results["goals"]:
        if goal["ratio"] is None:
            print(f"{goal['goal']:66s}        - absent: {goal['missing'][0]}")
            continue
        verdict = "met" if goal["met"] else "MISSED"
        fastest = f"{goal['fastest_ratio']:8.3g}"
        print(f"{goal['goal']:66s} {goal['ratio']:8.3g} {fastest} {verdict}")


def arguments(description: str, rounds: int) -> argparse.Namespace:
    """Parses the command line that all benchmarks share."""
    return parser(description, rounds).parse_args()


def parser(description: str, rounds: int) -> argparse.ArgumentParser:
    """Returns the parser of what all benchmarks share."""
    shared = argparse.ArgumentParser(description=description)
    shared.add_argument("--json", metavar="FILE", help="write results here")
    shared.add_argument("--rounds", type=int, default=rounds)
    return shared


def write(reports: list[Report], path: str | None) -> None:
    """Writes the results as JSON, if a path is given."""
    if path:
        with open(path, "w") as file:
            json.dump([report.results() for report in reports], file, indent=1)
            file.write("\n")


def copy_bandwidth(rounds: int = 7, megabytes: int = 256) -> float:
    """Measures bytes a second that all cores together read and write."""
    workers = len(os.sched_getaffinity(0))
    source = np.ones(megabytes * 2**20 // 4, np.float32)
    target = np.empty_like(source)
    parts = [
        (a, b)
        for a, b in zip(
            np.array_split(target, workers),
            np.array_split(source, workers),
            strict=True,
        )
    ]
    best = float("inf")
    with ThreadPoolExecutor(workers) as pool:
        for _ in range(rounds):
            start = time.perf_counter()
            list(pool.map(lambda part: np.copyto(*part), parts))
            best = min(best, time.perf_counter() - start)
    return 2 * source.nbytes / best


def street_batch(
    classes: int = 19, void: int = 255, seed: int = 0, batch: int = 2
) -> Mapping[str, np.ndarray]:
    """Makes `[B, 360, 480]` labels in patches, as streets have, and logits.

    Returns:
        `labels` uint8 with 5 % void, `logits` float32 `[B, 360, 480, N]`,
        `predictions` uint8, right at about nine pixels of ten.
    """
    random = np.random.default_rng(seed)
    patches = random.integers(0, classes, (batch, 12, 16))
    labels = np.kron(patches, np.ones((1, 30, 30), int)).astype(np.uint8)
    wrong = random.random(labels.shape) < 0.1
    other = random.integers(0, classes, labels.shape)
    predictions = np.where(wrong, other, labels).astype(np.uint8)
    logits = random.normal(size=(*labels.shape, classes)).astype(np.float32)
    np.put_along_axis(logits, predictions[..., None].astype(int), 8.0, axis=-1)
    labels[random.random(labels.shape) < 0.05] = void
    return {"labels": labels, "logits": logits, "predictions": predictions}
