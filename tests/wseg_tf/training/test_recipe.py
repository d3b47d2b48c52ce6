import dataclasses
from typing import Any

import keras
import pytest

from wseg_tf import configuration
from wseg_tf.classes import CAMVID
from wseg_tf.configuration import ConfigurationError
from wseg_tf.models import build
from wseg_tf.training.identity import identity
from wseg_tf.training.loop import build_model, check_parts
from wseg_tf.training.objectives import check
from wseg_tf.training.recipe import Execution, Recipe, Stage

STAGES: dict[str, dict[str, Any]] = {
    "`loss`. Expected one of": {"loss": "hinge"},
    "`optimizer`. Expected one of": {"optimizer": "lion"},
    "`schedule`. Expected one of": {"schedule": "linear"},
    "`average`. Expected one of": {"average": "mean"},
    "`freeze`. Expected one of": {"freeze": ["decoder"]},
    "`warmup`. Expected 0 <= warmup < epochs=1": {"warmup": 1.0},
    "`drops`. Expected epochs": {"schedule": "step"},
    "`drops`. Expected rising": {"schedule": "step", "drops": [2, 1]},
    "`drops`. Expected epochs after": {
        "epochs": 3,
        "schedule": "step",
        "drops": [1],
        "warmup": 1.0,
    },
    "`multipliers`. Expected none with optimizer='lamb'": {
        "optimizer": "lamb",
        "multipliers": {"head": 2.0},
    },
    "`patience`. Expected at least 1": {"patience": 0},
    "`average_decay`. Expected at least 0": {"average_decay": 1.0},
}


@pytest.mark.parametrize("said", STAGES)
def test_a_bad_stage_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="Invalid value") as caught:
        Stage(**STAGES[said])
    assert said in str(caught.value)


RECIPES: dict[str, dict[str, Any]] = {
    "`precision`. Expected one of": {"precision": "float8"},
    "`crop`. Expected at least 1": {"crop": (0, 4)},
    "`crop`. Expected at most (360, 480)": {"crop": (9999, 9999)},
    "`select`. Expected a metric": {"stages": [Stage(patience=2)]},
    "`evaluate_every`. Expected at least 1": {"evaluate_every": 0},
    "`channel_factor`. Expected above 0": {"channel_factor": 0.0},
    "`average`. Expected no 'swa' with mirrored replicas": {
        "stages": [Stage(average="swa")],
        "execution": Execution(distribute="mirrored"),
    },
}


@pytest.mark.parametrize("said", RECIPES)
def test_a_bad_recipe_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="Invalid value") as caught:
        Recipe(**RECIPES[said])
    assert said in str(caught.value)


def test_xla_and_replicas_are_refused_together() -> None:
    with pytest.raises(ValueError, match=r"`xla`\. Expected false"):
        Execution(xla=True, distribute="mirrored")


def test_where_there_is_a_gpu_is_found_out() -> None:
    assert Execution().xla == "auto"
    Execution(distribute="mirrored")  # Quietly without.
    for text, value in (("auto", "auto"), ("true", True), ("false", False)):
        read = configuration.load(
            Recipe, f"execution: {{xla: {text}}}", "text"
        ).execution.xla
        assert read is value or read == value == "auto"
    with pytest.raises(ValueError, match=r"`xla`.*\['auto'\].*xla='always'"):
        Execution(xla="always")


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (Stage(freeze=["encoder"]), r"`freeze`.*'encoder'.*own network"),
        (Stage(multipliers={"encodr": 0.1}), r"'encodr'; there are .'conv2d'"),
    ],
    ids=["freeze", "multipliers"],
)
def test_a_part_that_the_network_lacks_is_refused(
    stage: Stage, said: str
) -> None:
    layers = [keras.Input([4, 4, 3]), keras.layers.Conv2D(3, 1, name="conv2d")]
    model = keras.Sequential(layers, name="own network")
    with pytest.raises(ValueError, match=said):
        check_parts(model, stage)


def test_a_network_without_batch_normalisation_keeps_it_as_it_is() -> None:
    model = build("fcn32s", 3, width=0.05)
    check_parts(model, Stage(freeze=["batch_norm"]))
    assert all(layer.trainable for layer in model.layers)


def test_an_unknown_metric_is_refused_with_a_hint() -> None:
    with pytest.raises(ConfigurationError, match="did you mean `mean_iou`"):
        check(Recipe(select="mean_iuo"), CAMVID)


def test_a_metric_needs_data_to_judge_on() -> None:
    with pytest.raises(ConfigurationError, match="without validation data"):
        check(Recipe(select="mean_iou"), CAMVID, is_judged=False)


def test_every_field_survives_the_yaml() -> None:
    recipe = Recipe(
        crop=(32, 48),
        select="iou/car",
        stages=[
            Stage(
                multipliers={"head": 10.0},
                freeze=["batch_norm"],
                schedule="step",
                epochs=9,
                drops=[3.0, 6.0],
                patience=3,
            )
        ],
        execution=Execution(xla=True),
    )
    text = configuration.dump(recipe)
    assert configuration.load(Recipe, text, "text") == recipe


def test_how_it_runs_is_no_part_of_what_it_is() -> None:
    one = identity(Recipe(), CAMVID, "data")
    assert (
        identity(Recipe(execution=Execution(xla=True)), CAMVID, "data") == one
    )
    assert identity(Recipe(seed=1), CAMVID, "data") != one
    assert identity(Recipe(), CAMVID, "other") != one


def test_who_must_not_be_missed_counts_where_weights_are_selected() -> None:
    other = dataclasses.replace(CAMVID, critical_classes=("bicyclist",))
    for recipe, differs in (
        (Recipe(), False),
        (Recipe(select="critical_iou"), True),
    ):
        one, two = (identity(recipe, each, "data") for each in (CAMVID, other))
        assert (one != two) == differs


def test_a_recipe_decides_how_wide_the_network_is() -> None:
    slim = build_model(Recipe(channel_factor=0.25), CAMVID)
    assert slim.count_params() == build("enet", 11, width=0.25).count_params()
