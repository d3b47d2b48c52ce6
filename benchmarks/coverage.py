"""How often the bootstrap's bound keeps its word, on images made by chance.

python -m benchmarks.coverage [--json FILE]

Evaluation sets are drawn from a population whose IoU is known: a class whose
area varies a hundredfold between images, and a quality that each drive and
each image has of its own. A bound of 0.95 confidence should lie below the
population's IoU on 95 of 100 evaluation sets.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import numpy.typing as npt

from pipeline.gate.bootstrap import interval, replicate

TRIALS, REPLICATES, CONFIDENCE = 1000, 1000, 0.95
Counts = npt.NDArray[np.int64]


def draw_images(
    random: np.random.Generator, drives: int, per_drive: int, spread: float
) -> Counts:
    """Draws the counts of images `[drives, per_drive, 2, 2]`.

    Args:
        random: The source of chance.
        drives: Number of drives.
        per_drive: Images of each.
        spread: How much drives differ; 0 if images are independent.
    """
    shape = drives, per_drive
    area = np.exp(random.normal(6, 1.2, shape)).astype(np.int64) + 1
    quality = random.normal(0, spread, (drives, 1)) + random.normal(
        0, 0.8, shape
    )
    recall = 1 / (1 + np.exp(-0.8 - quality))
    hits = random.binomial(area, recall)
    invented = random.binomial(area, 0.3 * (1 - recall))
    counts = np.zeros([*shape, 2, 2], np.int64)
    counts[..., 1, 1], counts[..., 1, 0] = hits, area - hits
    counts[..., 0, 1] = invented
    return counts


def iou(counts: Counts) -> npt.NDArray[np.float64]:
    """IoU of the second class."""
    hits, missed = counts[..., 1, 1], counts[..., 1, 0]
    return np.asarray(hits / (hits + missed + counts[..., 0, 1]))


def coverage(
    drives: int, per_drive: int, spread: float, by_drive: bool
) -> float:
    """Returns the share of evaluation sets whose bound is below the truth."""
    random = np.random.default_rng(1)
    population = draw_images(random, 200_000 // per_drive, per_drive, spread)
    truth = float(iou(population.sum(axis=(0, 1))))
    kept = 0
    for trial in range(TRIALS):
        images = draw_images(random, drives, per_drive, spread)
        units = images.sum(axis=1) if by_drive else images.reshape(-1, 2, 2)
        drawn = iou(replicate(units, REPLICATES, seed=trial))
        kept += interval(drawn, CONFIDENCE, len(units))[0] <= truth
    return kept / TRIALS


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write results here")
    options = parser.parse_args()
    rows = []
    for images in (10, 20, 50, 100, 233):
        rows.append(
            (f"{images} images, drawn one by one", images, 1, 0.0, False)
        )
    for drives in (5, 10, 20, 40):
        for by_drive in (False, True):
            how = "drives" if by_drive else "images"
            name = f"{drives} drives of 20 images, {how} drawn"
            rows.append((name, drives, 20, 0.7, by_drive))
    found = {name: coverage(*arguments) for name, *arguments in rows}
    print(f"Share of {TRIALS} sets whose {CONFIDENCE} bound is below the truth")
    for name, share in found.items():
        print(f"{name:42s} {share:.3f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
