from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.screen import USER_ERROR
from tests.wseg_tf.data.discovery.folders import areas, ids, photograph


def wseg(*arguments: object) -> tuple[int, list[str]]:
    """Returns the exit code and the lines of the screen."""
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert "Traceback" not in done.output
    return done.exit_code, done.output.splitlines()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that tells no names; the commands run beside it."""
    for split in ("train", "val"):
        for n in range(3):
            image = tmp_path / "yard" / split / f"frame {n}.jpg"
            photograph(image, seed=n + 10 * (split == "val"))
            ids(image.with_name(f"frame {n}_mask.png"), areas(0, 1, 2, 255))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "yard"


def test_init_writes_what_check_then_reads(folder: Path) -> None:
    code, lines = wseg("init", folder)
    assert (code, len(lines)) == (0, 4), lines
    assert lines[0].startswith("6 pairs (train 3, val 3), 12x16, labels of ids")
    names = {"yard.yaml", "yard-data.yaml"}
    assert names <= {path.name for path in folder.parent.iterdir()}
    assert lines[2:] == [
        f"  wseg data check '{folder}' --dataset yard-data.yaml",
        "  wseg run yard.yaml",
    ]
    assert wseg("data", "check", folder, "--dataset", "yard-data.yaml") == (
        0,
        ["6 pairs, all fit to train on: train 3, val 3."],
    )


def test_check_counts_the_images_that_are_left_out(folder: Path) -> None:
    for n in range(3, 5):
        photograph(folder / "val" / f"frame {n}.jpg", seed=20 + n)
    code, lines = wseg("init", folder)
    assert (code, lines[0][-20:]) == (0, "; 2 images left out.")
    check = ["data", "check", folder, "--dataset", "yard-data.yaml"]
    left_out = "Left out, as `unlabelled: skip` says: 2 of 8 images, which "
    assert wseg(*check) == (
        0,
        [
            f"{left_out}have no label.",
            "6 pairs, all fit to train on: train 3, val 3.",
        ],
    )
    assert len(wseg(*check, "--split=train")[1]) == 1


def test_init_overwrites_nothing(folder: Path) -> None:
    out = folder.parent / "mine.yaml"
    mine = folder.parent / "mine-data.yaml"
    mine.write_text("# mine")
    code, lines = wseg("init", folder, "--out", out)
    assert code == USER_ERROR
    assert len(lines) == 1
    assert f"{mine}: expected a new file" in lines[0]
    assert mine.read_text() == "# mine"
    # Nor is half of it written.
    assert not out.exists()


def test_init_refuses_in_one_sentence(folder: Path) -> None:
    (folder / "val" / "frame 2.jpg").unlink()
    code, lines = wseg("init", folder)
    assert code == USER_ERROR
    assert len(lines) == 1
    assert "frame 2_mask.png: expected a partner" in lines[0]
    assert [*folder.parent.glob("*.yaml")] == []


def test_classes_are_printed_to_be_copied(folder: Path, tmp_path: Path) -> None:
    code, lines = wseg("data", "classes")
    assert code == 0
    assert "pascal_voc: 21 classes" in lines
    code, lines = wseg("data", "classes", "ade20k")
    assert (code, len(lines)) == (0, 154)
    copy = tmp_path / "mine.yaml"
    copy.write_text("\n".join(lines).replace("wall,", "brick wall,"))
    code, again = wseg("data", "classes", copy)
    assert "{name: brick wall, colour: [120, 120, 120], group: 2}" in again[4]
    for name in ("lorries", "no.yaml"):
        code, lines = wseg("data", "classes", name)
        assert (code, len(lines)) == (USER_ERROR, 1)
        assert name in lines[0]
