"""The order, the folders and the frames of a comparison's runs."""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipeline.config.adaptation_config import DomainOptions
from pipeline.config.data_options import DataOptions, StreetsOptions
from pipeline.experiments import keys, run
from pipeline.experiments.figures import rounds_of
from pipeline.experiments.frames import HELD_OUT, TARGET, find_frames
from pipeline.experiments.plan import Experiment, Method
from tests.pipeline.experiments import small
from wseg_tf import CAMVID
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.checks import DataError
from wseg_tf.data.streets import write_streets
from wseg_tf.ground import GroundMatrix
from wseg_tf.plots import plot_rounds
from wseg_tf.training import identity
from wseg_tf.training.recipe import GroundOptions, Recipe, Stage


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

    def train(recipe, *given, **folders):
        recipes.append(recipe)
        return small.train(recipe, *given, **folders)

    monkeypatch.setattr(run, "build_model", small.build)
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


def test_each_seed_may_have_a_start_of_its_own(plan, trained):
    plan.starts = "each"
    plan.methods.append(Method("start, decided by D", decides="start"))
    plan.seeds = [4, 1]
    outcomes = run.run(plan)
    assert [(o.method, o.seed) for o in outcomes] == [
        (name, seed)
        for seed in (4, 1)
        for name in ("start", "continued CE", "W d^2", "start, decided by D")
    ]
    begun = {o.seed: o.weights for o in outcomes if o.method == "start"}
    assert begun[4] != begun[1]
    for recipe in trained:
        if recipe.initial is not None:
            assert recipe.initial == begun[recipe.seed]
    # Deciding, its start is the one of its seed.
    for outcome in outcomes:
        if outcome.method == "start, decided by D":
            assert outcome.weights == begun[outcome.seed]
    assert run.recipe_of(plan, outcomes[0]).seed == 4
    assert len(trained) == 6
    # One start for all is one of these: it is found, not trained anew.
    plan.starts, plan.start.seed = "one", 1
    again = run.run(plan)
    assert again[0].weights == begun[1]


def test_each_start_may_be_fine_tuned_several_times(plan, trained):
    plan.methods.append(Method("start, decided by D", decides="start"))
    plan.methods.append(Method("CE, decided by D", decides="continued CE"))
    plan = dataclasses.replace(plan, starts="each", fine_tunings=2)
    outcomes = run.run(plan)
    each = ("continued CE", "W d^2", "CE, decided by D")
    assert [(o.method, o.seed) for o in outcomes] == [
        (name, seed)
        for start in (0, 1)
        for name, seed in (
            ("start", start),
            *((name, start) for name in each[:2]),
            ("start, decided by D", start),
            (each[2], start),
            *((name, start + 10) for name in each),
        )
    ]
    begun = {o.seed: o.weights for o in outcomes if o.method == "start"}
    for recipe in trained:
        if recipe.initial is not None:
            assert recipe.initial == begun[recipe.seed % 10]
    # It is the table of each start fine-tuned alone.
    apart = [
        outcome
        for seed in (0, 1)
        for outcome in run.run(
            dataclasses.replace(
                plan,
                starts="one",
                start=dataclasses.replace(plan.start, seed=seed),
                seeds=[seed, seed + 10],
                fine_tunings=1,
            )
        )
    ]
    assert [o.weights for o in apart] == [o.weights for o in outcomes]
    assert len(trained) == 2 + 2 * 2 * 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fine_tunings": 2}, "Expected 1 with one start"),
        ({"fine_tunings": 0, "starts": "each"}, "at least 1"),
        (
            {"fine_tunings": 3, "starts": "each", "seeds": [0, 3, 20]},
            r"not 10, 20, ... apart.*of which \[20\] come twice",
        ),
    ],
)
def test_fine_tunings_have_seeds_of_their_own(plan, given, said):
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(plan, **given)


def test_a_bad_frame_is_refused_before_anything_is_trained(
    plan, trained, streets, tmp_path
):
    own = shutil.copytree(streets, tmp_path / "own")
    plan = dataclasses.replace(plan, data=DataOptions("camvid", str(own)))
    reported = find_frames(plan).reported["val"]
    with open(reported[-1].image, "rb+") as file:
        file.truncate(60)
    with pytest.raises(DataError, match=r"val.*expected a whole image"):
        run.run(plan)
    assert trained == []


