"""Figures by hand, and what the tests say of known differences."""

import dataclasses
import math
import re

import numpy as np
import pytest
from scipy import stats

from pipeline.experiments.plan import (
    MISSES,
    START,
    compared_metrics,
    load,
    metric_names,
)
from pipeline.experiments.results import EvaluationSet, Results
from pipeline.experiments.run import Outcome
from pipeline.experiments.tables import as_values, figures, pages, summary
from wseg_tf import CAMVID
from wseg_tf.configuration import ConfigurationError
from wseg_tf.decisions import LEAST_RISK
from wseg_tf.metrics.misses import Misses
from wseg_tf.metrics.table import scores
from wseg_tf.training.objectives import build_ground

PLAN = load(
    "configs/tables/camvid_enet.yaml",
    [
        "methods=[{name: continued CE}, {name: W}]",
        "seeds=[0,1]",
        "metrics=[iou/car, mean_iou, expected_severity]",
    ],
)
CAR, ROAD = CAMVID.index("car"), CAMVID.index("road")
GROUND = build_ground(PLAN.severity, CAMVID).values.tolist()
IMAGES = 30
IMAGE_SET = EvaluationSet(
    tuple(f"{place:02d}" for place in range(IMAGES)),
    tuple("AAABB"[place % 5] for place in range(IMAGES)),
)


def counts(hits, seed):
    """Counts of images whose pixels are right with a probability."""
    random = np.random.default_rng(seed)
    found = np.zeros([IMAGES, 11, 11], np.int64)
    for image in found:
        right = random.binomial(100, hits, 11)
        image[np.arange(11), np.arange(11)] = right
        image[np.arange(11), (np.arange(11) + 1) % 11] += 100 - right
    return found


def missed_of(cars):
    """Two cars in each image; so many are called road, one an image."""
    regions = np.zeros([IMAGES, 11], np.int64)
    regions[:, CAR] = 2
    missed = np.zeros([IMAGES, 11, 11], np.int64)
    missed[:cars, CAR, ROAD] = 1
    return {"val": Misses(regions, missed)}


def outcomes(better, seeds=(0, 1), apart=0.0, missed=None):
    """Runs of three methods; W's hits differ by seed, too."""
    hits = {START: 0.5, "continued CE": 0.6, "W": better}
    return [
        Outcome(
            name,
            seed,
            {"val": counts(share + apart * seed * (name == "W"), seed)},
            1.0,
            "recipe",
            "",
            missed=missed_of(missed[name][place]) if missed else {},
        )
        for name, share in hits.items()
        for place, seed in enumerate((0,) if name == START else seeds)
    ]


def results(runs, **changes):
    names = sorted(runs[0].counts)
    given = {
        "experiment": "hand-made",
        "reference": "continued CE",
        "classes": CAMVID,
        "severity": GROUND,
        "metrics": ["iou/car", "mean_iou", "expected_severity"],
        "tested": ["mean_iou", "expected_severity"],
        "exploratory": [],
        "resample": "images",
        "published": {},
        "notes": None,
        "sets": dict.fromkeys(names, IMAGE_SET),
        "origin": {},
        "outcomes": runs,
    }
    return Results(**{**given, **changes})


def test_means_and_differences_are_over_seeds():
    runs = outcomes(0.7, apart=0.05)
    found = figures(results(runs))["val"]["W"]["iou/car"]
    own, other = (
        [
            scores(run.counts["val"].sum(0), CAMVID, GROUND)["iou/car"]
            for run in runs
            if run.method == method
        ]
        for method in ("W", "continued CE")
    )
    assert found.values == pytest.approx(tuple(own))
    assert found.mean == pytest.approx(np.mean(own))
    assert found.spread == pytest.approx(np.std(own, ddof=1))
    apart = np.subtract(own, other)
    assert found.difference.mean == pytest.approx(apart.mean())
    # Two seeds: t(1) of their spread is the least that the interval spans.
    least = stats.t.ppf(0.975, 1) * apart.std(ddof=1) / math.sqrt(2)
    assert found.difference.high - found.difference.mean > least


