"""Results that are read again give the figures they were written with."""

import dataclasses
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.experiments.joining import joined
from pipeline.experiments.plan import MISSES, START
from pipeline.experiments.report import draw
from pipeline.experiments.report import page as page_of
from pipeline.experiments.results import COUNTS, RESULTS, read, write
from pipeline.experiments.tables import as_values, figures, summary
from tests.pipeline.experiments.test_tables import (
    GROUND,
    IMAGES,
    outcomes,
    results,
)
from wseg_tf import CAMVID
from wseg_tf.configuration import ConfigurationError
from wseg_tf.metrics.table import scores

CARS = {START: [30], "continued CE": [15, 18], "W": [6, 9]}


@pytest.fixture
def written(tmp_path):
    own = results(
        outcomes(0.7, apart=0.02, missed=CARS),
        notes="A note.",
        metrics=["iou/car", "mean_iou", "expected_severity", MISSES],
    )
    write(own, as_values(figures(own)), str(tmp_path))
    return own, tmp_path


def test_what_is_read_shows_the_same_tables(written):
    own, folder = written
    page = page_of(own, figures(own))
    assert "car as road" in page
    found = read(str(folder / RESULTS))
    assert found.over_units is None
    assert page_of(found, figures(found)) == page
    # Without the counts of each image too: their share was saved.
    (folder / COUNTS).unlink()
    alone = read(str(folder / RESULTS))
    assert alone.over_units is not None
    assert page_of(alone, figures(alone)) == page


def test_counts_of_each_image_give_figures_that_were_not_asked_for(written):
    _, folder = written
    found = dataclasses.replace(
        read(str(folder / RESULTS)), metrics=["iou/sky"], tested=["iou/sky"]
    )
    row = figures(found)["val"]["W"]["iou/sky"]
    assert not math.isnan(row.difference.low)
    by_drive = dataclasses.replace(found, resample="drives")
    other = figures(by_drive)["val"]["W"]["iou/sky"]
    assert other.difference.low != row.difference.low


def test_the_file_says_what_its_figures_are_of(written):
    own, folder = written
    content = json.loads((folder / RESULTS).read_text())
    assert content["severity"] == GROUND
    assert [each["name"] for each in content["classes"]["classes"]] == list(
        CAMVID.names
    )
    run = content["outcomes"][1]
    assert "weights" not in run
    assert np.sum(run["counts"]["val"]) == IMAGES * 1100
    # A line for each run, whatever it holds.
    lines = (folder / RESULTS).read_text().splitlines()
    assert len(lines) < len(content) + len(own.outcomes) + 5
    # Its own figures follow from its own counts.
    row = content["figures"]["val"]["W"]["mean_iou"]
    assert row["values"] == pytest.approx(
        [
            scores(each["counts"]["val"], CAMVID)["mean_iou"]
            for each in content["outcomes"]
            if each["method"] == "W"
        ]
    )


def test_counts_are_kept_in_few_bytes(written):
    _, folder = written
    # 5 runs of 30 images of 11 x 11 numbers up to 100.
    assert (folder / COUNTS).stat().st_size < 5 * 30 * 121


def test_counts_of_other_runs_are_refused(written):
    _, folder = written
    other = results(outcomes(0.8, missed=CARS))
    elsewhere = folder / "other"
    write(other, as_values(figures(other)), str(elsewhere))
    shutil.copy(elsewhere / COUNTS, folder / COUNTS)
    with pytest.raises(ConfigurationError, match=r"results\.npz.*'W', seed 0"):
        read(str(folder / RESULTS))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("{}", "figures"),
        ("[1]", "Invalid results"),
        ("nothing", "Invalid results"),
    ],
)
def test_what_is_no_results_file_is_refused(tmp_path, content, words):
    path = tmp_path / "own.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=words):
        read(str(path))


SAVED = sorted(
    path
    for path in Path("docs/results").glob("*.json")
    if '"outcomes"' in path.read_text()
)


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_the_saved_figures_follow_from_the_saved_counts(path):
    content = json.loads(path.read_text())
    again = as_values(figures(read(str(path))))
    for name, methods in content["figures"].items():
        for method, row in methods.items():
            for metric, saved in row.items():
                for key, value in saved.items():
                    found = again[name][method][metric][key]
                    assert found == pytest.approx(value), (name, method, metric)


def _files(pattern):
    """Returns the files of a pattern, as a shell does."""
    return sorted(map(str, Path().glob(pattern)))


# What documents print, and the command that they say printed it.
PRINTED = [
    (page, each[1], each[2])
    for page in (
        "results.md",
        "results-strong-start.md",
        "results-tables.md",
        "results-weak-starts.md",
        "adaptation.md",
    )
    for each in re.finditer(
        r"```sh\nwseg experiment (docs/\S+)((?: --\w+)*)\n```\n",
        Path("docs", page).read_text(),
    )
]


@pytest.mark.parametrize(
    ("page", "pattern", "option"),
    PRINTED,
    ids=[f"{Path(pattern).stem}{option}" for _, pattern, option in PRINTED],
)
def test_the_tables_of_the_documents_are_what_the_commands_print(
    page, pattern, option
):
    found = joined([read(path) for path in _files(pattern)])
    computed = figures(found)
    shown = (
        summary(found, computed, "--trained" in option)
        if option
        else page_of(found, computed)
    )
    command = f"```sh\nwseg experiment {pattern}{option}\n```\n\n"
    assert f"{command}{shown}" in Path("docs", page).read_text()


def test_all_that_was_saved_is_printed():
    for is_short in (False, True):
        shown = {
            each
            for _, pattern, option in PRINTED
            if ("--summary" in option) == is_short
            for each in _files(pattern)
        }
        assert shown == {str(path) for path in SAVED}


def test_the_methods_of_saved_results_are_drawn(tmp_path):
    found = read(str(SAVED[0]))
    draw(found, figures(found), str(tmp_path))
    made = sorted(each.name for each in tmp_path.iterdir())
    names = [name.replace(" ", "-") for name in found.sets]
    assert made == sorted(f"methods-{name}.png" for name in names)
    for each in tmp_path.iterdir():
        assert Image.open(each).size > (500, 400)
    # Without the two metrics there is nothing to draw.
    bare = dataclasses.replace(found, metrics=["mean_iou"], tested=[])
    draw(bare, figures(bare), str(tmp_path / "bare"))
    assert not (tmp_path / "bare").exists()
