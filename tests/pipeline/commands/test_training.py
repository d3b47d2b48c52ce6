import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.screen import USER_ERROR
from wseg_tf import models
from wseg_tf.classes import CAMVID
from wseg_tf.metrics import confusion_count, mean_iou

DEMO = str(Path(__file__).parents[3] / "configs" / "demo.yaml")
SMALL = [
    "data.streets.train=3",
    "data.streets.eval=2",
    "data.streets.height=40",
    "data.streets.width=56",
    "training.height=32",
    "training.width=48",
    "training.batch=2",
    "training.stages.0.epochs=2",
    "training.stages.1.epochs=1",
]


def wseg(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def small_net(name: str, classes: int) -> keras.Model:
    image = keras.Input([None, None, 3])
    hidden = keras.layers.Conv2D(8, 3, padding="same")(image / 255.0)
    return keras.Model(image, keras.layers.Conv2D(classes, 1)(hidden))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained model and the streets it learned."""
    folder = tmp_path_factory.mktemp("train")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "build", small_net)
        code, screen = wseg("train", DEMO, f"root={folder}", *SMALL)
    assert code == 0, screen
    assert "pretrain (1/2): epoch 2/2" in screen
    assert "fine-tune (2/2): mixture for 1 epochs" in screen
    assert "Expected severity" in screen
    return folder / "demo"


def test_evaluate_agrees_with_predict(root: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    model, streets = str(root / "training"), root / "streets"
    code, screen = wseg("evaluate", model, str(streets), "--json", str(scores))
    assert code == 0, screen
    assert "IoU over 2 images" in screen

    images = sorted(map(str, (streets / "val").glob("*.png")))
    code, screen = wseg("predict", model, *images, "--out", str(tmp_path))
    assert code == 0, screen
    counts = np.zeros([11, 11], np.int64)
    for image in images:
        label = image.replace("/val/", "/valannot/")
        predicted = tmp_path / Path(image).name
        counts += confusion_count(
            np.asarray(Image.open(label)),
            np.asarray(Image.open(predicted)),
            11,
            void=CAMVID.void,
        )
        overlay = Image.open(tmp_path / f"{predicted.stem}_overlay.png")
        assert overlay.size == (56, 40)
    expected = json.loads(scores.read_text())["mean_iou"]
    assert expected == pytest.approx(mean_iou(counts))


def test_a_trained_model_is_not_overwritten(root: Path) -> None:
    code, screen = wseg("train", DEMO, f"root={root.parent}", *SMALL)
    assert code == USER_ERROR
    assert "holds a model already" in screen


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "nowhere", "a.png"], "Received: nowhere."),
        (["evaluate", "MODEL", "nowhere"], "nowhere: no such folder"),
        (["predict", "MODEL", "nowhere.png"], "nowhere.png: expected a PNG"),
        (
            ["evaluate", "MODEL", "STREETS", "--dataset", "cityscapes"],
            "leftImg8bit: no such folder",
        ),
        (["train", DEMO, "training.model=unet"], "Expected one of ["),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    root: Path, arguments: list[str], said: str
) -> None:
    places = {"MODEL": str(root / "training"), "STREETS": str(root / "streets")}
    code, screen = wseg(*(places.get(each, each) for each in arguments))
    assert code == USER_ERROR, screen
    assert said in screen
    assert screen.count("\n") == 1, screen


def test_classes_of_another_data_set_are_refused(root: Path) -> None:
    model = str(root / "training")
    described = root / "described.yaml"
    described.write_text(
        "classes: cityscapes\n"
        "images: val/{drive}_{name}.png\n"
        "labels: valannot/{drive}_{name}.png\n"
    )
    code, screen = wseg(
        "evaluate",
        model,
        str(root / "streets"),
        "--dataset",
        str(described),
        "--split",
        "train",
    )
    assert code == USER_ERROR
    assert "Expected the classes of `camvid`" in screen
