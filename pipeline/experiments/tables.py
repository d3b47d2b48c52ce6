"""The tables of a comparison: means, spreads and tested differences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.experiments.plan import MISSES, START
from pipeline.experiments.results import OVER_UNITS, Results
from pipeline.experiments.statistics import (
    CONFIDENCE,
    Difference,
    difference,
    holm,
    unit_variance,
)
from pipeline.gate.bootstrap import replicate
from wseg_tf.metrics.confusion import Counts
from wseg_tf.metrics.table import kind_of, score

REPLICATES = 2000
# Heads of columns whose score's own name says less, or more.
HEADS = {
    "mean_iou": "mean IoU",
    "critical_iou": "critical IoU",
    "expected_severity": "severity",
    MISSES: "critical misses per 100 images",
    "iou": "{}",
    "iou_group": "group {}",
    "merged_recall": "found of group {}",
}


@dataclass(frozen=True)
class Figure:
    """A metric of a method over seeds, and its distance to the reference.

    Args:
        values: One a seed; where several starts have several fine-tunings,
            their mean for each start.
        over_units: What the images or drives have of the variance of the
            difference; NaN where there are not two.
        difference: Of the reference, seed by seed.
        corrected: Its chance, corrected for the number of tests; None where
            it is not tested.
    """

    values: tuple[float, ...]
    over_units: float
    difference: Difference
    corrected: float | None = None

    @property
    def mean(self) -> float:
        """Over seeds."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds; NaN for one."""
        if len(self.values) < 2:
            return math.nan
        return statistics.stdev(self.values)

    @property
    def mark(self) -> str:
        """`**` if a corrected test finds it, `*` if its interval leaves 0."""
        if self.corrected is not None and self.corrected < 1 - CONFIDENCE:
            return "**"
        return "*" if self.difference.low * self.difference.high > 0 else ""


# By evaluation set, method and metric; the start is a method, too.
Figures = Mapping[str, Mapping[str, Mapping[str, Figure]]]


def figures(results: Results) -> Figures:
    """Computes every figure, and corrects the tests for their number.

    Args:
        results: The results.

    Returns:
        The figures.
    """
    found = {
        name: {
            method: {
                metric: _figure(results, name, method, metric, drawn)
                for metric in results.metrics
            }
            for method in results.methods
        }
        for name in results.sets
        for drawn in [_drawn(results, name)]
    }
    family = [
        (name, method, metric)
        for name, methods in found.items()
        if name not in results.exploratory
        for method in methods
        if _is_compared(results, method)
        for metric in results.tested
        # One seed or one image tests nothing.
        if not math.isnan(found[name][method][metric].difference.p)
    ]
    chances = [found[n][m][k].difference.p for n, m, k in family]
    for (name, method, metric), chance in zip(
        family, holm(chances), strict=True
    ):
        row = found[name][method]
        row[metric] = replace(row[metric], corrected=chance)
    return found


def _is_compared(results: Results, method: str) -> bool:
    return method not in (START, results.reference)


def _differing(results: Results) -> list[str]:
    """Returns the metrics whose differences are shown, tested or not."""
    shown = {*results.tested, MISSES}
    return [name for name in results.metrics if name in shown]


def _counts(results: Results, name: str, method: str, metric: str) -> Counts:
    """Returns what a metric is of, by image and seed `[images, S, ...]`."""
    own = [o for o in results.outcomes if o.method == method]
    if metric != MISSES:
        return np.stack([o.counts[name] for o in own], axis=1)
    missed = np.stack([o.missed[name].missed.sum((1, 2)) for o in own], axis=1)
    # Without the counts of each image, one row stands for all images.
    images = len(results.sets[name].images) // len(missed)
    return np.stack([missed, np.full_like(missed, images)], axis=-1)


def _score(results: Results, metric: str, counts: Counts) -> Any:
    if metric == MISSES:
        return 100 * counts[..., 0] / counts[..., 1]
    return score(metric, counts, results.classes, results.severity)


