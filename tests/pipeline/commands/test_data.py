import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.screen import USER_ERROR


def wseg_data(*arguments: object) -> tuple[int, list[str]]:
    """Returns the exit code and the lines of the screen."""
    done = CliRunner().invoke(app, ["data", *map(str, arguments)])
    assert "Traceback" not in done.output
    return done.exit_code, done.output.splitlines()


@pytest.fixture
def label(street_folder: Path) -> Path:
    """A label whose ids are not CamVid's."""
    path = street_folder / "trainannot" / "A_2.png"
    Image.fromarray(np.full((6, 8), 200, np.uint8)).save(path)
    return path


def test_check_says_in_one_line_what_it_checked(street_folder: Path) -> None:
    assert wseg_data("check", street_folder) == (
        0,
        ["7 pairs, all fit to train on: train 5, val 2."],
    )
    assert wseg_data("check", street_folder, "--split", "val") == (
        0,
        ["2 pairs, all fit to train on: val 2."],
    )


def test_check_names_images_that_look_like_those_of_another_split(
    street_folder: Path,
) -> None:
    image = np.asarray(Image.open(street_folder / "train" / "A_3.png"))
    copy = street_folder / "val" / "C_1.png"
    Image.fromarray(image // 2 + 50).save(copy)
    code, lines = wseg_data("check", street_folder)
    assert code == 0
    assert lines[1].startswith(
        "Careful: of val, 1 of 2 images look like images of train (such as "
        "C_1 like A_3): "
    )


def test_check_lists_every_unfit_pair(street_folder: Path, label: Path) -> None:
    torn = street_folder / "val" / "C [2].png"
    torn.write_bytes(torn.read_bytes()[:-9])
    code, lines = wseg_data("check", street_folder)
    assert code == USER_ERROR
    assert lines == [
        f"{label}: expected class ids 0..10 or void 11 (camvid). Found: 200.",
        f"{torn}: expected a whole image. Found: no end.",
        "2 of 7 pairs cannot be used.",
    ]


def test_stats_counts_and_weighs(street_folder: Path) -> None:
    for folder in ("trainannot", "valannot"):
        for path in (street_folder / folder).iterdir():
            ids = np.full((6, 8), 3, np.uint8)
            ids[0, :2] = 8, 11
            Image.fromarray(ids).save(path)
    code, lines = wseg_data("stats", street_folder, "--drives")
    assert code == 0
    cells = [[c.strip() for c in line.split("│")][1:-1] for line in lines]
    # 46 of 47 labelled pixels are road: 1 / log(1.02 + 46 / 47) = 1.4440.
    road = ["road", "3", "97.87", "97.87", "0.51", "1.44", "1.44"]
    assert road in cells
    # median(46/47, 1/47) / (1/47) = 23.5; 1 / log(1.02 + 1 / 47) = 24.723.
    assert ["car", "4", "2.13", "2.13", "23.50", "24.72", "24.72"] in cells
    assert ["sky", "1", "0.00", "0.00", "0.00", "0.00", "0.00"] in cells
    assert ["void, %", "", "2.08", "2.08", "", "", ""] in cells
    # Drives A and B of train, C and C [2] of val.
    assert ["void, %", "", "2.08", "2.08", "2.08", "2.08"] in cells
    assert ["images", "", "3", "2", "1", "1"] in cells
    headings = next(line for line in lines if "train A" in line)
    assert "train B" in headings
    assert "val C [2]" in headings


def test_stats_leaves_out_what_is_unfit_and_says_so(
    street_folder: Path, label: Path
) -> None:
    code, lines = wseg_data("stats", street_folder)
    assert code == 0
    assert any("1 of 7 pairs cannot be used" in line for line in lines)


def test_stats_names_a_drive_of_two_splits(street_folder: Path) -> None:
    for folder in ("val", "valannot"):
        path = street_folder / folder / "C_1.png"
        path.rename(path.with_name("A_9.png"))
    code, lines = wseg_data("stats", street_folder)
    assert code == 0
    assert any(each.startswith("Drive A is in train and val") for each in lines)


def test_pictures_are_the_same_for_a_seed(
    street_folder: Path, tmp_path: Path
) -> None:
    pictures = []
    for name, seed in (("a é.png", 1), ("b.png", 1), ("c.png", 2)):
        out = tmp_path / name
        code, lines = wseg_data(
            *("show", street_folder, "--count", 2),
            *("--seed", seed, "--out", out),
        )
        assert (code, lines) == (0, [f"2 of 7 frames: {out}"])
        pictures.append(np.asarray(Image.open(out)))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_show_can_draw_all_and_stats_can_plot(
    street_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "all.svg"
    code, _ = wseg_data("show", street_folder, "--count", 64, "--out", out)
    assert code == 0
    assert "val: C [2]" in out.read_text()
    out = tmp_path / "frequencies.png"
    code, lines = wseg_data("stats", street_folder, "--plot", out)
    assert (code, lines[-1]) == (0, f"Plot: {out}")
    assert out.read_bytes().startswith(b"\x89PNG")


def test_convert_writes_what_it_says(
    street_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, lines = wseg_data("convert", street_folder, out)
    assert (code, lines) == (0, [f"{out}: 7 records (train 5, val 2)."])
    assert sorted(os.listdir(out)) == [
        "Split-train",
        "Split-val",
        "quarantine.jsonl",
        "statistics.json",
    ]


def test_convert_refuses_or_leaves_out_what_is_unfit(
    street_folder: Path, label: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, lines = wseg_data("convert", street_folder, out)
    assert code == USER_ERROR
    assert lines == [
        "1 of 7 pairs cannot be used, and the run allows a share of 0: "
        f"{label}: expected class ids 0..10 or void 11 (camvid). Found: 200."
    ]
    assert not out.exists()
    code, lines = wseg_data(
        "convert", street_folder, out, "--allowed-failures", 0.2
    )
    assert (code, lines) == (
        0,
        [f"{out}: 6 records (train 4, val 2); 1 left out: quarantine.jsonl."],
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "no where"], "no where: no such folder."),
        (["check", ".", "--dataset", "kitti"], "Invalid layout. Expected one"),
        (["check", ".", "--dataset", "no.yaml"], "no.yaml: no such file."),
        (["check", "DATA", "--split", "test"], "test: no such folder."),
        (["show", "DATA", "--out", "no/where.png"], "no/where.png"),
        (["show", "DATA", "--out", "a.xyz"], "Format 'xyz' is not supported"),
        (["convert", "DATA", "DATA"], "expected a new or an empty folder"),
        (["convert", "DATA", "o", "--beam=--direct_num_workers=x"], "'x'."),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    street_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    filled = [each.replace("DATA", str(street_folder)) for each in arguments]
    code, lines = wseg_data(*filled)
    assert code == USER_ERROR
    assert len(lines) == 1
    assert said in lines[0]


def test_a_share_that_is_no_number_is_refused(street_folder: Path) -> None:
    given = ["convert", str(street_folder), "o", "--allowed-failures=nan"]
    code, lines = wseg_data(*given)
    assert code == USER_ERROR
    # Typer's newer versions say so themselves.
    assert re.search("allowed.failures", " ".join(lines))
