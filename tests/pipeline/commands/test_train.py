import io
import json
import os
import re
import shutil
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands import train as training
from pipeline.commands.screen import FAILURE, INTERRUPTED, USER_ERROR
from wseg_tf import GroundMatrix, models
from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.configuration import ConfigurationError
from wseg_tf.locks import held
from wseg_tf.metrics import confusion_count, mean_iou
from wseg_tf.serving import export
from wseg_tf.training.history import read_history
from wseg_tf.training.observers import Observer
from wseg_tf.training.recipe import Recipe

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


def small_net(name: str, classes: int, width: float = 1.0) -> keras.Model:
    image = keras.Input([None, None, 3])
    hidden = keras.layers.Conv2D(8, 3, padding="same")(image / 255.0)
    return keras.Model(image, keras.layers.Conv2D(classes, 1)(hidden))


class InterruptAt(Observer):
    """Presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.at = step

    def step(self, number: int, loss: float) -> None:
        if number == self.at:
            os.kill(os.getpid(), signal.SIGINT)


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


def test_what_chooses_the_weights_is_not_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "build", small_net)
    scores = tmp_path / "scores.json"
    code, screen = wseg(
        "train",
        DEMO,
        f"root={tmp_path}",
        *SMALL,
        "data.validation=choose",
        "data.streets.validation=4",
        "training.select=mean_iou",
        "training.evaluate_every=1",
        "--json",
        str(scores),
    )
    assert code == 0, screen
    assert "IoU over 2 images" in screen
    folder, streets = tmp_path / "demo", tmp_path / "demo" / "streets"
    history = read_history(str(folder / "training" / "history.csv"))
    chosen = max(float(line["mean_iou"]) for line in history)
    for split, images in (("val", 2), ("choose", 4)):
        code, screen = wseg(
            "evaluate", str(folder / "training"), str(streets),
            "--split", split, "--json", str(tmp_path / split),
        )  # fmt: skip
        assert code == 0, screen
        assert f"IoU over {images} images" in screen
    shown = json.loads(scores.read_text())["mean_iou"]
    judged = json.loads((tmp_path / "val").read_text())["mean_iou"]
    assert shown == judged != pytest.approx(chosen)


def test_what_is_looked_at_lies_beside_the_model(root: Path) -> None:
    folder = root / "training"
    for name in ("history.png", "iou.png", "confusion.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    history = read_history(str(folder / "history.csv"))
    assert [line["epoch"] for line in history] == ["1", "2", "1"]
    assert list((folder / "tensorboard").iterdir())
    assert not (folder / "checkpoints").exists()


def test_a_finished_training_says_so(root: Path) -> None:
    code, screen = wseg("train", DEMO, f"root={root.parent}", *SMALL)
    assert code == 0
    assert screen == f"Finished before. Model: {root / 'training'}\n"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("streets/valannot/*.png", "(data was"),
        ("training/variables/*.data-*", "exported together"),
        ("training/assets.extra/wseg_tf.json", "exported together"),
    ],
)
def test_what_is_finished_is_of_the_files_as_they_are(
    root: Path, tmp_path: Path, place: str, said: str
) -> None:
    """One bit, with size and date kept: neither tells what a file holds."""
    copied = shutil.copytree(root, tmp_path / "demo")
    given = ["train", DEMO, f"root={tmp_path}", *SMALL]
    assert wseg(*given)[0] == 0
    path = next(copied.glob(place))
    before, content = path.stat(), path.read_bytes()
    if path.suffix == ".png":
        encoded = io.BytesIO()
        Image.new("L", (56, 40), 3).save(encoded, "PNG")
        content = encoded.getvalue().ljust(len(content), b"\0")
    elif path.suffix == ".json":
        content = content.replace(b"pedestrian", b"bicyclists", 1)
    else:
        content = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    now = path.stat()
    assert (now.st_size, now.st_mtime) == (before.st_size, before.st_mtime)
    code, screen = wseg(*given)
    assert (code, said in screen) == (USER_ERROR, True), screen


def test_a_worker_whose_training_has_ended_waits_for_nobody(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = {"worker": ["localhost:9", "localhost:10"]}
    task = {"type": "worker", "index": 1}
    monkeypatch.setenv(
        "TF_CONFIG", json.dumps({"cluster": cluster, "task": task})
    )
    many = "training.execution.distribute=multi_worker"
    given = ["train", DEMO, f"root={root.parent}", *SMALL, many]
    code, screen = wseg(*given)
    assert (code, "Finished before" in screen) == (0, True)
    # But what is asked for must be what is there.
    code, screen = wseg(*given, "training.seed=9")
    assert code == USER_ERROR
    assert "holds another recipe's model" in screen


def test_another_recipes_model_is_not_overwritten(root: Path) -> None:
    code, screen = wseg(
        "train", DEMO, f"root={root.parent}", *SMALL, "training.seed=5"
    )
    assert code == USER_ERROR
    assert "another recipe's model already (recipe.seed was 1, now 5)" in screen


def test_another_data_set_s_model_is_not_passed_off(
    root: Path, tmp_path: Path
) -> None:
    """Another folder, a changed label, an edited D: each is another model."""
    out = f"--out={root / 'training'}"
    streets = shutil.copytree(root / "streets", tmp_path / "streets")
    given = ["data.dataset=camvid", f"--data={streets}", *SMALL, out]
    code, screen = wseg("train", DEMO, *given)
    assert code == 0, screen  # The same frames, elsewhere.
    label = next((streets / "trainannot").glob("*.png"))
    Image.new("L", (56, 40), 3).save(label)
    code, screen = wseg("train", DEMO, *given)
    assert code == USER_ERROR
    assert "another recipe's model already (data was" in screen
    ground = tmp_path / "d.yaml"
    GroundMatrix.severity_aware(CAMVID, within=0.5).to_yaml(ground)
    own = ["train", DEMO, f"root={root.parent}", *SMALL]
    code, screen = wseg(*own, f"training.ground.file={ground}")
    assert code == 0, screen  # The same numbers as the words.
    GroundMatrix.importance_aware(CAMVID).to_yaml(ground)
    code, screen = wseg(*own, f"training.ground.file={ground}")
    assert code == USER_ERROR
    assert "(recipe.ground.matrix." in screen


def test_a_folder_that_another_program_trains_in_is_refused(
    root: Path,
) -> None:
    with held(str(root / "training"), "a training"):
        code, screen = wseg("train", DEMO, f"root={root.parent}", *SMALL)
    assert code == USER_ERROR
    assert "is in use by a training (process" in screen


def test_an_interrupted_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "build", small_net)
    monkeypatch.setattr(training, "_observers", lambda: [InterruptAt(1)])
    command = ["train", DEMO, f"root={tmp_path}", *SMALL]
    code, screen = wseg(*command)
    assert code == INTERRUPTED, screen
    assert "Interrupted after epoch 1 of pretrain (1/2). Kept in " in screen
    assert "run it again to go on." in screen
    assert screen.count("\n") == 1, screen
    monkeypatch.undo()
    monkeypatch.setattr(models, "build", small_net)
    code, screen = wseg(*command)
    assert code == 0, screen
    assert "pretrain (1/2): going on after epoch 1, step 0" in screen


def test_frames_that_change_while_they_are_trained_on_are_refused(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with the size and the date that they had."""
    data = tmp_path / "data"
    shutil.copytree(root / "streets", data)
    first, second, *_ = sorted((data / "trainannot").glob("*.png"))

    class Edit(Observer):
        def step(self, number: int, loss: float) -> None:
            date = first.stat().st_mtime_ns
            shutil.copy(second, first)
            os.utime(first, ns=(date, date))

    monkeypatch.setattr(models, "build", small_net)
    monkeypatch.setattr(training, "_observers", lambda: [Edit()])
    given = ["data.dataset=camvid", f"--data={data}", *SMALL]
    command = ["train", DEMO, f"root={tmp_path}", *given]
    code, screen = wseg(*command)
    assert code == USER_ERROR, screen
    assert "Expected frames that stay as they are" in screen.splitlines()[-1]
    assert not (tmp_path / "demo" / "training" / training.FINISHED).exists()
    # And of what it kept nothing goes on with other frames.
    monkeypatch.setattr(training, "_observers", lambda: [])
    code, screen = wseg(*command)
    assert code == USER_ERROR, screen
    assert "Expected checkpoints of" in screen