def _by_start(results: Results, method: str, values: Any) -> Any:
    """Returns the means of each start's runs `[..., starts]`.

    Runs that go on from one start are no seeds of their own where there are
    other starts; where there is one start for all, they are `[..., S]`.
    """
    if len(results.starts_of(START)) < 2:
        return values
    starts = np.array(results.starts_of(method))
    return np.stack(
        [
            values[..., starts == start].mean(axis=-1)
            for start in np.unique(starts)
        ],
        axis=-1,
    )


def _drawn(results: Results, name: str) -> dict[tuple[str, bool], Counts]:
    """Returns counts of sets drawn anew `[replicates, S, ...]`.

    By method, and whether they are of misses.
    """
    if results.over_units is not None:
        return {}
    units = results.sets[name].units(results.resample)
    if len(units) < 2:
        return {}
    found = {}
    # One metric stands for all that are of the same counts.
    kinds = {metric == MISSES: metric for metric in results.metrics}
    for method in results.methods:
        for is_missed, metric in kinds.items():
            counts = _counts(results, name, method, metric)
            summed = np.stack([counts[own].sum(axis=0) for own in units])
            # The same sets for all methods.
            found[method, is_missed] = replicate(summed, REPLICATES, seed=0)
    return found


def _figure(
    results: Results,
    name: str,
    method: str,
    metric: str,
    drawn: Mapping[tuple[str, bool], Counts],
) -> Figure:
    def scored(method: str, counts: Counts) -> Any:
        return _by_start(results, method, _score(results, metric, counts))

    own, other = (
        scored(each, _counts(results, name, each, metric).sum(axis=0))
        for each in (method, results.reference)
    )
    if results.over_units is not None:
        over_units = results.over_units[name][method][metric]
    elif drawn:
        # What has no seed of its own is compared with every seed.
        kind = metric == MISSES
        apart = scored(method, drawn[method, kind]) - scored(
            results.reference, drawn[results.reference, kind]
        )
        units = len(results.sets[name].units(results.resample))
        over_units = unit_variance(apart.mean(axis=1), units)
    else:
        over_units = None
    over_units = math.nan if over_units is None else float(over_units)
    units = len(results.sets[name].units(results.resample))
    return Figure(
        tuple(own.tolist()),
        over_units,
        difference(np.subtract(own, other).tolist(), over_units, units),
    )


def as_values(found: Figures) -> dict[str, Any]:
    """Returns figures as plain values for JSON.

    Args:
        found: What `figures` returned.
    """

    def plain(value: float | None) -> float | None:
        is_number = value is not None and math.isfinite(value)
        return value if is_number else None

    def row(figure: Figure) -> dict[str, Any]:
        apart = figure.difference
        return {
            "values": [plain(value) for value in figure.values],
            "mean": plain(figure.mean),
            "difference": plain(apart.mean),
            "interval": [plain(apart.low), plain(apart.high)],
            OVER_UNITS: plain(figure.over_units),
            "p": plain(apart.p),
            "corrected_p": plain(figure.corrected),
            "seeds_needed": plain(apart.seeds),
        }

    return {
        name: {
            method: {metric: row(each) for metric, each in figures.items()}
            for method, figures in methods.items()
        }
        for name, methods in found.items()
    }


def pages(results: Results, found: Figures) -> str:
    """Returns all tables: methods down, metrics across, published below.

    Args:
        results: The results.
        found: What `figures` returned.
    """
    names = results.metrics
    parts = []
    for evaluation, methods in found.items():
        rows = [["method", *(_head(name) for name in names)]]
        for method, row in methods.items():
            cells = [
                _cell(
                    row[name],
                    name,
                    name in _differing(results)
                    and _is_compared(results, method),
                )
                for name in names
            ]
            rows.append([method, *cells])
        for method, values in results.published.items():
            cells = [f"{values[n]:.1f}" if n in values else "" for n in names]
            rows.append([f"*published: {method}*", *cells])
        parts += [_title(results, evaluation), _markdown(rows)]
    parts.append(_key(results, found))
    if results.notes:
        parts.append(results.notes.strip())
    return "\n\n".join(parts) + "\n"


