"""What somebody who signs should know although every rule may hold."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipeline.gate.judge import Finding
from pipeline.gate.rules import IMAGE, Rule
from pipeline.report.run import Run
from pipeline.report.words import listed
from wseg_tf.classes import ClassSet
from wseg_tf.metrics.table import ALL, CLASS, scores
from wseg_tf.metrics.table import TABLE as METRICS

# Below it a share of pixels protects nobody, whatever the metric.
LOWEST = 0.1
# A loss that may be repeated at every release.
LARGE_LOSS = 0.05
FEW_IMAGES = 30
# Of an image's pixels; of the pairs that were listed; of a class' regions.
MUCH_VOID, MANY_LEFT_OUT, MANY_MISSED = 0.1, 0.01, 0.5


@dataclass(frozen=True)
class _Signs:
    """What the remarks are taken from.

    Args:
        run: What the run left.
    """

    run: Run

    @cached_property
    def total(self) -> npt.NDArray[np.int64]:
        """The counts of all images together."""
        found: npt.NDArray[np.int64] = self.run.images.candidate.sum(axis=0)
        return found

    @cached_property
    def scores(self) -> Mapping[str, float]:
        """Every score, over all images."""
        return scores(self.total, self.run.classes, self.run.ground)

    @property
    def classes(self) -> ClassSet:
        """The class set."""
        return self.run.classes

    @property
    def findings(self) -> list[Finding]:
        """The findings about the gate's own rules."""
        return [f for f in self.run.findings if not f.rule.counts_images]

    def shown(self, name: str) -> int:
        """How many images show a class."""
        index = self.classes.index(name)
        own = self.run.images.candidate[:, index].any(axis=-1)
        return int(own.sum())


def remarks(run: Run) -> list[dict[str, str]]:
    """Returns what no rule says and whoever signs should know.

    Args:
        run: What the run left.

    Returns:
        `about`, what kind of remark it is, and `text`, one or two sentences;
        the gravest kinds first.
    """
    signs = _Signs(run)
    return [
        {"about": about, "text": _sentence(text, run.classes)}
        for about, find in _KINDS.items()
        for text in find(signs)
    ]


def _sentence(text: str, classes: ClassSet) -> str:
    """Ends a sentence, and begins it with a capital but for a name."""
    is_name = text.startswith(classes.names) or re.match(r"\w*[_/]", text)
    return f"{text}." if is_name else f"{text[:1].upper()}{text[1:]}."


def _shared(signs: _Signs) -> Iterator[str]:
    if signs.run.shared:
        yield (
            f"{signs.run.shared}: the model may know what it is judged on, so "
            "its figures say little about other streets"
        )
    drives = {*signs.run.images.drives}
    if len(drives) == 1 and drives == {signs.run.data.get("dataset")}:
        yield (
            "the data set does not tell its drives, so nobody has checked "
            "whether training and evaluation show the same streets"
        )
    elif len(drives) == 1:
        yield (
            f"all images judged are of one drive, {next(iter(drives))}: how "
            "the model fares on another cannot be told"
        )


def _low_bounds(signs: _Signs) -> Iterator[str]:
    for rule in _rules(signs):
        kind, bound = rule.bound
        if kind == "floor" and bound < LOWEST:
            yield (
                f"{rule.title}: a floor of {bound:g} is no floor; a model "
                f"with {100 * (1 - bound):.0f} % of it wrong would pass"
            )
        if kind.startswith("allowed") and bound >= LARGE_LOSS:
            yield (
                f"{rule.title}: each release may lose as much again, since "
                "each is compared with the one before"
            )
        if kind == "ceiling":
            name, cost = _constant(signs)
            if cost <= bound:
                yield (
                    f"{rule.title}: a model that calls every pixel {name} "
                    f"reaches {cost:.3f} and would pass"
                )


def _constant(signs: _Signs) -> tuple[str, float]:
    """The class that costs least if all pixels are called so, and its cost."""
    truth = signs.total.sum(axis=1)
    costs = truth @ signs.run.ground / max(1, truth.sum())
    best = int(costs.argmin())
    return signs.classes.names[best], float(costs[best])


def _unwatched(signs: _Signs) -> Iterator[str]:
    for name in signs.classes.names:
        iou = signs.scores[f"iou/{name}"]
        if not signs.shown(name):
            yield f"no image judged shows {name}: nothing is known of it"
        elif _watched(signs, name):
            continue
        elif name in signs.classes.critical:
            yield (
                f"{name} is critical, its IoU is {iou:.3f}, and no rule sets "
                f"a floor of {LOWEST:g} or more for it"
            )
        elif iou < LOWEST:
            yield f"the IoU of {name} is {iou:.3f}, and no rule watches it"


def _watched(signs: _Signs, name: str) -> bool:
    """Whether a rule sets a floor for a class by itself."""
    for rule in _rules(signs):
        kind, bound = rule.bound
        row = METRICS[rule.metric.partition("/")[0]]
        if kind != "floor" or bound < LOWEST or rule.slice is not None:
            continue
        worst = rule.metric.endswith("minimum_iou")
        if row.about == CLASS and rule.metric.partition("/")[2] == name:
            # All pixels called so are found, too: precision alone says little.
            if not rule.metric.startswith("precision"):
                return True
        elif worst and (row.about == ALL or name in signs.classes.critical):
            return True
    return False


def _unmeasured(signs: _Signs) -> Iterator[str]:
    empty = [
        each
        for each in signs.findings
        if each.holds and math.isnan(each.decisive.judged)
    ]
    if empty:
        yield (
            f"{_many(len(empty), 'rule holds', 'rules hold')} with nothing "
            f"measured ({_few(each.rule.title for each in empty)}): "
            f"{empty[0].decisive.reason}"
        )
    for each in signs.findings:
        if each.skipped:
            yield (f"{each.rule.title}: judged without {listed(each.skipped)}")