def test_a_start_is_one_version_and_not_whichever_is_the_newest_later(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = tmp_path / "serving"
    for version in ("8", "11"):
        shutil.copytree(root / "training", serving / version)
    starts = []

    def note(recipe: Recipe, *_: object, **__: object) -> None:
        starts.append(recipe.initial)
        raise ConfigurationError("noted")

    monkeypatch.setattr("wseg_tf.training.loop.train", note)
    wseg(
        "train",
        DEMO,
        f"root={root.parent}",
        f"--out={tmp_path / 'out'}",
        *SMALL,
        f"training.initial={serving}",
    )
    assert starts == [str(serving / "11")]


def test_a_diverged_training_is_one_sentence_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "build", small_net)
    code, screen = wseg(
        "train",
        DEMO,
        f"root={tmp_path}",
        *SMALL,
        "training.stages.0.learning_rate=2e9",
        "training.stages.0.schedule=constant",
    )
    assert code == FAILURE, screen
    last = screen.splitlines()[-1]
    assert re.search(r"(The loss is|The weights of) .* step \d", last), screen
    assert "(pretrain (1/2), epoch" in last


def test_compare_gives_the_differences_of_two_evaluations(
    root: Path, tmp_path: Path
) -> None:
    streets, model = str(root / "streets"), str(root / "training")
    other = str(tmp_path / "other")
    blind = small_net("blind", 11)
    ground = GroundMatrix.importance_aware(CAMVID)
    export(blind, other, CAMVID, 32, 48, ground)
    paths = [tmp_path / f"{name}.json" for name in ("a", "b", "both")]
    command = ["compare", model, other, streets, "--out", str(tmp_path)]
    code, screen = wseg(*command, "--json", str(paths[2]))
    assert code == 0, screen
    assert "both are judged by A's" in screen
    assert "B - A" in screen
    assert "group 4" in screen
    picture = Image.open(tmp_path / "worst.png")
    assert picture.width > 2 * picture.height  # Four columns, two images.
    for each, path in zip((model, other), paths, strict=False):
        wseg("evaluate", each, streets, "--json", str(path))
    a, b, both = (json.loads(path.read_text()) for path in paths)
    assert both["A"] == a
    # B's own severity is by its own ground matrix.
    severity = "expected_severity"
    assert {**both["B"], severity: 0} == {**b, severity: 0}
    for name, difference in both["B - A"].items():
        if difference is not None:
            expected = both["B"][name] - both["A"][name]
            assert difference == pytest.approx(expected)


