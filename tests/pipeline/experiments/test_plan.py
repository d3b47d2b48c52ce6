"""Every experiment of configs/tables is one that could be started."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.experiments.plan import load
from wseg_tf import CAMVID
from wseg_tf.configuration import ConfigurationError
from wseg_tf.ground import GroundMatrix
from wseg_tf.training.objectives import build_ground

TABLES = sorted(Path("configs/tables").glob("*.yaml"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_the_tables_of_the_repository_are_whole(path):
    plan = load(str(path))
    names = {method.name for method in plan.methods}
    for method, figures in plan.published.items():
        assert method in names or method.startswith("start")
        assert set(figures) <= {"mean_iou"} | {
            f"iou/{name}" for name in plan.data.class_set.names
        }


def test_methods_differ_from_the_start_in_what_they_say_alone():
    plan = load("configs/tables/camvid_enet.yaml")
    by_name = {method.name: method for method in plan.methods}
    square = plan.recipe(by_name["W d^2"], 2, "start.weights.h5")
    plain = plan.recipe(by_name["continued CE"], 2, "start.weights.h5")
    assert square.initial == "start.weights.h5"
    assert square.seed == plain.seed == 2
    assert square.stages[0].loss == "wasserstein"
    assert square.stages[0].epochs == plain.stages[0].epochs
    assert square.stages[0].learning_rate == plain.stages[0].learning_rate
    classes = plan.data.class_set
    linear = build_ground(plain.ground, classes).values
    assert (build_ground(square.ground, classes).values == linear**2).all()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seeds=[0,0]", "none twice"),
        ("seeds=[0,2147483648]", "seeds"),
        ("reference=nobody", "nobody"),
        ("methods=[]", "at least one"),
        ("methods=[{name: continued CE, stage: {losses: 1}}]", "losses"),
        ("methods=[{name: continued CE, stage: {loss: typo}}]", "typo"),
        ("methods=[{name: continued CE, ground: {map: cube}}]", "cube"),
        ("methods=[{name: W, stage: {epochs: 1}, decides: start}]", "decides"),
        ("methods=[{name: continued CE, decides: nobody}]", "nobody"),
        ("methods=[{name: continued CE, adaptation: {rounds: 1}}]", "target"),
        ("target={dataset: cityscapes}", "same classes"),
        ("start.model=unet", "unet"),
        ("epochs=3", "epochs"),
        ("resample=frames", "'images', 'drives'"),
        ("allow_shared=[city]", "city"),
        ("data.validation=own", "`data.validation`. Expected none"),
        ("severity={file: nowhere.yaml}", "nowhere.yaml"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_sentence(override, words):
    with pytest.raises(ConfigurationError, match=words):
        load("configs/tables/camvid_enet.yaml", [override])


def test_a_seed_too_large_is_refused_before_the_first_training():
    given = ["starts=each", "fine_tunings=2", f"seeds=[{2**31 - 1}]"]
    with pytest.raises(ValueError, match=r"`seed`.*2147483657"):
        load("configs/tables/camvid_enet.yaml", given)


def test_a_method_that_adapts_differs_in_its_rounds():
    plan = load("configs/tables/table3_camvid.yaml")
    method = plan.method("LRENT, W Huber(d)")
    rounds = plan.rounds(method)
    assert (rounds.method, rounds.stage.loss) == ("lrent", "wasserstein")
    assert rounds.stage.freeze == ["batch_norm"]
    assert plan.recipe(method, 1, "w").ground.map == "huber"
    words = "methods=[{name: A, adaptation: {turns: 3}}]"
    with pytest.raises(ConfigurationError, match="turns"):
        load("configs/tables/table3_camvid.yaml", [words, "reference=A"])


def test_paths_in_a_plan_are_relative_to_it(tmp_path, monkeypatch):
    matrix = tmp_path / "plans" / "costs.csv"
    matrix.parent.mkdir()
    rows = np.ones([11, 11]) - np.eye(11)
    GroundMatrix(rows, CAMVID).to_csv(matrix)
    path = matrix.parent / "plan.yaml"
    path.write_text(
        "name: own\nreference: A\ndata: {dataset: camvid, path: data}\n"
        "target: {dataset: camvid, path: dusk}\n"
        "start: {initial: w.weights.h5, ground: {file: costs.csv}}\n"
        "severity: {file: costs.csv}\n"
        "methods: [{name: A, ground: {file: costs.csv}}, {name: B}, "
        "{name: C, ground: {file: null}}]\n"
    )
    monkeypatch.chdir(tmp_path)
    plan = load(os.path.join("plans", "plan.yaml"))
    assert plan.data.path == str(tmp_path / "plans" / "data")
    assert plan.target.path == str(tmp_path / "plans" / "dusk")
    assert plan.start.initial == str(tmp_path / "plans" / "w.weights.h5")
    GroundMatrix(2 * rows, CAMVID).to_csv(matrix)  # It was read by then.
    for options in (
        plan.start.ground,
        plan.severity,
        plan.recipe(plan.methods[0], 0, "").ground,
    ):
        assert build_ground(options, CAMVID).values.tolist() == rows.tolist()
    preset = build_ground(plan.recipe(plan.methods[2], 0, "").ground, CAMVID)
    assert preset.values.max() == 4
    # What is typed is relative to where it is typed; so is the root.
    typed = load(str(path), data="here")
    assert typed.data.path == "here"
    assert typed.root == "runs/experiments"


def test_a_missing_file_is_named():
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml"):
        load("nowhere.yaml")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("stage={epochs: x}", "epochs"),
        ("stage={freeze: encoder}", "`freeze`.* Expected a list"),
        ("ground={factors: {car: {}}}", "`factors.car`.* Expected a number"),
        ("ground={severities: [1, a]}", "severities"),
        ("ground={file: [1]}", "`file`.* Expected text"),
        ("ground={fyle: x}", "did you mean `file`"),
        ("adaptation={rounds: []}", "`rounds`.* Expected a whole number"),
    ],
)
def test_what_a_method_changes_is_held_to_its_types(key: str, said: str):
    table = "configs/tables/table3_camvid.yaml"
    with pytest.raises(ConfigurationError, match=said) as found:
        load(table, [f"methods.0.{key}"], "/data")
    assert "Invalid method `" in str(found.value)
    assert "\n" not in str(found.value)
