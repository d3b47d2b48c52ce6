"""What a loss does while it trains: by hand, and on a small comparison."""

import doctest
from pathlib import Path

import numpy as np
import pytest

from benchmarks import training_study
from benchmarks.ground_study import outputs, pull_shares
from benchmarks.training_study import LOST, draw, masses, study
from pipeline.config.data_options import DataOptions
from pipeline.experiments import run
from pipeline.experiments.frames import find_frames
from pipeline.experiments.plan import Experiment, Method
from wseg_tf import CAMVID, CrossEntropyLoss
from wseg_tf.data.streets import write_streets
from wseg_tf.training.loop import build_model
from wseg_tf.training.recipe import Recipe, Stage


def test_the_worked_examples_hold() -> None:
    assert doctest.testmod(training_study).failed == 0


def test_the_pull_of_cross_entropy_is_one_minus_p() -> None:
    car, road = CAMVID.index("car"), CAMVID.index("road")
    logits = np.zeros([3, 11], np.float32)
    logits[0, road] = np.log(10)  # Missed: p of the car is 1 / 20.
    logits[1, car] = np.log(10)  # Right: a half.
    logits[2, road] = np.log(40)  # Another class' pixel, right: 4 / 5.
    loss = CrossEntropyLoss(from_logits=True)
    found = pull_shares(loss, logits, np.array([car, car, road]), CAMVID)
    assert found["car"] == pytest.approx(0.95 / (0.95 + 0.5 + 0.2))
    assert found["pedestrian"] == 0


def test_a_class_without_pixels_has_no_mass() -> None:
    found = masses(np.zeros([1, 11], np.float32), np.array([0]), CAMVID)
    assert np.isnan(list(found["car"].values())).all()


def test_a_training_is_looked_at_from_its_start_to_what_it_ends_with(
    tmp_path: Path,
) -> None:
    write_streets(str(tmp_path / "data"), {"train": 4, "val": 2}, (32, 40))
    plan = Experiment(
        "tiny",
        str(tmp_path),
        DataOptions("camvid", str(tmp_path / "data")),
        start=Recipe(
            height=32, width=40, batch=2, channel_factor=0.25,
            stages=[Stage(epochs=1)],
        ),
        finetune=Stage(learning_rate=1e-3, epochs=2),
        methods=[
            Method("continued CE"),
            Method("W d", {"loss": "wasserstein"}),
        ],
        seeds=[3],
    )  # fmt: skip
    found = study(plan, "val")
    assert {name: len(looks) for name, looks in found.items()} == {
        "continued CE": 3,
        "W d": 3,
    }
    pure, plain = found["W d"], found["continued CE"]
    assert pure[0].mass == plain[0].mass
    assert pure[0].pull != plain[0].pull
    # What the comparison itself trains ends in the same place.
    ended = run.run(plan)[-1]
    recipe = plan.recipe(plan.methods[1], 3, ended.weights)
    logits, labels = outputs(
        plan, find_frames(plan), build_model(recipe, CAMVID), "val"
    )
    for name, places in masses(logits, labels, CAMVID).items():
        assert pure[-1].mass[name] == pytest.approx(places, abs=1e-4)
        assert sum(places.values()) == pytest.approx(1)
        assert 0 < places[LOST] < 1
    draw(found, CAMVID.critical, str(tmp_path / "training.png"))
    assert (tmp_path / "training.png").stat().st_size > 10_000