def test_compare_refuses_models_of_other_classes(
    root: Path, tmp_path: Path
) -> None:
    other = str(tmp_path / "other")
    export(small_net("other", 19), other, CITYSCAPES, 32, 48)
    code, screen = wseg(
        "compare", str(root / "training"), other, str(root / "streets")
    )
    assert code == USER_ERROR
    assert "`camvid` and `cityscapes`" in screen


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "nowhere", __file__], "Received: nowhere."),
        (["evaluate", "MODEL", "nowhere"], "nowhere: no such folder"),
        (
            ["evaluate", "MODEL", "STREETS", "--dataset", "cityscapes"],
            "leftImg8bit: no such folder",
        ),
        (["train", DEMO, "training.model=unet"], "Expected one of ["),
        (
            ["train", DEMO, "ROOT", *SMALL, "training.batch=4"],
            "Expected at most the 3 training images. Received: batch=4.",
        ),
        (
            ["train", DEMO, "ROOT", *SMALL, "training.initial=nowhere"],
            "Received: initial='nowhere', which is none.",
        ),
        (
            ["train", DEMO, "training.select=iou/cat"],
            "(did you mean `iou/car`?). Received: select='iou/cat'.",
        ),
        *(
            (["train", DEMO, f"training.stages.0.{key}=best"], "one of [")
            for key in ("loss", "optimizer", "schedule", "average")
        ),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    root: Path, arguments: list[str], said: str
) -> None:
    places = {
        "MODEL": str(root / "training"),
        "STREETS": str(root / "streets"),
        "ROOT": f"root={root.parent / 'refused'}",
    }
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


def test_a_training_that_fails_is_one_sentence_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "build", small_net)
    out = tmp_path / "out"
    given = ["train", DEMO, f"root={tmp_path}", f"--out={out}", *SMALL]

    class Full(Observer):
        def step(self, number: int, loss: float) -> None:
            raise tf.errors.ResourceExhaustedError(
                None, None, "a/b; No space left on device\nstack"
            )

    class Removed(Observer):
        def step(self, number: int, loss: float) -> None:
            shutil.rmtree(out)
            raise OSError(2, "No such file or directory", "a/b")

    sentences = {
        Full: "Failed: ResourceExhaustedError: a/b; No space left on device\n",
        Removed: "Failed: FileNotFoundError: [Errno 2] No such file or "
        "directory: 'a/b'\n",
    }
    for observer, sentence in sentences.items():
        with monkeypatch.context() as patch:
            patch.setattr(training, "_observers", lambda: [observer()])  # noqa: B023
            code, screen = wseg(*given)
        assert code == FAILURE
        story = out / training.STORY
        told = f"The whole story is in {story}\n" if story.exists() else ""
        assert screen.endswith(sentence + told)
        assert story.exists() == (observer is Full)
    code, screen = wseg(*given)
    assert code == 0, screen
    assert not story.exists()