def test_misses_are_a_column_with_an_interval_but_no_test_of_their_own():
    cars = {START: [30], "continued CE": [15, 18], "W": [6, 9]}
    own = results(
        outcomes(0.7, missed=cars),
        metrics=["mean_iou", MISSES],
        tested=["mean_iou"],
    )
    found = figures(own)["val"]["W"][MISSES]
    assert found.values == pytest.approx((20, 30))  # of 30 images, per 100
    apart = found.difference
    assert apart.mean == pytest.approx(-30)
    # Seeds agree. In their mean 6 of 30 images differ by one, 6 by a half.
    variance = (6 * 1 + 6 * 0.25) / 30 - 0.3**2
    half = stats.t.ppf(0.975, 29) * math.sqrt(variance / 29)
    assert apart.high - apart.mean == pytest.approx(100 * half, rel=0.05)
    assert found.corrected is None
    table = summary(own, figures(own))
    assert "critical misses per 100 images |" in table
    assert "| W | " in table
    assert "| -30.0* |" in table
    assert "Not tested: critical misses." in table
    # By drives, an image counts as an image of its drive.
    by_drive = dataclasses.replace(own, resample="drives")
    assert figures(by_drive)["val"]["W"][MISSES].values == found.values
    # Without images: the same, from what was saved.
    summed = [
        dataclasses.replace(
            each,
            counts={"val": each.counts["val"].sum(0, keepdims=True)},
            missed={
                "val": Misses(
                    *(part.sum(0, keepdims=True) for part in each.missed["val"])
                )
            },
        )
        for each in own.outcomes
    ]
    saved = as_values(figures(own))
    over_units = {
        "val": {
            method: {metric: row["over_units"] for metric, row in rows.items()}
            for method, rows in saved["val"].items()
        }
    }
    alone = dataclasses.replace(own, outcomes=summed, over_units=over_units)
    assert as_values(figures(alone)) == saved


def test_seeds_that_disagree_take_a_gain_away():
    sure = figures(results(outcomes(0.7)))["val"]["W"]["mean_iou"]
    assert sure.difference.low > 0
    assert sure.mark == "**"
    # The mean gain is larger, but one of the seeds has hardly any.
    torn = figures(results(outcomes(0.61, apart=0.25)))["val"]["W"]["mean_iou"]
    assert torn.difference.mean > sure.difference.mean
    assert torn.difference.low < 0
    assert torn.mark == ""
    assert torn.difference.seeds > 2


def test_less_severity_is_better_and_none_is_none():
    gain = figures(results(outcomes(0.7)))["val"]["W"]["expected_severity"]
    assert gain.difference.high < 0
    none = figures(results(outcomes(0.6)))["val"]["W"]["mean_iou"]
    assert (none.difference.mean, none.difference.p) == (0, 1)


def test_what_has_no_seed_is_compared_with_every_seed():
    runs = outcomes(0.7)
    runs = [r for r in runs if (r.method, r.seed) != ("W", 1)]
    found = figures(results(runs))["val"]["W"]["mean_iou"]
    assert len(found.values) == 1
    other = [
        scores(r.counts["val"].sum(0), CAMVID)["mean_iou"]
        for r in runs
        if r.method == "continued CE"
    ]
    assert found.difference.mean == pytest.approx(
        found.values[0] - np.mean(other)
    )
    assert not math.isnan(found.difference.low)


def test_drives_are_drawn_whole():
    runs = outcomes(0.7)
    # All of a gain is on drive B.
    for run in runs:
        own = run.counts["val"]
        for place, drive in enumerate(IMAGE_SET.drives):
            if drive == "A" and run.method == "W":
                own[place] = counts(0.6, 9)[place]
            elif drive == "A":
                own[place] = counts(0.6, 8)[place]
    by_image, by_drive = (
        figures(results(runs, resample=resample))["val"]["W"]["mean_iou"]
        for resample in ("images", "drives")
    )
    assert by_image.difference.mean == by_drive.difference.mean
    assert by_drive.difference.p > 0.1 > 0.05 > by_image.difference.p


def test_tests_are_corrected_for_all_of_them():
    runs = [
        dataclasses.replace(
            run, counts={"val": run.counts["val"], "other": counts(0.6, 4)}
        )
        for run in outcomes(0.7)
    ]
    found = figures(results(runs))
    tested = {
        (name, metric): each
        for name, methods in found.items()
        for metric, each in methods["W"].items()
        if each.corrected is not None
    }
    assert len(tested) == 4  # Two sets, two metrics, one method.
    least = min(tested.values(), key=lambda each: each.difference.p)
    assert least.corrected == pytest.approx(4 * least.difference.p)
    explored = figures(results(runs, exploratory=["val"]))
    assert explored["val"]["W"]["mean_iou"].corrected is None
    assert explored["val"]["W"]["mean_iou"].mark == "*"
    other = explored["other"]["W"]["mean_iou"]
    assert other.corrected == pytest.approx(min(1, 2 * other.difference.p))


def test_one_seed_shows_no_interval_and_tests_nothing():
    runs = [run for run in outcomes(0.7) if run.seed == 0]
    found = figures(results(runs))
    assert found["val"]["W"]["mean_iou"].corrected is None
    page = pages(results(runs), found)
    assert " to +" not in page
    assert "two is the least" in page
    assert "Holm" not in page


