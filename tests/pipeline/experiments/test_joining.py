"""Seeds that were run apart are one table, if they differ in nothing else."""

import dataclasses
import os
import re

import numpy as np
import pytest
import yaml
from scipy import stats

from pipeline.commands.screen import USER_ERROR
from pipeline.experiments import results
from pipeline.experiments.joining import compared, joined
from pipeline.experiments.report import page
from pipeline.experiments.tables import figures
from tests.pipeline.experiments.test_command import (  # noqa: F401
    place,
    small_trainings,
    wseg,
)
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.streets import write_streets


@pytest.fixture
def ran(place, tmp_path):  # noqa: F811
    def run(name, *overrides):
        done = wseg(place / "plan.yaml", f"root={tmp_path / name}", *overrides)
        assert done.exit_code == 0, done.stderr
        return str(tmp_path / name / "tiny" / "results.json")

    return run


def test_seeds_run_apart_are_the_table_of_one_run(ran):
    whole = ran("whole", "starts=each", "seeds=[0,3]")
    # The later seed first: the order of the files decides nothing.
    parts = [
        ran(f"part{seed}", "starts=each", f"seeds=[{seed}]") for seed in (3, 0)
    ]
    found, expected = (
        joined([results.read(path) for path in paths])
        for paths in (parts, [whole])
    )
    assert re.search(r"Joined: seed 0 \(.*; seed 3 \(", found.notes)
    plain = dataclasses.replace(found, notes=None)
    assert page(plain, figures(plain)) == page(expected, figures(expected))
    assert page(found, figures(found)).strip() in wseg(*parts).stdout
    assert "2 seeds" in wseg(*parts, "--summary").stdout
    assert joined([expected]) is expected


def test_what_differs_in_more_is_refused(ran, place):  # noqa: F811
    first = ran("first", "starts=each")

    def refusal(*paths):
        refused = wseg(*paths)
        assert refused.exit_code == USER_ERROR
        assert refused.stderr.count("Received") == 1
        return " ".join(refused.stderr.split())

    assert "each start in one file" in refusal(first, first)
    other = ["starts=each", "seeds=[1]"]
    longer = ran("longer", *other, "finetune.epochs=7")
    assert "one recipe of 'A'" in refusal(first, longer)
    assert "same severity" in refusal(
        first, ran("D", *other, "severity.map=power")
    )
    assert "without its .npz" in refusal(first, _without_images(longer))
    plan = yaml.safe_load((place / "plan.yaml").read_text())
    plan["methods"] = plan["methods"][:1]
    fewer = place / "fewer.yaml"
    fewer.write_text(yaml.safe_dump(plan))
    done = wseg(fewer, f"root={place / 'fewer'}", *other)
    assert done.exit_code == 0
    path = place / "fewer" / "tiny" / "results.json"
    assert "the same methods" in refusal(first, path)
    # One start has a fine-tuning more than the other.
    more = ran("more", "start.seed=1", "seeds=[1,2]")
    assert "Received: [1, 2] of those of seeds [0, 1]" in refusal(first, more)
    assert "every method of each seed" in refusal(
        first, _cut(more, lambda run: (run.method, run.seed) != ("B", 2))
    )
    assert "a start, and after it what goes on" in refusal(
        first, _cut(more, lambda run: run.method != "start")
    )
    # Images of the same names, but others.
    write_streets(
        str(place / "others"), {"train": 6, "val": 2}, (32, 40), seed=5
    )
    swapped = ran("swapped", *other, f"data.path={place / 'others'}")
    assert "the same images" in refusal(first, swapped)


