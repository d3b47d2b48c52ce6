"""What is missed is of the frames and the weights at hand, and kept."""

import json

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config.data_options import DataOptions
from pipeline.experiments import misses
from pipeline.experiments.frames import find_frames
from pipeline.experiments.misses import Missed
from pipeline.experiments.plan import Experiment, Method
from pipeline.experiments.run import START, Outcome
from wseg_tf import CAMVID
from wseg_tf.data.streets import write_streets
from wseg_tf.training.recipe import Recipe

CAR, ROAD, TREE = (CAMVID.index(name) for name in ("car", "road", "tree"))


class Everything:
    """A model that gives every pixel one class."""

    def __init__(self, given):
        self.given = given

    def predict(self, image):
        return tf.fill(tf.shape(image)[:2], tf.constant(self.given, tf.uint8))


@pytest.fixture
def plan(tmp_path):
    streets = tmp_path / "streets"
    write_streets(str(streets), {"train": 2, "val": 3}, (96, 128), seed=3)
    return Experiment(
        "tiny",
        str(tmp_path / "runs"),
        DataOptions("camvid", str(streets)),
        start=Recipe(height=96, width=128, batch=2),
        methods=[Method("continued CE"), Method("decided", decides=START)],
        seeds=[0],
    )


def outcome_of(folder, method, content=b"weights"):
    folder.mkdir(exist_ok=True)
    weights = folder / "model.weights.h5"
    weights.write_bytes(content)
    return Outcome(method, 0, {}, 0.0, "", str(weights))


def test_they_are_counted_once_for_each_model_and_decision(
    plan, tmp_path, monkeypatch
):
    given = {START: ROAD, "continued CE": CAR, "decided": TREE}
    looked = []

    def restore(plan, outcome):
        looked.append(outcome.method)
        return Everything(given[outcome.method])

    monkeypatch.setattr(misses.run, "restore", restore)
    frames = find_frames(plan)
    outcomes = [
        outcome_of(tmp_path / "a", START),
        outcome_of(tmp_path / "b", "continued CE", b"others"),
        # The start's weights in the start's folder, and another decision.
        outcome_of(tmp_path / "a", "decided"),
    ]
    found = misses.count(plan, frames, outcomes)["val"]
    assert looked == [START, "continued CE", "decided"]
    [start], [other], [decided] = (found[each.method] for each in outcomes)
    assert start.regions.shape == (3, 11)
    assert start.regions.sum() > 0
    # All is missed as road; nothing where all is car; all as tree.
    by_class = start.regions.sum(axis=0)
    np.testing.assert_array_equal(start.missed[..., ROAD], start.regions)
    np.testing.assert_array_equal(decided.missed[..., TREE], start.regions)
    assert other.missed.sum() == 0
    assert start.per_100 == pytest.approx(100 * by_class.sum() / 3)
    again = misses.count(plan, frames, outcomes)["val"]
    assert len(looked) == 3
    assert again[START][0].per_100 == start.per_100
    outcome_of(tmp_path / "a", START, b"trained further")
    misses.count(plan, frames, outcomes[:1])
    assert looked[3:] == [START]


def runs_of(*missed):
    """Runs over two images of four regions; so many cars called road."""
    runs = []
    for count in missed:
        regions = np.zeros([2, 11], np.int64)
        regions[:, CAR] = 2
        own = np.zeros([2, 11, 11], np.int64)
        own[0, CAR, ROAD] = count
        runs.append(Missed(regions, own))
    return runs


def test_the_table_has_means_changes_and_the_worst_confusions():
    found = {"val": {START: runs_of(4), "CE": runs_of(2, 4), "W": runs_of(1)}}
    text = misses.as_markdown(found, CAMVID, "CE")
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert rows == [
        "| start | 200.0 | 200.0 | car as road 200.0 |",
        "| CE | 150.0 | 200.0 | car as road 150.0 |",
        "| W | 50.0 (-67 %) | 200.0 | car as road 50.0 |",
    ]


def test_json_holds_every_run():
    content = json.loads(misses.as_text({"val": {"CE": runs_of(2, 4)}}))
    first, second = content["val"]["CE"]
    assert (first["per_100"], second["per_100"]) == (100.0, 200.0)
    assert first["images"] == 2
    assert second["missed"][CAR][ROAD] == 4
