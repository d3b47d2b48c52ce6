r"""When a loss pays: gains over CE by how well a class was seen before.

    python -m benchmarks.when_it_pays docs/results/camvid_*.json \
        --picture docs/images/when.png

Two tables of the published comparisons, nothing is trained. *Comparisons*: the
gain of the most important group's IoU, on each evaluation set. *Classes*: the
mean gain of a class' IoU, by what cross-entropy reaches on it and by its share
of the true pixels; each class of each set is a point, and of the picture, too.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.experiments.joining import joined
from pipeline.experiments.results import Results, read
from wseg_tf.metrics import iou_per_class
from wseg_tf.plots.style import (
    CRITICAL,
    FAINT,
    INK,
    SERIES_COLOURS,
    new_figure,
)

REFERENCE = "continued CE"
METHODS = (
    "CE by group", "IAL", "CE + 0.2 W d^2", "W d", "W d^2", "Lovasz",
    "W d + Lovasz by group", "continued CE, decided by D",
)  # fmt: skip
DRAWN = ("IAL", "CE + 0.2 W d^2", "W d", "Lovasz")
# Edges of the IoU under cross-entropy, and of the share of true pixels.
SEEN, COMMON = (0.05, 0.30), 0.01
RARE_COLOUR, COMMON_COLOUR = CRITICAL, SERIES_COLOURS[1]


@dataclass(frozen=True)
class Point:
    """A class of an evaluation set.

    Args:
        share: Of all true pixels.
        before: Its IoU after continued cross-entropy, mean over seeds.
        gains: What each method adds to it.
    """

    share: float
    before: float
    gains: dict[str, float]


def read_all(paths: Sequence[str]) -> list[Results]:
    """Returns the comparisons; seeds that were run apart are joined.

    Args:
        paths: Files of `wseg experiment`.
    """
    parts: dict[str, list[Results]] = {}
    for each in map(read, paths):
        parts.setdefault(each.experiment, []).append(each)
    return [joined(own) for own in parts.values()]


def ious(results: Results, name: str, method: str) -> np.ndarray | None:
    """Returns each class' IoU of a method, mean over seeds, or None."""
    found = [
        iou_per_class(each.counts[name].sum(axis=0))
        for each in results.outcomes
        if each.method == method
    ]
    return np.mean(found, axis=0) if found else None


def points(results: Results, name: str) -> list[Point]:
    """Returns the classes of an evaluation set that it shows.

    Args:
        results: A comparison.
        name: The evaluation set.
    """
    before = ious(results, name, REFERENCE)
    if before is None:
        return []
    after = {each: ious(results, name, each) for each in METHODS}
    truth = results.outcomes[0].counts[name].sum(axis=(0, 2))
    shares = truth / truth.sum()
    return [
        Point(
            float(shares[k]),
            float(before[k]),
            {
                method: float(100 * (own[k] - before[k]))
                for method, own in after.items()
                if own is not None
            },
        )
        for k in range(len(before))
        if truth[k]
    ]


def by_comparison(all_results: Sequence[Results]) -> list[list[str]]:
    """Returns a line for each set: the gains of the most important group."""
    rows = []
    for results in all_results:
        groups = np.array(results.classes.groups)
        most = groups == groups.max()
        for name in results.sets:
            before = ious(results, name, REFERENCE)
            if before is None:
                continue
            level = 100 * float(np.nanmean(before[most]))
            row = [f"{results.experiment}, {name}", f"{level:.1f}"]
            for method in METHODS:
                own = ious(results, name, method)
                gain = None if own is None else np.nanmean(own[most]) * 100
                row.append("" if gain is None else f"{gain - level:+.1f}")
            rows.append((level, row))
    return [row for _, row in sorted(rows)]


def by_class(found: Sequence[Point]) -> list[list[str]]:
    """Returns a line for each kind of class: the mean gains and their count."""
    rows = []
    edges = (0.0, *SEEN, 1.01)
    for is_common in (False, True):
        for low, high in itertools.pairwise(edges):
            own = [
                each
                for each in found
                if low <= each.before < high
                and (each.share >= COMMON) == is_common
            ]
            share = f"{'from' if is_common else 'below'} {COMMON:.0%}"
            seen = f"{100 * low:.0f} to {100 * min(high, 1):.0f}"
            row = [share, seen, str(len(own))]
            for method in METHODS:
                gains = [p.gains[method] for p in own if method in p.gains]
                row.append(f"{np.mean(gains):+.1f}" if gains else "")
            rows.append(row)
    return rows


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(found: Sequence[Point], path: str) -> None:
    """Draws a panel for each of four losses, a dot for each class of a set."""
    figure = new_figure(10, 3.2)
    panels = figure.subplots(1, len(DRAWN), sharey=True)
    for axes, method in zip(panels, DRAWN, strict=True):
        own = [each for each in found if method in each.gains]
        colours = [
            COMMON_COLOUR if each.share >= COMMON else RARE_COLOUR
            for each in own
        ]
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.scatter(
            [100 * each.before for each in own],
            [each.gains[method] for each in own],
            c=colours,
            s=16,
            alpha=0.75,
            linewidths=0,
        )
        axes.set_title(method, fontsize=10, color=INK)
        axes.set_xlabel("IoU under continued CE", fontsize=8)
        axes.grid(color=FAINT, linewidth=0.5)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("gain of IoU, points", fontsize=8)
    for colour, text, height in (
        (RARE_COLOUR, "below 1 % of pixels", 0.08),
        (COMMON_COLOUR, "1 % and more", 0.02),
    ):
        panels[0].text(
            0.98,
            height,
            text,
            color=colour,
            fontsize=8,
            ha="right",
            transform=panels[0].transAxes,
        )
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Prints both tables, and draws."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", nargs="+", help="results.json of any name")
    parser.add_argument("--picture", metavar="FILE", help="draw classes here")
    options = parser.parse_args()
    all_results = read_all(options.results)
    found = [p for r in all_results for name in r.sets for p in points(r, name)]
    head = ["comparison", "group 4 under CE", *METHODS]
    print(markdown(head, by_comparison(all_results)), end="\n\n")
    head = ["share of pixels", "IoU under CE", "classes", *METHODS]
    print(markdown(head, by_class(found)))
    if options.picture:
        draw(found, options.picture)


if __name__ == "__main__":
    main()