def test_fine_tunings_of_a_start_count_as_one(ran):
    parts = [
        results.read(
            ran(f"start{seed}", f"start.seed={seed}", f"seeds=[{seed},{other}]")
        )
        for seed, other in ((0, 10), (1, 11))
    ]
    whole = joined(parts)
    assert whole.starts_of("start") == [0, 1]
    assert whole.starts_of("A") == [0, 0, 1, 1]
    rows = figures(whole)["val"]
    # Of one start alone, its fine-tunings are what an interval is over.
    alone = [figures(each)["val"] for each in parts]
    for metric in whole.metrics:
        for method in ("start", "A", "B"):
            values = [row[method][metric].values for row in alone]
            assert {*map(len, values)} == {1 if method == "start" else 2}
            assert rows[method][metric].values == pytest.approx(
                np.mean(values, axis=1)
            )
        own, other = (np.array(rows[name][metric].values) for name in "BA")
        found = rows["B"][metric]
        assert found.difference.mean == pytest.approx((own - other).mean())
        # Two units, not four: t has one degree of freedom, and so have two
        # images.
        half = stats.t.ppf(0.975, 1) * np.sqrt(
            (own - other).var(ddof=1) / 2 + found.over_units
        )
        assert found.difference.high - found.difference.mean == pytest.approx(
            half
        )
    for shown in (whole, compared(whole, "start")):
        text = page(shown, figures(shown))
        assert "2 seeds of 2 fine-tunings each" in text


def test_what_a_start_decides_is_there_once_a_start(ran):
    methods = (
        "methods=[{name: A}, {name: S, decides: start}, {name: D, decides: A}]"
    )
    paths = [
        ran(
            f"{seed}", f"start.seed=2{seed}", f"seeds=[{seed},1{seed}]", methods
        )
        for seed in (0, 1)
    ]
    whole = joined([results.read(path) for path in paths])
    assert whole.starts_of("S") == [0, 1]
    assert whole.starts_of("D") == [0, 0, 1, 1]
    assert len(figures(whole)["val"]["S"]["mean_iou"].values) == 2
    # What decides for one fine-tuning is missed where it is not there.
    second = _cut(paths[1], lambda run: (run.method, run.seed) != ("D", 11))
    refused = wseg(paths[0], second)
    assert "seed 11, without ['D']" in " ".join(refused.stderr.split())


def test_results_of_before_images_were_told_join(ran):
    parts = [
        results.read(ran(f"old{seed}", "starts=each", f"seeds=[{seed}]"))
        for seed in (0, 1)
    ]
    old = dataclasses.replace(
        parts[0],
        outcomes=[
            dataclasses.replace(each, frames={}) for each in parts[0].outcomes
        ],
    )
    assert len(joined([old, parts[1]]).outcomes) == len(old.outcomes) * 2
    with pytest.raises(ConfigurationError, match="one recipe of 'start'"):
        joined([old, _other_weights(parts[1])])


def test_another_method_may_be_the_reference(ran):
    path = ran("referred", "starts=each", "seeds=[0,1]")
    found = results.read(path)
    other = figures(compared(found, "B"))["val"]["A"]["mean_iou"]
    own = figures(found)["val"]["B"]["mean_iou"]
    assert other.difference.mean == pytest.approx(-own.difference.mean)
    assert "Differences to B" in wseg(path, "--summary", "--reference=B").stdout
    for given, words in (
        ((path, "--reference=C"), "Expected one of ['start', 'A', 'B']"),
        ((_without_images(path), "--reference=B"), "without its .npz"),
        (("plan.yaml", "--reference=B"), "which takes reference=NAME"),
    ):
        refused = wseg(*given)
        assert refused.exit_code == USER_ERROR
        assert words in " ".join(refused.stderr.split())


def _cut(path, keeps):
    found = results.read(path)
    runs = [run for run in found.outcomes if keeps(run)]
    folder = os.path.join(os.path.dirname(path), "cut")
    results.write(dataclasses.replace(found, outcomes=runs), {}, folder)
    return os.path.join(folder, results.RESULTS)


def _without_images(path):
    alone = path.replace("results.json", "alone.json")
    with open(path) as source, open(alone, "w") as target:
        target.write(source.read())
    return alone


def _other_weights(part):
    def changed(outcome):
        recipe = {**yaml.safe_load(outcome.recipe), "initial": "other"}
        text = yaml.safe_dump(recipe)
        return dataclasses.replace(outcome, recipe=text)

    return dataclasses.replace(part, outcomes=[*map(changed, part.outcomes)])