def test_the_page_says_what_it_shows():
    published = {"W": {"iou/car": 87.4}}
    own = dataclasses.replace(
        IMAGE_SET, shared="30 of the images judged on are training images"
    )
    shown = results(
        outcomes(0.7),
        published=published,
        notes="A note.",
        sets={"val": own},
        exploratory=["val"],
    )
    page = pages(shown, figures(shown))
    assert "| *published: W* | 87.4 |  |  |" in page
    assert page.count("\n| ") == 5
    assert "30 images of 2 drives, looked at while" in page
    assert "**Seen in training: 30 of the images judged on are training" in page
    assert page.rstrip().endswith("A note.")
    row = next(line for line in page.splitlines() if line.startswith("| W |"))
    cells = row.strip("| ").split(" | ")
    assert re.fullmatch(r"\d+\.\d ± \d+\.\d", cells[1])
    assert re.fullmatch(
        r"\d+\.\d ± \d+\.\d \(\+\d+\.\d\*: \+\d+\.\d to \+\d+\.\d\)", cells[2]
    )
    assert re.fullmatch(r"\d\.\d{3} ± .* \(-.*: -.* to -.*\)", cells[3])


def test_the_summary_is_one_table_of_tested_differences():
    shown = results(outcomes(0.7))
    head, _, row, *_ = summary(shown, figures(shown)).splitlines()
    assert head == "| method | mean IoU | severity |"
    assert re.fullmatch(r"\| W \| \+\d+\.\d\*\* \| -\d\.\d{3}\*\* \|", row)
    # With two sets, a cell has both, in the order that the key tells.
    runs = [
        dataclasses.replace(run, counts={**run.counts, "dusk": other})
        for run, other in zip(
            shown.outcomes,
            [run.counts["val"] for run in outcomes(0.4)],
            strict=True,
        )
    ]
    sets = {**shown.sets, "dusk": shown.sets["val"]}
    both = dataclasses.replace(shown, outcomes=runs, sets=sets)
    computed = figures(both)
    text = summary(both, computed)
    first, second = text.splitlines()[2].split(" | ")[1].split(" / ")
    for cell, name in ((first, "val"), (second, "dusk")):
        mean = computed[name]["W"]["mean_iou"].difference.mean
        assert cell.rstrip("*") == f"{100 * mean:+.1f}"
    assert first != second
    assert "\n\nCells: val / dusk. Differences" in text


def test_a_summary_of_the_trained_leaves_out_what_decides_by_d():
    runs = outcomes(0.7)
    decides = [
        dataclasses.replace(
            run, method="W, decided by D", recipe=f"decision: {LEAST_RISK}\n"
        )
        for run in runs
        if run.method == "W"
    ]
    shown = results([*runs, *decides])
    computed = figures(shown)
    assert "| W, decided by D |" in summary(shown, computed)
    trained = summary(shown, computed, trained=True)
    assert "decided" not in trained
    # The tests that a mark is corrected for stay those of all methods.
    assert "corrected for all 4 (Holm)" in trained
    # Where the start decides so, whatever goes on from it does, too.
    recipe = f"decision: {LEAST_RISK}\n"
    alike = results([dataclasses.replace(run, recipe=recipe) for run in runs])
    assert "| W |" in summary(alike, figures(alike), trained=True)


def test_values_are_plain_and_what_is_absent_is_null():
    runs = [run for run in outcomes(0.7) if run.seed == 0]
    row = as_values(figures(results(runs)))["val"]["W"]["mean_iou"]
    assert row["interval"] == [None, None]
    assert row["corrected_p"] is None
    assert row["mean"] == pytest.approx(np.mean(row["values"]))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("metrics=[iou/unicorn]", "unicorn"),
        ("tested=[iou/sky]", "`tested`.*iou/sky"),
    ],
)
def test_an_unknown_metric_is_refused(override, words):
    with pytest.raises(ConfigurationError, match=words):
        load("configs/tables/camvid_enet.yaml", [override])


def test_what_is_tabled_by_default_are_the_classes_own():
    plan = load("configs/tables/camvid_enet.yaml")
    assert metric_names(plan)[:4] == [
        "iou/car",
        "iou/pedestrian",
        "iou/bicyclist",
        "iou_group/4",
    ]
    two = {
        "classes": [
            {"name": name, "group": 2 if name == "car" else 1}
            for name in CAMVID.names
        ],
        "void": 11,
    }
    plan.data = dataclasses.replace(plan.data, classes=two)
    assert metric_names(plan) == [
        "iou/car",
        "iou_group/2",
        "merged_recall/2",
        "iou_group/1",
        "mean_iou",
        "expected_severity",
        MISSES,
    ]
    assert compared_metrics(plan)[0] == "iou_group/2"
