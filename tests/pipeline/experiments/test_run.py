"""The order, the folders and the frames of a comparison's runs."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config.adaptation_config import DomainOptions
from pipeline.config.data_options import DataOptions, StreetsOptions
from pipeline.experiments import run
from pipeline.experiments.figures import rounds_of
from pipeline.experiments.plan import Experiment, Method
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.checks import DataError
from wseg_tf.data.streets import write_streets
from wseg_tf.plots import plot_rounds
from wseg_tf.training.recipe import Recipe, Stage


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streets")
    write_streets(str(folder), {"train": 8, "val": 2}, (32, 40), seed=3)
    return folder


@pytest.fixture
def plan(streets, tmp_path):
    return Experiment(
        "tiny",
        str(tmp_path),
        DataOptions("camvid", str(streets)),
        start=Recipe(height=32, width=40, batch=2),
        finetune=Stage(learning_rate=1e-3),
        methods=[
            Method("continued CE"),
            Method("W d^2", {"loss": "wasserstein"}, {"map": "power"}),
        ],
        seeds=[0, 1],
    )


@pytest.fixture
def trained(monkeypatch):
    """Real frames and counts; what is trained is one convolution."""
    recipes = []

    def build(recipe, classes):
        keras.utils.set_random_seed(recipe.seed)
        image = keras.Input([None, None, 3])
        logits = keras.layers.Conv2D(len(classes), 1, name="head")(
            keras.layers.Rescaling(1 / 255)(image)
        )
        model = keras.Model(image, logits)
        if recipe.initial is not None:
            model.load_weights(recipe.initial)
        return model

    def train(recipe, classes, training, **folders):
        recipes.append(recipe)
        run.tf.io.gfile.makedirs(folders["checkpoints"])
        return build(dataclasses.replace(recipe, initial=None), classes)

    monkeypatch.setattr(run, "build_model", build)
    monkeypatch.setattr(run, "train", train)
    return recipes


def test_every_method_starts_from_the_one_start(plan, trained):
    outcomes = run.run(plan)
    assert [(o.method, o.seed) for o in outcomes] == [
        ("start", 0),
        ("continued CE", 0),
        ("W d^2", 0),
        ("continued CE", 1),
        ("W d^2", 1),
    ]
    assert trained[0].initial is None
    starts = {recipe.initial for recipe in trained[1:]}
    assert len(starts) == 1
    assert starts.pop().endswith("model.weights.h5")
    assert all(o.counts["val"].shape == (2, 11, 11) for o in outcomes)


def test_a_bad_frame_is_refused_before_anything_is_trained(
    plan, trained, streets, tmp_path
):
    own = shutil.copytree(streets, tmp_path / "own")
    plan = dataclasses.replace(plan, data=DataOptions("camvid", str(own)))
    reported = run.find_frames(plan).reported["val"]
    with open(reported[-1].image, "rb+") as file:
        file.truncate(60)
    with pytest.raises(DataError, match=r"val.*ends early or is damaged"):
        run.run(plan)
    assert trained == []


def test_finished_runs_are_not_run_again(plan, trained):
    before = run.run(plan)
    after = run.run(plan)
    assert len(trained) == 5
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.counts["val"], new.counts["val"])
    plan.finetune.learning_rate = 2e-3
    run.run(plan)  # Another recipe: all but the start.
    assert len(trained) == 9


def test_a_decision_trains_nothing_and_follows_its_ground(plan, trained):
    # A missed sky costs so much that everything is called sky.
    everything = {"severities": [1e6, 1, 1, 1]}
    plan.methods += [
        Method("risk", {}, everything, decides="start"),
        Method("W risk", {}, everything, decides="W d^2"),
    ]
    outcomes = run.run(plan)
    assert [o.method for o in outcomes].count("risk") == 1
    assert [o.method for o in outcomes].count("W risk") == 2
    assert len(trained) == 5
    decided = next(o for o in outcomes if o.method == "risk")
    assert decided.counts["val"][..., 1:].sum() == 0
    *_, one, other = outcomes
    assert (one.method, other.method) == ("W d^2", "W risk")
    frame = tf.random.uniform([32, 40, 3], maxval=255)
    for outcome in (one, other):
        service = run.restore(plan, outcome)
        ids = service.predict(frame).numpy()
        assert (ids == 0).all() == (outcome is other)
        np.testing.assert_array_equal(
            service.weights[0].numpy(),
            run.restore(plan, one).weights[0].numpy(),
        )


def test_a_method_adapts_to_a_target_and_is_judged_on_it(plan, trained):
    drives = sorted({p.drive for p in run.find_frames(plan).training})
    plan.hold_out = drives[1:]
    plan.target = DomainOptions("camvid", drives=drives[1:], held_out=0.5)
    plan.adaptation.rounds = 2
    plan.methods = [
        Method("continued CE"),
        Method("CBST", adaptation={"method": "cbst"}),
        Method("LRENT", {"loss": "wasserstein"}, adaptation={"rounds": 1}),
    ]
    plan.seeds = [0]
    frames = run.find_frames(plan)
    assert {pair.drive for pair in frames.training} == {drives[0]}
    judged = {pair.name for pair in frames.reported[run.TARGET]}
    assert not judged & {pair.name for pair in frames.target}
    outcomes = run.run(plan)
    assert len(trained) == 2  # The start and continued CE.
    for outcome, rounds in ((outcomes[2], 2), (outcomes[3], 1)):
        assert set(outcome.counts) == {"val", run.TARGET}
        assert len(outcome.counts[run.TARGET]) == len(judged)
        assert [each["round"] for each in outcome.rounds] == [
            *range(1, rounds + 1)
        ]
        assert all(0 < each["kept_share"] <= 1 for each in outcome.rounds)
        assert all(0 <= each["label_accuracy"] <= 1 for each in outcome.rounds)
        before, after = (
            run.restore(plan, each).weights[0].numpy()
            for each in (outcomes[0], outcome)
        )
        assert not np.array_equal(before, after)
    drawn = rounds_of(plan, outcomes)
    assert {name: len(rows) for name, rows in drawn.items()} == {
        "CBST": 3,
        "LRENT": 2,
    }
    assert [len(row) for row in drawn["CBST"]] == [3, 3, 5]
    assert plot_rounds(drawn).axes


def test_a_target_that_is_nowhere_is_refused(plan, trained):
    plan.data.path = None
    plan.data.dataset = "streets"
    plan.target = DomainOptions("streets", streets=StreetsOptions())
    with pytest.raises(ConfigurationError, match=r"target\.path"):
        run.find_frames(plan)


def test_drives_are_held_out_and_reported_on(plan, trained):
    drives = sorted({p.drive for p in run.find_frames(plan).training})
    assert len(drives) > 1
    plan.hold_out = drives[:1]
    frames = run.find_frames(plan)
    assert {pair.drive for pair in frames.training} == set(drives[1:])
    held = frames.reported[run.HELD_OUT]
    assert {pair.drive for pair in held} == {drives[0]}
    assert set(run.run(plan)[-1].counts) == {"val", run.HELD_OUT}


@pytest.mark.parametrize("drives", [["S999"], None])
def test_drives_that_are_not_there_or_all_are_refused(plan, trained, drives):
    everything = {pair.drive for pair in run.find_frames(plan).training}
    plan.hold_out = drives or sorted(everything)
    with pytest.raises(ConfigurationError, match="hold_out"):
        run.find_frames(plan)
