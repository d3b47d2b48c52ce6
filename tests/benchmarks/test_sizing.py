"""Each stage that is sized runs, and is sized as its arithmetic says."""

from pathlib import Path

import pytest
from PIL import Image

from benchmarks import listing, sizing
from wseg_tf.data.layouts import find_pairs
from wseg_tf.data.streets import write_streets


def test_costs_are_those_of_the_runs_they_were_fitted_to() -> None:
    runs = (2, (500, 1000)), (8, (1000, 2000))
    cost = sizing.fit(runs, (7.0, 37.0))
    assert cost == sizing.Cost(start=5.0, rate=2.0)
    assert [cost.of(sizing.megapixels(run)) for run in runs] == [7.0, 37.0]


@pytest.mark.parametrize("given", [False, True], ids=["drawn", "given"])
def test_every_stage_runs(tmp_path: Path, given: bool) -> None:
    size, folder = (64, 96), None
    if given:
        folder = str(tmp_path / "photographs")
        write_streets(folder, {"val": 1}, size)
    (tmp_path / "work").mkdir()
    works = sizing.stages(tmp_path / "work", (2, size), folder)
    assert tuple(works) == sizing.SHOWN
    for work in works.values():
        work()


def test_photographs_must_be_of_one_size(tmp_path: Path) -> None:
    folder = str(tmp_path / "photographs")
    write_streets(folder, {"val": 2}, (64, 96))
    assert sizing.size_of(folder) == (64, 96)
    (first, _) = find_pairs("camvid", folder, "val")
    Image.new("RGB", (96, 80)).save(first.image)
    with pytest.raises(
        ValueError, match=r"Received: \[\(64, 96\), \(80, 96\)\]"
    ):
        sizing.size_of(folder)


def test_a_made_up_fleet_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing.make_up(tmp_path, 200)
    listing.listed(str(tmp_path))
    at_rest, most, _, manifest = capsys.readouterr().out.split()
    # The kernel's two figures are apart by some pages.
    assert 0 < int(at_rest) < 1.01 * int(most)
    assert Path(manifest).parent.name == "manifest"