def summary(results: Results, found: Figures, trained: bool = False) -> str:
    """Returns one small table: the differences of each set, marked.

    Args:
        results: The results.
        found: What `figures` returned.
        trained: Whether to leave out what decides by D.
    """
    hidden = results.decided if trained else []
    columns = _differing(results)
    rows = [["method", *map(_head, columns)]]
    for method in results.methods:
        if not _is_compared(results, method) or method in hidden:
            continue
        cells = []
        for name in columns:
            figures = [methods[method][name] for methods in found.values()]
            cells.append(
                " / ".join(
                    _number(each.difference.mean, name, signed=True) + each.mark
                    for each in figures
                )
            )
        rows.append([method, *cells])
    key = _key(results, found, is_short=True)
    order = f"Cells: {' / '.join(found)}. " if len(found) > 1 else ""
    return f"{_markdown(rows)}\n\n{order}{key}\n"


def _title(results: Results, evaluation: str) -> str:
    own = results.sets[evaluation]
    drives = len(set(own.drives))
    text = (
        f"### {evaluation}\n\n{len(own.images)} images of {drives} "
        f"drive{'s' if drives != 1 else ''}"
    )
    if evaluation in results.exploratory:
        text += ", looked at while methods were chosen: exploratory"
    if own.shared:
        text += f". **Seen in training: {own.shared}**"
    return text + "."


def _key(results: Results, found: Figures, is_short: bool = False) -> str:
    rows = [row for methods in found.values() for row in methods.values()]
    each = [figure for row in rows for figure in row.values()]
    tests = [figure for figure in each if figure.corrected is not None]
    kept = sum(figure.mark == "**" for figure in tests)
    seeds = max(len(figure.values) for figure in each)
    runs = max(len(results.starts_of(m)) for m in results.methods) // seeds
    times = f" of {runs} fine-tunings each" if runs > 1 else ""
    apart = (
        f"ifferences to {results.reference}, IoU and shares in points. * The "
        f"95 % interval over {seeds} seeds{times} and {results.resample} drawn "
        "anew leaves 0 out"
    )
    if tests:
        apart += (
            f"; ** so does a test corrected for all {len(tests)} (Holm): {kept}"
        )
    apart += "."
    text = f"D{apart}"
    if not is_short:
        text = (
            "IoU in percent; found: the share of a group's pixels given any "
            "class of it; mean ± standard deviation over seeds. In brackets: "
            f"d{apart} So many seeds would take 0 out, were mean and spread "
            f"the same; without a number, none do, but more {results.resample} "
            "may."
        )
    if seeds < 2:
        text += " One seed has no interval: two is the least, five are advised."
    untested = [name for name in found if name in results.exploratory]
    if MISSES in {*results.metrics} - {*results.tested}:
        untested.append("critical misses")
    if untested:
        text += f" Not tested: {', '.join(untested)}."
    return text


def _head(metric: str) -> str:
    kind, _, of = metric.partition("/")
    return HEADS.get(kind, kind.replace("_", " ")).format(of)


def _cell(figure: Figure, metric: str, is_compared: bool) -> str:
    text = _number(figure.mean, metric)
    if len(figure.values) > 1:
        text += f" ± {_number(figure.spread, metric)}"
    if is_compared:
        apart = figure.difference
        mean, low, high = (
            _number(value, metric, signed=True)
            for value in (apart.mean, apart.low, apart.high)
        )
        between = "" if math.isnan(apart.low) else f": {low} to {high}"
        if apart.low <= 0 <= apart.high and math.isfinite(apart.seeds):
            between += f", {apart.seeds:.0f} seeds"
        text += f" ({mean}{figure.mark}{between})"
    return text


def _number(value: float, metric: str, signed: bool = False) -> str:
    """Shares are written in percent, severities and misses as they are."""
    if math.isnan(value):
        return "absent"
    sign = "+" if signed else ""
    if metric == MISSES:
        return f"{value:{sign}.1f}"
    if kind_of(metric).lower_is_better:
        return f"{value:{sign}.3f}"
    return f"{100 * value:{sign}.1f}"


def _markdown(rows: list[list[str]]) -> str:
    first, *others = (f"| {' | '.join(cells)} |" for cells in rows)
    return "\n".join([first, f"|{'---|' * len(rows[0])}", *others])
