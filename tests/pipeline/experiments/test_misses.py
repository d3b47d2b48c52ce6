"""What is missed is of the frames and the weights at hand, and kept."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config.data_options import DataOptions
from pipeline.experiments import misses
from pipeline.experiments.frames import find_frames
from pipeline.experiments.plan import Experiment, Method
from pipeline.experiments.run import START, Outcome
from tests.pipeline.experiments.test_tables import outcomes, results
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
    frames = {"val": "digest"}
    return Outcome(method, 0, {}, 0.0, "", str(weights), frames=frames)


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
    start, other, decided = (
        each.missed["val"] for each in misses.count(plan, frames, outcomes)
    )
    assert looked == [START, "continued CE", "decided"]
    assert start.regions.shape == (3, 11)
    assert start.regions.sum() > 0
    # All is missed as road; nothing where all is car; all as tree.
    np.testing.assert_array_equal(start.missed[..., ROAD], start.regions)
    np.testing.assert_array_equal(decided.missed[..., TREE], start.regions)
    assert other.missed.sum() == 0
    again = misses.count(plan, frames, outcomes)
    assert len(looked) == 3
    np.testing.assert_array_equal(again[0].missed["val"].missed, start.missed)
    outcome_of(tmp_path / "a", START, b"trained further")
    misses.count(plan, frames, outcomes[:1])
    others = dataclasses.replace(outcomes[0], frames={"val": "others"})
    misses.count(plan, frames, [others])
    assert looked[3:] == [START, START]


def test_the_table_has_means_changes_and_the_worst_confusions():
    cars = {START: [30], "continued CE": [15, 30], "W": [6, 9]}
    own = results(outcomes(0.7, missed=cars))
    text = misses.as_markdown(own)
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    # Of 30 images, with two cars each.
    assert rows == [
        "| start | 100.0 | 200.0 | car as road 100.0 |",
        "| continued CE | 75.0 | 200.0 | car as road 75.0 |",
        "| W | 25.0 (-67 %) | 200.0 | car as road 25.0 |",
    ]
    assert misses.as_markdown(results(outcomes(0.7))) == ""
