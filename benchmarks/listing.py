"""What the listing of a data set costs: peak memory and core seconds.

python -m benchmarks.listing [--pairs 100000 300000]

A made-up fleet, a folder for each drive of 1,000 frames: files that have a size
and no content, and take no space. It is listed as `wseg run` lists it, in a
process of its own: found, held against leaks, written down and checked.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# As large as Cityscapes': no two images of equal size need to be compared.
IMAGE, LABEL = 2_300_000, 30_000
DRIVE, JUDGED = 1_000, 100
FLEET = 10_000_000
DESCRIPTION = """dataset: fleet
classes: cityscapes
images: "images/{split}/{drive}/{name}.png"
labels: "labels/{split}/{drive}/{name}.png"
"""


def make_up(folder: Path, pairs: int) -> None:
    """Makes a fleet up; one pair in `JUDGED` is of the split `val`.

    Args:
        folder: An empty one.
        pairs: Pairs of all splits.
    """
    for k in range(pairs):
        split = "train" if k >= pairs // JUDGED else "val"
        drive = f"{split}/{split}-vehicle-{k // DRIVE:06d}"
        for part, size in (("images", IMAGE + k), ("labels", LABEL)):
            path = folder / part / drive / f"camera_front_{k:012d}.png"
            if k % DRIVE == 0 or not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.truncate(path, size)
    (folder / "fleet.yaml").write_text(DESCRIPTION)


def listed(folder: str) -> None:
    """Lists a folder; prints bytes at rest and at most, and core seconds."""
    from pipeline.config.data_options import DataOptions
    from pipeline.config.pipeline_config import PipelineConfig
    from pipeline.gate.rules import Gate, Rule
    from pipeline.ingest.listing import prepare_manifest

    with tempfile.TemporaryDirectory() as root:
        config = PipelineConfig(
            name="fleet",
            root=root,
            data=DataOptions(dataset=f"{folder}/fleet.yaml", path=folder),
            gate=Gate(rules=[Rule(metric="mean_iou", floor=0.0)]),
        )
        config.data.layout  # noqa: B018  # Read before it is measured.
        # From here on, the kernel counts the most memory anew.
        Path("/proc/self/clear_refs").write_text("5")
        start = time.process_time()
        at_rest = memory("VmRSS")
        manifest = prepare_manifest(config)
        print(at_rest, memory("VmHWM"), time.process_time() - start, manifest)


def memory(kind: str) -> int:
    """Returns bytes of this process that are in memory, or were at most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status: expected {kind}. Found: none.")


def measure(pairs: int) -> tuple[int, int, float]:
    """Returns bytes at rest, the most bytes, and core seconds of a listing.

    Args:
        pairs: Pairs to be listed.
    """
    with tempfile.TemporaryDirectory() as folder:
        make_up(Path(folder), pairs)
        found = subprocess.run(
            [sys.executable, "-m", "benchmarks.listing", "--list", folder],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout.split()
    return int(found[0]), int(found[1]), float(found[2])


def main() -> None:
    """Measures, and says what ten million pairs would take."""
    parser = argparse.ArgumentParser(description=__doc__)
    counts = [100_000, 300_000]
    parser.add_argument("--pairs", type=int, nargs="+", default=counts)
    parser.add_argument("--list", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list:
        listed(options.list)
        return
    print("| pairs | at rest | most memory | bytes a pair | core seconds |")
    print("|---|---|---|---|---|")
    found = {}
    for pairs in options.pairs:
        rest, most, seconds = found[pairs] = measure(pairs)
        print(
            f"| {pairs:,} | {rest / 1e6:,.0f} MB | {most / 1e6:,.0f} MB | "
            f"{(most - rest) / pairs:,.0f} | {seconds:,.0f} |",
            flush=True,
        )
    (fewer, first), *_, (more, last) = sorted(found.items())
    slope, pace = (
        (b - a) / (more - fewer)
        for a, b in zip(first[1:], last[1:], strict=True)
    )
    memory_then = (last[1] + slope * (FLEET - more)) / 1e9
    hours = (last[2] + pace * (FLEET - more)) / 3600
    print(
        f"{slope:,.0f} bytes and {pace * 1e6:,.0f} microseconds for each "
        f"further pair: {FLEET:,} take {memory_then:,.1f} GB, {hours:,.1f} h."
    )


if __name__ == "__main__":
    main()
