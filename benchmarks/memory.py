"""The memory of a long run of the pipeline, from the first image to the push.

python -m benchmarks.memory [--images 10000] [--steps 2000] [--plot FILE]

Sums the resident memory of the run's processes every half second, and says
for each step of the pipeline how much it grows in the later half of the step.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
EVERY = 0.5  # seconds
BATCH = 8
EVALUATED = 0.1  # of the images
STEP = re.compile(r"^\[\d+/\d+\] (\w+)$")
MEGABYTE = 2**20


@dataclass
class Watched:
    """A run's memory over time.

    Args:
        seconds: When it was looked at.
        megabytes: What its processes held.
        steps: The pipeline's steps, and when each began.
    """

    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    steps: list[tuple[str, float]] = field(default_factory=list)


def family(process: int) -> list[int]:
    """Returns a process and all that it started."""
    own = [process]
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        for child in thread.read_text().split():
            own += family(int(child))
    return own


def resident(process: int) -> float:
    """Returns the megabytes that a process and its children hold."""
    pages = 0
    for each in family(process):
        pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


def watch(arguments: list[str]) -> Watched:
    """Runs a command; returns what it held, and when."""
    found = Watched()
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )

    def look() -> None:
        while process.poll() is None:
            try:
                held = resident(process.pid)
            except OSError:  # One of them has just ended.
                continue
            found.seconds.append(time.monotonic() - begun)
            found.megabytes.append(held)
            time.sleep(EVERY)

    looking = threading.Thread(target=look)
    looking.start()
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        if step := STEP.match(line):
            found.steps.append((step[1], time.monotonic() - begun))
    looking.join()
    if process.returncode:
        raise SystemExit(f"The run ended with {process.returncode}.")
    return found


def growth(seconds: list[float], megabytes: list[float]) -> float:
    """Returns how much a later half grows, by a line of least squares."""
    half = slice(len(seconds) // 2, None)
    times, held = np.array(seconds[half]), np.array(megabytes[half])
    if len(times) < 2:
        return math.nan
    return float(np.polyfit(times, held, 1)[0] * (times[-1] - times[0]))


def table(found: Watched) -> str:
    """Returns the steps' memory as Markdown."""
    rows = [
        "| Step | Seconds | Most, MB | Growth in its later half, MB |",
        "|---|---:|---:|---:|",
    ]
    ends = [begun for _, begun in found.steps[1:]] + [found.seconds[-1]]
    for (name, begun), end in zip(found.steps, ends, strict=True):
        own = [k for k, at in enumerate(found.seconds) if begun <= at < end]
        if not own:
            continue
        times = [found.seconds[k] for k in own]
        held = [found.megabytes[k] for k in own]
        rows.append(
            f"| {name} | {end - begun:.0f} | {max(held):.0f} "
            f"| {growth(times, held):.0f} |"
        )
    return "\n".join(rows)


def plot(found: Watched, path: str) -> None:
    """Draws memory over time, with the pipeline's steps."""
    from wseg_tf.plots import style

    figure = style.new_figure(7.2, 3.2)
    axes = figure.add_axes((0.09, 0.15, 0.88, 0.68))
    minutes = np.array(found.seconds) / 60
    axes.plot(minutes, np.array(found.megabytes) / 1024, color="#3b6ea8")
    axes.set_ylim(0, 1.15 * max(found.megabytes) / 1024)
    axes.set_xlim(0, minutes[-1])
    axes.set_xlabel("minutes", fontsize=8)
    axes.set_ylabel("resident memory, GB", fontsize=8)
    axes.tick_params(labelsize=7, length=2, color=style.FAINT)
    axes.grid(color=style.FAINT, linewidth=0.6)
    ends = [begun for _, begun in found.steps[1:]] + [found.seconds[-1]]
    for (name, begun), end in zip(found.steps, ends, strict=True):
        axes.axvline(begun / 60, color="#c0334d", linewidth=0.6)
        # Names of short steps would lie on each other.
        if end - begun > found.seconds[-1] / 20:
            axes.annotate(
                name,
                (begun / 60, 1),
                (0, 3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                fontsize=7,
                rotation=20,
            )
    figure.savefig(path, dpi=120)


def main() -> None:
    """Runs, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--plot", help="where to draw it")
    options = parser.parse_args()
    evaluated = int(options.images * EVALUATED)
    trained = options.images - evaluated
    epochs = math.ceil(options.steps * BATCH / trained)
    with tempfile.TemporaryDirectory() as folder:
        found = watch(
            [
                "run",
                "configs/demo.yaml",
                f"root={folder}",
                f"data.streets.train={trained}",
                f"data.streets.eval={evaluated}",
                "data.streets.height=48",
                "data.streets.width=64",
                "training.height=48",
                "training.width=64",
                f"training.batch={BATCH}",
                "training.stages=[{name: only, loss: mixture, "
                f"epochs: {epochs}}}]",
                "gate.rules=[{metric: mean_iou, floor: 0.0}]",
            ]
        )
    print(table(found))
    print(f"{epochs * (trained // BATCH)} steps, {options.images} images")
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
