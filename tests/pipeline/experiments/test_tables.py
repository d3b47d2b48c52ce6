"""Figures by hand, and what the paired test says of known differences."""

import dataclasses

import numpy as np
import pytest

from pipeline.experiments.plan import load
from pipeline.experiments.run import START, Outcome
from pipeline.experiments.tables import (
    as_json,
    as_markdown,
    check_metrics,
    figures,
)
from wseg_tf import CAMVID
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
IMAGES = 30


def counts(hits, seed):
    """Counts of images whose pixels are right with a probability."""
    random = np.random.default_rng(seed)
    found = np.zeros([IMAGES, 11, 11], np.int64)
    for image in found:
        right = random.binomial(100, hits, 11)
        image[np.arange(11), np.arange(11)] = right
        image[np.arange(11), (np.arange(11) + 1) % 11] += 100 - right
    return found


def outcomes(better):
    hits = {START: 0.5, "continued CE": 0.6, "W": better}
    return [
        Outcome(name, seed, {"val": counts(share, seed)}, 1.0, "", "")
        for name, share in hits.items()
        for seed in ((0,) if name == START else (0, 1))
    ]


def test_means_are_over_seeds_and_differences_over_pooled_counts():
    runs = outcomes(0.7)
    found = figures(PLAN, runs, "val")["W"]["iou/car"]
    ground = build_ground(PLAN.severity, CAMVID).values
    own = [run.counts["val"] for run in runs if run.method == "W"]
    expected = [scores(c.sum(0), CAMVID, ground)["iou/car"] for c in own]
    assert found.values == pytest.approx(tuple(expected))
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.spread == pytest.approx(np.std(expected, ddof=1))
    other = sum(r.counts["val"] for r in runs if r.method == "continued CE")
    apart = (
        scores(sum(own).sum(0), CAMVID, ground)["iou/car"]
        - scores(other.sum(0), CAMVID, ground)["iou/car"]
    )
    assert found.difference == pytest.approx(apart)


def test_a_real_gain_is_told_from_none():
    gain = figures(PLAN, outcomes(0.7), "val")["W"]
    assert gain["mean_iou"].low > 0
    assert gain["mean_iou"].worse == 0
    assert gain["expected_severity"].high < 0
    assert gain["expected_severity"].worse == 0
    none = figures(PLAN, outcomes(0.6), "val")["W"]["mean_iou"]
    assert none.difference == pytest.approx(0)  # The same counts.
    assert none.worse == 1


def test_the_table_holds_published_figures_beside_ours():
    plan = load(
        "configs/tables/camvid_enet.yaml",
        [
            "methods=[{name: continued CE}, {name: W}]",
            "metrics=[iou/car, mean_iou]",
            "published={W: {iou/car: 87.4}}",
        ],
    )
    table = as_markdown(plan, figures(plan, outcomes(0.7), "val"), "val")
    assert "| *published: W* | 87.4 |  |" in table
    assert table.count("\n| ") == 5


def test_json_gives_each_run_its_recipe_and_counts():
    runs = outcomes(0.7)
    found = {"val": figures(PLAN, runs, "val")}
    content = as_json(PLAN, runs, found, "two cores")
    assert len(content["runs"]) == 5
    place = dataclasses.replace(
        runs[0], recipe=f"initial: {PLAN.root}/tiny/model.weights.h5"
    )
    shared = as_json(PLAN, [place], found, "two cores")["runs"][0]["recipe"]
    assert shared == "initial: tiny/model.weights.h5"
    assert np.sum(content["runs"][0]["counts"]["val"]) == IMAGES * 1100
    row = content["figures"]["val"]["W"]["mean_iou"]
    assert len(row["values"]) == 2


def test_an_unknown_metric_is_refused():
    plan = load("configs/tables/camvid_enet.yaml", ["metrics=[iou/unicorn]"])
    with pytest.raises(ValueError, match="unicorn"):
        check_metrics(plan, CAMVID)