def _luck(signs: _Signs) -> Iterator[str]:
    for each in signs.findings:
        rule, found = each.rule, each.decisive
        low, high = found.interval
        worst = low if rule.bound[0] == "floor" else high
        if rule.confidence is not None or not each.holds:
            continue
        if math.isfinite(worst) and not _meets(rule, worst):
            yield (
                f"{rule.title}: it holds by little; its figure is "
                f"{found.judged:.3f}, and on other images like these it might "
                f"be {worst:.3f}"
            )


def _meets(rule: Rule, figure: float) -> bool:
    kind, bound = rule.bound
    return figure >= bound if kind == "floor" else figure <= bound


def _too_narrow(signs: _Signs) -> Iterator[str]:
    drives = {*signs.run.images.drives}
    own = [
        rule
        for rule in _rules(signs)
        if rule.confidence is not None and rule.resample == IMAGE
    ]
    if own and len(drives) < len(signs.run.images):
        yield (
            f"{_many(len(own), 'rule draws', 'rules draw')} images, not "
            f"drives, although {len(signs.run.images)} images are of "
            f"{_many(len(drives), 'drive', 'drives')}: images of a drive are "
            "alike, so the confidence is less than it says"
        )
    if signs.findings and not any(r.confidence for r in _rules(signs)):
        yield (
            "no rule asks for confidence: every figure is held against its "
            "bound as it came out on these images"
        )


def _few_images(signs: _Signs) -> Iterator[str]:
    for name in signs.classes.critical:
        if 0 < (shown := signs.shown(name)) < FEW_IMAGES:
            yield (
                f"{_many(shown, 'image shows', 'images show')} {name}: too "
                "few to tell a good model from a lucky one"
            )


def _slices(signs: _Signs) -> Iterator[str]:
    kinds = {"drive", *signs.run.gate.slices}
    for kind in sorted(kinds):
        try:
            parts = signs.run.images.by_slice(kind, signs.run.gate.slices)
        except ValueError:
            continue  # The rule that uses it says so.
        for place, own in parts.items():
            counts = own.candidate.sum(axis=0)
            values = scores(counts, signs.classes, signs.run.ground)
            for name in signs.classes.critical:
                here = values[f"iou/{name}"]
                overall = signs.scores[f"iou/{name}"]
                if here < overall / 2:  # NaN, an absent class, is not.
                    yield (
                        f"on {kind} {place} the IoU of {name} is {here:.3f}, "
                        f"less than half of the {overall:.3f} over all"
                    )


def _missed(signs: _Signs) -> Iterator[str]:
    missed = signs.run.missed
    for row in [] if missed is None else missed.by_class(signs.classes):
        if row["share"] is not None and row["share"] >= MANY_MISSED:
            as_what = listed([each["class"] for each in row["given"]])
            yield (
                f"{row['missed']} of {row['regions']} regions of "
                f"{row['class']} are missed altogether, mostly as {as_what}"
            )
    for name in signs.classes.critical:
        recall = signs.scores[f"recall/{name}"]
        precision = signs.scores[f"precision/{name}"]
        if recall < 0.5:
            yield f"{100 * (1 - recall):.0f} % of the pixels of {name} are lost"
        if precision < 0.5:
            yield (
                f"{100 * (1 - precision):.0f} % of the pixels called {name} "
                "are something else: false alarms"
            )


def _data(signs: _Signs) -> Iterator[str]:
    run = signs.run
    if run.selected:
        yield (
            f"the weights were chosen by their {run.selected} on the images "
            "judged, so all figures are a little too good"
        )
    splits = run.data.get("splits", {})
    void = splits.get("eval", {}).get("void", 0.0)
    if void >= MUCH_VOID:
        yield (
            f"{100 * void:.0f} % of the pixels judged carry no label: nothing "
            "is known of what the model sees there"
        )
    left = len(run.quarantine)
    listed_pairs = left + sum(own.get("images", 0) for own in splits.values())
    if left and left >= MANY_LEFT_OUT * listed_pairs:
        yield (
            f"{left} of {listed_pairs} pairs were left out since they failed "
            "their checks; what they show was neither learned nor judged"
        )


def _ground(signs: _Signs) -> Iterator[str]:
    names = signs.classes.names
    for name in signs.classes.critical:
        index = signs.classes.index(name)
        free = [
            names[i]
            for i, cost in enumerate(signs.run.ground[index])
            if i != index and cost == 0
        ]
        if free:
            yield f"by D it costs nothing to take {name} for {listed(free)}"


def _code(signs: _Signs) -> Iterator[str]:
    started = signs.run.started
    if not started:
        return
    if started["commit"] is None:
        yield (
            "the code is of no known commit: it is told by the digest of its "
            "sources alone"
        )
    elif not started["clean"]:
        yield (
            f"the code is not that of commit {started['commit'][:12]}: "
            f"{_many(started['changed'], 'file', 'files')} of the tree "
            "differed"
        )


_KINDS: dict[str, Callable[[_Signs], Iterator[str]]] = {
    "training and evaluation": _shared,
    "bounds": _low_bounds,
    "classes nobody watches": _unwatched,
    "objects missed": _missed,
    "rules without a figure": _unmeasured,
    "luck": _luck,
    "confidence": _too_narrow,
    "few images": _few_images,
    "slices": _slices,
    "data": _data,
    "ground matrix": _ground,
    "code": _code,
}


def _rules(signs: _Signs) -> list[Rule]:
    return [each.rule for each in signs.findings]


def _few(titles: Iterator[str]) -> str:
    first, *others = titles
    return f"{first}; and {len(others)} more" if others else first


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
