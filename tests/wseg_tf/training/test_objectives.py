import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wseg_tf import GroundMatrix, WassersteinLoss
from wseg_tf.classes import CAMVID, class_set
from wseg_tf.data.statistics import PixelStatistics
from wseg_tf.training.objectives import balance, build_ground, build_loss
from wseg_tf.training.recipe import LOSSES, GroundOptions, Stage

LOGITS = np.random.default_rng(0).normal(size=[2, 3, 4, 11]).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 12, [2, 3, 4])
GROUND = build_ground(GroundOptions(), CAMVID)


def test_the_severity_aware_preset_by_hand() -> None:
    assert GROUND.cost("pedestrian", "pole") == 4
    assert GROUND.cost("pedestrian", "car") == 2
    # Asymmetric: losing a pole is less severe than losing a pedestrian.
    assert GROUND.cost("pole", "pedestrian") == 2
    assert GROUND.cost("sky", "tree") == 1


def test_maps_are_applied_to_the_preset() -> None:
    square = build_ground(GroundOptions(map="power", exponent=2), CAMVID)
    assert square.cost("pedestrian", "pole") == 16
    huber = build_ground(GroundOptions(map="huber", tau=2), CAMVID)
    assert huber.cost("pedestrian", "pole") == 2 * (2 * 4 - 2)
    step = build_ground(GroundOptions(map="step"), CAMVID)
    assert set(step.values.ravel()) == {0, 1}


def test_factors_weigh_the_rows_of_their_classes_before_the_map() -> None:
    options = GroundOptions(factors={"pedestrian": 3, "pole": 0.5}, map="power")
    ground = build_ground(options, CAMVID)
    assert ground.cost("pedestrian", "pole") == 12**2
    assert ground.cost("pole", "pedestrian") == 1
    assert ground.cost("car", "pedestrian") == 4
    with pytest.raises(ValueError, match=r"Received: \['tram'\]"):
        build_ground(GroundOptions(factors={"tram": 2}), CAMVID)
    with pytest.raises(ValueError, match=r"`factors`\. Expected at least 0"):
        GroundOptions(factors={"car": -1})


def test_a_file_is_reordered_to_the_class_set(tmp_path: Path) -> None:
    path = tmp_path / "ground.csv"
    GROUND.subset(CAMVID.names[::-1]).to_csv(path)
    assert build_ground(GroundOptions(file=str(path)), CAMVID) == GROUND


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (CAMVID.names[:5], "Expected 11 classes.*Received: 5"),
        ((*CAMVID.names[:10], "dog"), r"\['bicyclist', 'dog'\]"),
    ],
)
def test_a_file_of_other_classes_is_refused(
    tmp_path: Path, names: tuple[str, ...], said: str
) -> None:
    path = tmp_path / "ground.yaml"
    size = len(names)
    GroundMatrix(np.ones([size, size]) - np.eye(size), names).to_yaml(path)
    with pytest.raises(ValueError, match=said):
        build_ground(GroundOptions(file=str(path)), CAMVID)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ValueError, match=r"nowhere.csv \(No such file"):
        build_ground(GroundOptions(file="nowhere.csv"), CAMVID)


def test_a_matrix_of_another_size_is_named() -> None:
    options = GroundOptions(matrix=[[0, 1], [1, 0]])
    with pytest.raises(ValueError, match=r"`ground.matrix`.*11 rows.*: 2"):
        build_ground(options, CAMVID)


@pytest.mark.parametrize(
    "given",
    [
        {"preset": "severity_aware", "file": "D.csv"},
        {"preset": "severity_aware", "matrix": [[0]]},
        {"file": "D.csv", "matrix": [[0]]},
        {"file": "D.csv", "severities": [1, 2, 3, 4]},
        {"matrix": [[0]], "severities": [1, 2, 3, 4]},
    ],
)
def test_a_ground_matrix_has_one_source(given: dict[str, Any]) -> None:
    first, second = given
    with pytest.raises(ValueError, match=f"`{second}`.*`{first}`"):
        GroundOptions(**given)
    # Given apart, the last one counts, and nothing of the other stays.
    replaced = GroundOptions.chosen({second: given[second]})
    if second != "severities":
        assert replaced[first] is None
        assert GroundOptions(**{first: given[first], **replaced})


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_the_recipe_is_blind_to_void(name: str) -> None:
    loss = build_loss(Stage(loss=name), GROUND, CAMVID)
    changed = LOGITS.copy()
    changed[CAMVID.void == LABELS] = 100.0
    before, after = float(loss(LABELS, LOGITS)), float(loss(LABELS, changed))
    assert np.isfinite(before)
    assert before > 0
    assert after == pytest.approx(before, rel=1e-5)


