"""Which images are predicted, where it is written, and what is drawn."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.predict import chosen
from pipeline.commands.screen import USER_ERROR
from tests.pipeline.gate.hand_made import export_model, write_images
from wseg_tf.classes import CAMVID


def wseg(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert "Traceback" not in done.output
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_model(tmp_path_factory.mktemp("model"), [])


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """photos/a_000.png and, under the same names, photos/night/deep/..."""
    monkeypatch.chdir(tmp_path)
    made = write_images(tmp_path / "made", ["a"], 1)
    for place in ("photos", "photos/night/deep"):
        (tmp_path / place).mkdir(parents=True)
        shutil.copy(made / "val" / "a_000.png", tmp_path / place)
    picture = Image.open(made / "val" / "a_000.png")
    picture.save(tmp_path / "photos" / "night" / "B.JPG", "JPEG")
    (tmp_path / "photos" / "notes.txt").write_text("none")
    return tmp_path


def written(folder: Path) -> list[str]:
    """The images that were predicted, by what was written of them."""
    files = {str(p.relative_to(folder)) for p in folder.rglob("*.png")}
    plain = {
        f for f in files if not f.endswith(("_overlay.png", "_figure.png"))
    }
    for each in plain:
        stem = each.removesuffix(".png")
        assert {f"{stem}_overlay.png", f"{stem}_figure.png"} <= files
    assert len(files) == 3 * len(plain)
    return sorted(plain)


ALL = ["a_000.png", "night/B.png", "night/deep/a_000.png"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["photos"], ALL),
        (["photos/"], ALL),
        (["photos", "photos/a_000.png"], ALL),
        (["photos/**/*.png"], ["a_000.png", "night/deep/a_000.png"]),
        (["photos/*/*.JPG"], ["night/B.png"]),
        (["photos/night/deep/a_000.png"], ["a_000.png"]),
        (["photos/night/[AB].*"], ["B.png"]),
    ],
)
def test_folders_and_patterns_keep_their_sub_folders(
    photos: Path, given: list[str], expected: list[str]
) -> None:
    found = chosen(given, "seen")
    outputs = [f"{stem}.png" for stem in found]
    assert outputs == [f"seen/{name}" for name in expected]
    for stem, path in found.items():
        assert (photos / path).is_file()
        assert path.rpartition(".")[0].endswith(stem.removeprefix("seen/"))


def test_the_ids_are_the_models_own(photos: Path, model: Path) -> None:
    code, screen = wseg("predict", model, "photos", "--out", "seen")
    assert code == 0, screen
    assert written(photos / "seen") == ALL
    assert screen.count("\n") == len(ALL)
    truth = Image.open(photos / "made" / "valannot" / "a_000.png")
    labels = np.asarray(truth)
    known = labels != CAMVID.void
    for name in ("a_000", "night/deep/a_000"):
        ids = np.asarray(Image.open(photos / "seen" / f"{name}.png"))
        np.testing.assert_array_equal(ids[known], labels[known])
        over = Image.open(photos / "seen" / f"{name}_overlay.png")
        assert over.size == truth.size
    pixels = np.asarray(
        Image.open(photos / "seen" / "a_000_figure.png").convert("RGB")
    )
    # The legend, below, has the colours that are drawn, above.
    below = pixels[pixels.shape[0] * 3 // 4 :].reshape(-1, 3)
    above = pixels[: pixels.shape[0] // 2].reshape(-1, 3)
    drawn = getattr(CAMVID, "drawn", CAMVID.colours)
    for name, colour in zip(CAMVID.names, drawn, strict=True):
        for place in (above, below):
            assert (place == colour).all(axis=1).sum() > 20, name


def test_nothing_is_written_over_unless_asked_for(
    photos: Path, model: Path
) -> None:
    there = photos / "predictions" / "night" / "B.png"
    there.parent.mkdir(parents=True)
    for name in ("B.png", "B_figure.png"):
        (there.parent / name).write_text("mine")
    code, screen = wseg("predict", model, "photos")
    assert code == USER_ERROR
    assert "predictions/night/B.png and 1 more: expected new files" in screen
    assert there.read_text() == "mine"
    assert not (photos / "predictions" / "a_000.png").exists()
    code, screen = wseg("predict", model, "photos", "--overwrite")
    assert code == 0, screen
    assert there.read_bytes().startswith(b"\x89PNG")
    assert written(photos / "predictions") == ALL
    # What was predicted is no image to predict, though it lies inside.
    found = chosen(["."], "predictions")
    assert found["predictions/photos/night/B"] == "./photos/night/B.JPG"
    assert not any("predictions" in path for path in found.values())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["photos", "photos/night/deep"], "photos/a_000.png and photos/night"),
        (["photos/a_000.png", "made/val/a_000.png"], "each image. Received:"),
        (["photos/*.gif"], "Received: photos/*.gif, which has none"),
        (["empty"], "Received: empty, which has none"),
        (["nowhere.png"], "nowhere.png: expected an image. Found: no such"),
        (["photos/a_000.png", "x.png", "y.png"], "x.png and 1 more: expected"),
    ],
)
def test_what_cannot_be_predicted_leaves_no_folder(
    photos: Path, model: Path, given: list[str], said: str
) -> None:
    (photos / "empty").mkdir()
    code, screen = wseg("predict", model, *given)
    assert code == USER_ERROR, screen
    assert said in screen
    assert screen.count("\n") == 1, screen
    assert not (photos / "predictions").exists()


def test_images_are_looked_for_before_a_model_is_loaded(photos: Path) -> None:
    code, screen = wseg("predict", "no-model", "nowhere.png")
    assert (code, screen.count("\n")) == (USER_ERROR, 1)
    assert screen.startswith("nowhere.png: expected an image")


def test_an_image_beside_itself_in_another_format_is_refused(
    photos: Path, model: Path
) -> None:
    shutil.copy(photos / "photos" / "night" / "B.JPG", photos / "photos/B.JPG")
    Image.open(photos / "photos" / "B.JPG").save(photos / "photos" / "B.png")
    code, screen = wseg("predict", model, "photos")
    assert code == USER_ERROR
    assert "predictions/B.png for photos/B.JPG and photos/B.png" in screen


def test_other_views_are_tried_and_must_be_views(
    model: Path, photos: Path
) -> None:
    code, said = wseg("predict", model, "photos", "--views", "{flip: true}")
    assert code == 0, said
    assert written(photos / "predictions") == ALL
    for given, expected in (
        ("{flop: true}", "`flop` in --views. Expected one of"),
        ("{scales: [9]}", "`scales`. Expected at least 0.1 and at most 4"),
        ("{scales: [0.5]}", "Expected windows, or no zoom"),
        ("flip", "Invalid configuration --views"),
    ):
        code, said = wseg("evaluate", model, photos / "made", "--views", given)
        assert (code, len(said.splitlines())) == (USER_ERROR, 1), said
        assert expected in said
