"""The map of when a loss pays: by hand, and as the documents show it."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import when_it_pays
from benchmarks.when_it_pays import Point, by_class


def test_a_cell_is_the_mean_gain_of_its_classes() -> None:
    found = [
        Point(0.005, 0.10, {"IAL": 4.0, "W d": -1.0}),
        Point(0.009, 0.29, {"IAL": 2.0}),
        Point(0.200, 0.90, {"IAL": -1.0}),
    ]
    rows = {tuple(row[:2]): row[2:] for row in by_class(found)}
    ial, pure = (when_it_pays.METHODS.index(each) for each in ("IAL", "W d"))
    rare = rows["below 1%", "5 to 30"]
    assert (rare[0], rare[1 + ial], rare[1 + pure]) == ("2", "+3.0", "-1.0")
    seen = rows["from 1%", "30 to 100"]
    assert (seen[0], seen[1 + ial], seen[1 + pure]) == ("1", "-1.0", "")
    assert rows["from 1%", "0 to 5"][0] == "0"


def test_the_document_shows_what_the_command_prints(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    files = sorted(map(str, Path("docs/results").glob("camvid_*.json")))
    picture = str(tmp_path / "when.png")
    given = ["when_it_pays", *files, "--picture", picture]
    monkeypatch.setattr(sys, "argv", given)
    when_it_pays.main()
    page = Path("docs/explanation/deciding.md").read_text()
    for table in capsys.readouterr().out.strip().split("\n\n"):
        assert table in page
    assert np.fromfile(picture, np.uint8).size > 10_000
