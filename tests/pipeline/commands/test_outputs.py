import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.outputs import check_outputs
from pipeline.commands.screen import USER_ERROR

DEMO = Path(__file__).parents[3] / "configs" / "demo.yaml"


def wseg(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert "Traceback" not in done.output
    return done.exit_code, done.output


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """What looks like a model, with a file beside it that is none of it."""
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/variables.index", "iou.png"):
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("link", ["", "hard", "soft", "folder", "dots"])
def test_nothing_is_written_over_an_input_by_any_name(
    tmp_path: Path, link: str
) -> None:
    photo = tmp_path / "photos" / "a.png"
    photo.parent.mkdir()
    photo.write_text("a")
    named = photo
    if link == "hard":
        named = tmp_path / "hard.png"
        os.link(photo, named)
    elif link == "soft":
        named = tmp_path / "soft.png"
        named.symlink_to(photo)
    elif link == "folder":
        (tmp_path / "other").symlink_to(photo.parent)
        named = tmp_path / "other" / "a.png"
    elif link == "dots":
        named = photo.parent / ".." / "photos" / "a.png"
    with pytest.raises(ValueError, match="it would be overwritten"):
        check_outputs([str(named)], [str(photo)])
    check_outputs([str(tmp_path / "b.png")], [str(photo)])


def test_nothing_is_written_twice_to_one_place(tmp_path: Path) -> None:
    (tmp_path / "same").symlink_to(tmp_path)
    paths = [str(tmp_path / "a.png"), str(tmp_path / "same" / "a.png")]
    with pytest.raises(ValueError, match="written twice"):
        check_outputs(paths, [])
    with pytest.raises(ValueError, match="written twice"):
        check_outputs(["gs://b/a.png", "gs://b/a.png"], [])


def test_the_files_of_a_model_are_inputs_and_others_are_not(
    model: Path,
) -> None:
    for name in ("saved_model.pb", "variables/variables.index"):
        with pytest.raises(ValueError, match="it would be overwritten"):
            check_outputs([str(model / name)], [str(model)])
    check_outputs([str(model / "iou.png")], [str(model)])


def test_what_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    for name, said in (
        ("pipe", "a pipe or a device"),
        ("", "a folder, not a file"),
        ("file/scores.json", "is no folder"),
        ("a\0b", "null byte"),
    ):
        with pytest.raises(ValueError, match=said):
            check_outputs([str(tmp_path / name)], [])


def commands(model: Path, streets: Path) -> list[list[object]]:
    """Each command that writes a file it is told, over one that it reads."""
    image = streets / "val" / "C_1.png"
    label = streets / "valannot" / "C_1.png"
    rules = streets / "rules.yaml"
    rules.write_text("rules: [{metric: mean_iou, floor: 0.5}]")
    weights = streets / "start.weights.h5"
    weights.write_text("weights")
    card = model / "saved_model.pb"
    return [
        ["predict", model, image, "--out", image.parent],
        ["predict", model, image, label, "--out", streets / "new"],
        ["evaluate", model, streets, "--json", card],
        ["evaluate", model, streets, "--json", label],
        ["compare", model, model, streets, "--json", image],
        ["compare", model, model, streets, "--json", "comparison/worst.png"],
        ["gate", model, streets, rules, "--json", rules],
        ["gate", model, streets, rules, "--json", image],
        ["data", "show", streets, "--out", label],
        ["data", "stats", streets, "--plot", image],
        ["weights", "import", weights, "--out", weights],
        ["compile", DEMO, "--out", DEMO],
        ["compile", DEMO, "--target", "tfjob", "--out", DEMO],
    ]


@pytest.mark.parametrize("command", ["train", "predict", "compare", "export"])
def test_a_folder_is_not_named_as_a_file(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"train": 1, "predict": 2, "compare": 3, "export": 1}[command]
    words = [command, *["nothing"] * given, "--out", "model.onnx"]
    code, screen = wseg(*words)
    assert (code, screen.count("\n")) == (USER_ERROR, 1), screen
    assert "`--out`. Expected a folder to write to" in screen
    assert not (tmp_path / "model.onnx").exists()
    # There already, it is a folder.
    (tmp_path / "model.onnx").mkdir()
    assert "`--out`" not in wseg(*words)[1]


def test_no_command_writes_over_what_it_reads(
    model: Path, street_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(street_folder)
    tried = commands(model, street_folder)
    there = [*street_folder.rglob("*"), *model.rglob("*"), DEMO]
    before = {p: p.read_bytes() for p in there if p.is_file()}
    for arguments in tried:
        code, screen = wseg(*arguments)
        assert code == USER_ERROR, (arguments, screen)
        assert "Invalid place to write to" in screen, (arguments, screen)
    after = [*street_folder.rglob("*"), *model.rglob("*"), DEMO]
    assert before == {p: p.read_bytes() for p in after if p.is_file()}