def test_a_mixture_is_the_sum_of_its_terms() -> None:
    def value(**stage: object) -> float:
        loss = build_loss(Stage(**stage), GROUND, CAMVID)  # type: ignore[arg-type]
        return float(loss(LABELS, LOGITS))

    mixed = value(loss="mixture", weight=0.3)
    apart = value(loss="cross_entropy") + 0.3 * value(loss="wasserstein")
    assert mixed == pytest.approx(apart, rel=1e-5)
    mixed = value(loss="lovasz_mixture", weight=0.3)
    apart = value(loss="weighted_lovasz") + 0.3 * value(loss="wasserstein")
    assert mixed == pytest.approx(apart, rel=1e-5)


def test_lovasz_by_importance_takes_the_rows_dearest_entries() -> None:
    found = [
        build_loss(Stage(loss=name), GROUND, CAMVID).class_weights
        for name in ("lovasz", "weighted_lovasz")
    ]
    assert found == [(1.0,) * 11, tuple(GROUND.values.max(axis=1))]


def test_balance_weighs_rows_of_the_ground_matrix() -> None:
    weights = np.linspace(0.5, 2.0, 11)
    loss = build_loss(Stage(loss="wasserstein"), GROUND, CAMVID, weights)
    direct = WassersteinLoss(
        GROUND.values * weights[:, None], from_logits=True, ignore_class=11
    )
    assert float(loss(LABELS, LOGITS)) == pytest.approx(
        float(direct(LABELS, LOGITS)), rel=1e-6
    )


def test_balance_has_mean_one_over_pixels() -> None:
    counts = [50, 30, 15, 4, 1, 7]
    frame = PixelStatistics.of_frame(counts, (1, 107))
    for weighting in ("logarithmic", "median_frequency"):
        weights = balance(frame, weighting)
        assert weights @ counts[:-1] == pytest.approx(100)
        assert (np.diff(weights) > 0).all()


FOUR_LEVELS = class_set(
    {
        "classes": [
            {"name": "ground", "group": 1},
            {"name": "crate", "group": 3},
            {"name": "forklift", "group": 7},
            {"name": "person", "group": 7},
            {"name": "stairs", "group": 5},
        ]
    }
)


@pytest.mark.parametrize("preset", ["severity_aware", "importance_aware"])
def test_severities_fit_whatever_groups_there_are(preset: str) -> None:
    words = GroundOptions(preset=preset)
    share = 0.5 if preset == "severity_aware" else 1.0
    ground = build_ground(words, FOUR_LEVELS)
    assert ground.cost("person", "ground") == 7
    assert ground.cost("person", "forklift") == share * 7
    assert ground.cost("ground", "person") == 1
    own = dataclasses.replace(words, severities=[0, 1, 20, 300])
    ground = build_ground(own, FOUR_LEVELS)
    # The least important level first: groups 1, 3, 5, 7.
    assert ground.values.max(axis=1).tolist() == [0, 1, 300, 300, 20]
    assert ground.cost("forklift", "person") == share * 300
    # The paper's four are what they were.
    assert build_ground(words, CAMVID) == build_ground(
        dataclasses.replace(words, severities=[1, 2, 3, 4]), CAMVID
    )


def test_severities_that_fit_no_groups_are_refused() -> None:
    few = GroundOptions(severities=[1, 2])
    said = r"`ground\.severities`.*`own`, \[1, 3, 5, 7\].*\[1, 2\]"
    with pytest.raises(ValueError, match=said):
        build_ground(few, FOUR_LEVELS)
    for cost in (-1.0, float("nan"), float("inf")):
        with pytest.raises(
            ValueError, match=r"`severities`. Expected at least 0"
        ):
            GroundOptions(severities=[1, cost])