def test_finished_runs_are_not_run_again(plan, trained, monkeypatch):
    before = run.run(plan)
    monkeypatch.setattr(run, "_count", None)  # Nor counted.
    after = run.run(plan)
    assert len(trained) == 5
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.counts["val"], new.counts["val"])


def test_results_stand_wherever_they_and_the_data_lie(
    plan, trained, streets, tmp_path, monkeypatch
):
    before = run.run(plan)
    shutil.copytree(plan.root, tmp_path / "moved" / "runs")
    data = shutil.copytree(streets, tmp_path / "moved" / "data")
    for path in data.rglob("*.png"):
        os.utime(path)  # Copied without its date.
    monkeypatch.chdir(tmp_path / "moved")
    plan.root = "runs"
    plan.data = dataclasses.replace(plan.data, path="data")
    plan.methods[1].name = "another name"
    plan.reference = "another name"
    after = run.run(plan)
    assert len(trained) == 5
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.counts["val"], new.counts["val"])
        assert old.recipe == new.recipe


# What is changed, and how many trainings that asks for: 5 are all, 4 all but
# the start, 0 none.
def _edit_label(plan):
    path = Path(find_frames(plan).training[0].label)
    before = path.stat()
    label = np.array(Image.open(path))
    label[:, : label.shape[1] // 2] = CAMVID.index("sky")
    Image.fromarray(label).save(path)
    # Even with its old date.
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _edit_evaluation_label(plan):
    path = find_frames(plan).reported["val"][0].label
    label = np.array(Image.open(path))
    Image.fromarray(np.full_like(label, CAMVID.index("car"))).save(path)


def _swap_data(plan):
    shutil.rmtree(plan.data.path)
    write_streets(plan.data.path, {"train": 8, "val": 2}, (32, 40), seed=4)


def _reorder_classes(plan):
    given = CAMVID.as_dict()
    given["classes"] = given["classes"][::-1]
    _write_description(plan, given)


def _write_description(plan, classes):
    Path(plan.data.dataset).write_text(
        "images: '{split}/{drive}_{name}.png'\n"
        "labels: '{split}annot/{drive}_{name}.png'\n"
        f"classes: {keys.json.dumps(classes)}\n"
    )
    plan.data = dataclasses.replace(plan.data)  # It is read once.


def _regroup(plan):
    given = CAMVID.as_dict()
    given["classes"][0]["group"] = 4
    _write_description(plan, given)


def _recolour(plan):
    given = CAMVID.as_dict()
    given["classes"][0]["colour"] = [1, 2, 3]
    _write_description(plan, given)


def _edit_ground(plan):
    matrix = 3.0 * (1 - np.eye(11))
    GroundMatrix(matrix, CAMVID).to_csv(plan.methods[1].ground["file"])


def _evaluate_on_another_split(plan):
    folder = Path(plan.data.path)
    for kind in ("", "annot"):
        shutil.copytree(folder / f"val{kind}", folder / f"test{kind}")
    next((folder / "test").glob("*")).rename(folder / "test" / "S9_0.png")
    next((folder / "testannot").glob("*")).rename(
        folder / "testannot" / "S9_0.png"
    )
    plan.data = dataclasses.replace(plan.data, eval="test")


def _damage_the_start(plan):
    found = next(Path(plan.root).rglob("start*/*.weights.h5"))
    with open(found, "ab") as file:
        file.write(b" ")


CHANGES = {
    _edit_label: (5, 5),
    _edit_evaluation_label: (0, 5),
    _swap_data: (5, 5),
    _reorder_classes: (5, 5),
    _regroup: (5, 5),
    _recolour: (0, 0),
    _edit_ground: (2, 2),
    _evaluate_on_another_split: (0, 5),
    _damage_the_start: (1, 0),  # Trained again, it is the same.
    lambda plan: setattr(plan.finetune, "learning_rate", 2e-3): (4, 4),
    lambda plan: setattr(plan.start, "height", 40): (5, 5),
    lambda plan: setattr(plan, "seeds", [0, 2]): (2, 2),
    lambda plan: plan.hold_out.append("S000"): (5, 10),
    lambda plan: setattr(plan, "severity", GroundOptions("importance_aware")): (
        0,
        0,
    ),
}


@pytest.mark.parametrize(
    ("change", "expected"),
    CHANGES.items(),
    ids=lambda each: getattr(each, "__name__", None),
)
def test_what_a_figure_depends_on_is_what_it_is_kept_by(
    plan, trained, streets, tmp_path, monkeypatch, change, expected
):
    counted = []

    def count(service, pairs, plan, name):
        counted.append(name)
        return np.array([[[Path(p.label).stat().st_size]] for p in pairs])

    monkeypatch.setattr(run, "_count", count)
    monkeypatch.setattr(run, "_serve", lambda *given: None)
    folder = shutil.copytree(streets, tmp_path / "data")
    matrix = str(tmp_path / "costs.csv")
    GroundMatrix(1 - np.eye(11), CAMVID).to_csv(matrix)
    plan.methods[1].ground = {"file": matrix}
    plan.data = DataOptions(str(tmp_path / "data.yaml"), str(folder))
    _write_description(plan, CAMVID.as_dict())
    run.run(plan)
    assert (len(trained), len(counted)) == (5, 5)
    change(plan)
    outcomes = run.run(plan)
    assert (len(trained) - 5, len(counted) - 5) == expected
    reported = find_frames(plan).reported
    for outcome in outcomes:
        assert set(outcome.counts) == set(reported)
        for name, pairs in reported.items():
            np.testing.assert_array_equal(
                outcome.counts[name], count(None, pairs, plan, name)
            )


def test_weights_to_start_from_count_by_content(plan, tmp_path):
    found = []
    for content, folder in (("a", "own"), ("b", "own"), ("a", "moved")):
        path = tmp_path / folder / "w.weights.h5"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        recipe = dataclasses.replace(plan.start, initial=str(path))
        digests = {keys.TRAINING: "frames"}
        key = keys.weights_key(plan, Method("start"), recipe, digests)
        found.append(keys.short(key))
    first, other, moved = found
    assert first != other
    assert first == moved


def test_frames_that_change_while_it_runs_make_no_figure(
    plan, trained, streets, tmp_path, monkeypatch
):
    folder = shutil.copytree(streets, tmp_path / "own")
    plan.data = DataOptions("camvid", str(folder))
    label = find_frames(plan).training[3].label
    count = run._count

    def edit_then_count(*given):
        date = Path(label).stat().st_mtime_ns
        os.utime(label, ns=(date, date))  # As who restores the date does.
        return count(*given)

    monkeypatch.setattr(run, "_count", edit_then_count)
    with pytest.raises(DataError, match=Path(label).name):
        run.run(plan)
    assert not list(Path(plan.root).rglob("counts-*.npz"))


def test_other_code_makes_other_figures(plan, trained, monkeypatch):
    run.run(plan)
    monkeypatch.setattr(identity, "code_digest", lambda: "other")
    run.run(plan)
    assert len(trained) == 10


def test_counts_and_weights_under_the_name_of_others_are_not_theirs(
    plan, trained
):
    start, *_, last = run.run(plan)
    own, other = (Path(each.weights).parent for each in (last, start))
    (counts,) = own.glob("counts-*.npz")
    shutil.copy(next(other.glob("counts-*.npz")), counts)
    *_, again = run.run(plan)
    np.testing.assert_array_equal(again.counts["val"], last.counts["val"])
    counts.write_bytes(counts.read_bytes()[:-30])
    *_, again = run.run(plan)
    np.testing.assert_array_equal(again.counts["val"], last.counts["val"])
    assert len(trained) == 5
    shutil.rmtree(own)
    shutil.copytree(other, own)
    run.run(plan)
    assert len(trained) == 6


def test_weights_that_were_changed_are_trained_anew(plan, trained):
    *_, last = run.run(plan)
    with open(last.weights, "ab") as file:
        file.write(b" ")
    run.run(plan)
    assert len(trained) == 6


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
    drives = sorted({p.drive for p in find_frames(plan).training})
    plan.hold_out = drives[1:]
    plan.target = DomainOptions("camvid", drives=drives[1:], held_out=0.5)
    plan.adaptation.rounds = 2
    plan.methods = [
        Method("continued CE"),
        Method("CBST", adaptation={"method": "cbst"}),
        Method("LRENT", {"loss": "wasserstein"}, adaptation={"rounds": 1}),
    ]
    plan.seeds = [0]
    frames = find_frames(plan)
    assert {pair.drive for pair in frames.training} == {drives[0]}
    judged = {pair.name for pair in frames.reported[TARGET]}
    assert not judged & {pair.name for pair in frames.target}
    outcomes = run.run(plan)
    assert len(trained) == 2  # The start and continued CE.
    for outcome, rounds in ((outcomes[2], 2), (outcomes[3], 1)):
        assert set(outcome.counts) == {"val", TARGET}
        assert len(outcome.counts[TARGET]) == len(judged)
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


def test_what_is_reported_on_must_not_be_trained_on(plan, trained, streets):
    plan.data = dataclasses.replace(plan.data, eval="train")
    with pytest.raises(ConfigurationError, match=r"`train`.*8 of.*\[image\]"):
        run.run(plan)
    assert trained == []
    plan.allow_shared = ["image"]
    frames = find_frames(plan)
    assert frames.shared["train"].sentence.startswith("8 of the images")
    assert all(len(o.counts["train"]) == 8 for o in run.run(plan))


def test_a_copy_of_a_training_image_is_found(plan, streets, tmp_path):
    folder = shutil.copytree(streets, tmp_path / "copy")
    plan.data = dataclasses.replace(plan.data, path=str(folder))
    frames = find_frames(plan)
    own, judged = frames.training[0], frames.reported["val"][0]
    shutil.copy(own.image, judged.image)
    with pytest.raises(ConfigurationError, match=judged.name):
        find_frames(plan)


def test_a_target_must_not_be_judged_on_what_it_labels(plan, streets):
    plan.target = DomainOptions("camvid", train="val", eval="val")
    with pytest.raises(ConfigurationError, match="`val`"):
        find_frames(plan)


def test_one_drive_cannot_be_drawn_anew(plan, trained):
    plan.resample = "drives"
    assert find_frames(plan).shared["val"].sentence == ""
    plan.data = dataclasses.replace(plan.data, limit=1)
    with pytest.raises(ConfigurationError, match=r"`resample`.*`val`"):
        find_frames(plan)


def test_a_split_must_not_pass_for_another_set(plan, streets, tmp_path):
    folder = shutil.copytree(streets, tmp_path / "named")
    for kind in ("", "annot"):
        (folder / f"val{kind}").rename(folder / f"target{kind}")
    plan.data = DataOptions("camvid", str(folder), eval="target")
    plan.target = DomainOptions("camvid", train="train", held_out=0.5)
    with pytest.raises(ConfigurationError, match=r"data\.eval.*'target'"):
        find_frames(plan)


def test_a_target_that_is_nowhere_is_refused(plan, trained):
    plan.data.path = None
    plan.data.dataset = "streets"
    plan.target = DomainOptions("streets", streets=StreetsOptions())
    with pytest.raises(ConfigurationError, match=r"target\.path"):
        find_frames(plan)


def test_drives_are_held_out_and_reported_on(plan, trained):
    drives = sorted({p.drive for p in find_frames(plan).training})
    assert len(drives) > 1
    plan.hold_out = drives[:1]
    frames = find_frames(plan)
    assert {pair.drive for pair in frames.training} == set(drives[1:])
    held = frames.reported[HELD_OUT]
    assert {pair.drive for pair in held} == {drives[0]}
    assert set(run.run(plan)[-1].counts) == {"val", HELD_OUT}


@pytest.mark.parametrize("drives", [["S999"], None])
def test_drives_that_are_not_there_or_all_are_refused(plan, trained, drives):
    everything = {pair.drive for pair in find_frames(plan).training}
    plan.hold_out = drives or sorted(everything)
    with pytest.raises(ConfigurationError, match="hold_out"):
        find_frames(plan)
