"""The gate on models that others made: the same counts, whatever the form."""

import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.screen import REFUSED, USER_ERROR
from pipeline.gate.candidates import (
    Candidate,
    InputOptions,
    counter,
    open_candidate,
)
from pipeline.gate.counting import count_images
from wseg_tf.classes import CAMVID
from wseg_tf.data.layouts import layout
from wseg_tf.training.optimizers import KERAS_2

LAYOUT = layout("camvid")
N = len(CAMVID)
WEIGHTS = np.random.default_rng(0).normal(size=(3, N)).astype(np.float32)


def logits(image: Any) -> Any:
    """A network that anybody could write: of a pixel's colour alone."""
    return tf.linalg.matmul(image / 255.0, WEIGHTS)


def by_hand(image: np.ndarray) -> np.ndarray:
    return np.argmax(image / np.float32(255) @ WEIGHTS, axis=-1)


def counts(candidate: Candidate, folder: Path) -> np.ndarray:
    pairs = LAYOUT.find(str(folder), ["val"])
    return count_images(candidate.count, pairs, LAYOUT).candidate


@pytest.fixture
def expected(street_folder: Path) -> np.ndarray:
    return counts(Candidate(counter(by_hand, CAMVID), CAMVID), street_folder)


class Module(tf.Module):
    """A SavedModel of another project."""

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)]
    )
    def scores(self, image: Any) -> dict[str, Any]:
        return {"logits": logits(image)}

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)]
    )
    def ids(self, image: Any) -> Any:
        found = logits(tf.cast(image, tf.float32))
        return {"ids": tf.argmax(found, -1), "sure": tf.reduce_max(found, -1)}

    @tf.function(
        input_signature=[tf.TensorSpec([None, 3, None, None], tf.float32)]
    )
    def channels_first(self, image: Any) -> Any:
        image = tf.transpose(image, [0, 2, 3, 1])[..., ::-1]
        found = tf.nn.softmax(logits((image + 1) * 127.5))
        return tf.transpose(found, [0, 3, 1, 2])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("other") / "model")
    module = Module()
    signatures = {
        "serving_default": module.scores,
        "ids": module.ids,
        "nchw": module.channels_first,
    }
    tf.saved_model.save(module, folder, signatures=signatures)
    return folder


@pytest.mark.parametrize(
    "options",
    [
        InputOptions(),
        InputOptions(signature="ids", output="ids"),
        InputOptions(
            signature="nchw", layout="nchw", range=[-1, 1], channels="bgr"
        ),
        InputOptions(
            signature="nchw",
            layout="nchw",
            range=[0, 1],
            mean=[0.5] * 3,
            std=[0.5] * 3,
            channels="bgr",
        ),
    ],
    ids=["logits", "ids", "channels first", "normalised"],
)
def test_any_saved_model(
    saved: str,
    street_folder: Path,
    expected: np.ndarray,
    options: InputOptions,
) -> None:
    found = counts(open_candidate(saved, CAMVID, options), street_folder)
    np.testing.assert_array_equal(found, expected)


def dense(classes: int = N, size: int | None = None) -> keras.Model:
    image = keras.Input([size, size, 3])
    layer = keras.layers.Dense(classes, use_bias=False)
    model = keras.Model(image, layer(keras.layers.Rescaling(1 / 255)(image)))
    if classes == N:
        layer.set_weights([WEIGHTS])
    return model


def test_a_keras_model_of_several_inputs_or_outputs_or_channels(
    tmp_path: Path, street_folder: Path, expected: np.ndarray
) -> None:
    image, other = keras.Input([None, None, 3]), keras.Input([1])
    scores = dense()(image)
    sure = keras.layers.Dense(1, name="sure")(scores)
    for name, model in {
        "two": keras.Model([image, other], scores),
        "heads": keras.Model(image, [scores, sure]),
        "grey": keras.Sequential(
            [keras.Input([None, None, 1]), keras.layers.Dense(N)]
        ),
    }.items():
        model.save(tmp_path / f"{name}.keras")

    def found(name: str, **options: Any) -> np.ndarray:
        path = str(tmp_path / f"{name}.keras")
        candidate = open_candidate(path, CAMVID, InputOptions(**options))
        return counts(candidate, street_folder)

    with pytest.raises(ValueError, match=r"two\.keras\. Expected one input"):
        found("two")
    with pytest.raises(ValueError, match=r"grey\.keras\. Expected an answer"):
        found("grey")
    with pytest.raises(ValueError, match=r"`output`\. Expected one of.*sure"):
        found("heads")
    first = keras.models.load_model(tmp_path / "heads.keras").output_names[0]
    np.testing.assert_array_equal(found("heads", output=first), expected)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_whole_keras_model(
    tmp_path: Path, street_folder: Path, expected: np.ndarray, name: str
) -> None:
    path = str(tmp_path / name)
    dense().save(path)
    found = counts(open_candidate(path, CAMVID), street_folder)
    np.testing.assert_array_equal(found, expected)


def test_a_folder_of_label_pngs(
    tmp_path: Path, street_folder: Path, expected: np.ndarray
) -> None:
    for pair in LAYOUT.find(str(street_folder), ["val"]):
        image = np.asarray(Image.open(pair.image))
        ids = by_hand(image).astype(np.uint8)
        Image.fromarray(ids).save(tmp_path / f"{pair.name}.png")
    found = counts(open_candidate(str(tmp_path), CAMVID), street_folder)
    np.testing.assert_array_equal(found, expected)
    Image.fromarray(np.full_like(ids, N)).save(tmp_path / f"{pair.name}.png")
    named = re.escape(f"{pair.name}.png: Invalid")
    with pytest.raises(ValueError, match=rf"{named}.*`predictions`.*\[{N}\]"):
        counts(open_candidate(str(tmp_path), CAMVID), street_folder)
    written = tmp_path / f"{pair.name}.png"
    written.write_bytes(written.read_bytes()[:40])
    with pytest.raises(ValueError, match="Received: one that cannot be read"):
        counts(open_candidate(str(tmp_path), CAMVID), street_folder)
    written.unlink()
    with pytest.raises(ValueError, match=r"class ids, .*png. Received: none"):
        counts(open_candidate(str(tmp_path), CAMVID), street_folder)


def test_a_model_of_one_size_sees_that_size(
    tmp_path: Path, street_folder: Path
) -> None:
    path = str(tmp_path / "model.keras")
    dense(size=4).save(path)
    total = counts(open_candidate(path, CAMVID), street_folder).sum()
    labels = [
        np.asarray(Image.open(pair.label))
        for pair in LAYOUT.find(str(street_folder), ["val"])
    ]
    assert total == sum((label != CAMVID.void).sum() for label in labels)
    with pytest.raises(ValueError, match=r"`size`. Expected \(4, 4\)"):
        open_candidate(path, CAMVID, InputOptions(size=(8, 8)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"range": [0.0]}, "`range`. Expected 2 numbers"),
        ({"std": [1.0, 0.0, 1.0]}, "`std`"),
        ({"size": (0, 4)}, "`size`"),
        ({"channels": "rgba"}, "`channels`"),
        ({"layout": "hwc"}, "`layout`"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        InputOptions(**options)


def test_another_answer_is_refused(
    tmp_path: Path, saved: str, street_folder: Path
) -> None:
    path = str(tmp_path / "model.keras")
    dense(classes=5).save(path)
    with pytest.raises(ValueError, match=r"logits or probabilities \[H, W, 11"):
        counts(open_candidate(path, CAMVID), street_folder)
    with pytest.raises(ValueError, match=r"`signature`.*'ids', 'nchw'"):
        open_candidate(saved, CAMVID, InputOptions(signature="other"))
    with pytest.raises(ValueError, match=r"`output`.*'ids', 'sure'"):
        counts(
            open_candidate(saved, CAMVID, InputOptions(signature="ids")),
            street_folder,
        )
    nan = counter(lambda i: np.full([*i.shape[:2], N], np.nan), CAMVID)
    with pytest.raises(ValueError, match="NaN"):
        counts(Candidate(nan, CAMVID), street_folder)
    with pytest.raises(ValueError, match="Received: nowhere"):
        open_candidate("nowhere", CAMVID)


def test_a_keras_file_runs_no_code_of_its_own(tmp_path: Path) -> None:
    image = keras.Input([None, None, 3])
    model = keras.Model(image, keras.layers.Lambda(lambda x: x)(image))
    for name in ("model.keras", "model.h5"):
        path = str(tmp_path / name)
        model.save(path)
        with pytest.raises(ValueError, match=r"`Lambda`.*--trust"):
            open_candidate(path, CAMVID)
    for content in (b"", b"PK\x05\x06" + bytes(18)):
        (tmp_path / "broken.keras").write_bytes(content)
        with pytest.raises(ValueError, match="says no architecture"):
            open_candidate(str(tmp_path / "broken.keras"), CAMVID)


@pytest.mark.parametrize(
    ("config", "most"),
    [(b"[" * 100_000, 2**28), (b'{"name": "' + b" " * 2000 + b'"}', 1000)],
    ids=["deep", "large"],
)
def test_what_a_keras_file_promises_is_bounded(
    config: bytes, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.gate.candidates.MOST_BYTES", most)
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
    with pytest.raises(ValueError, match=r"bomb\.keras, which says no arch"):
        open_candidate(str(path), CAMVID)


def test_a_folder_of_versions_is_no_folder_of_predictions(
    saved: str, tmp_path: Path
) -> None:
    for version in ("7", "8"):
        shutil.copytree(saved, tmp_path / "serving" / version)
    with pytest.raises(ValueError, match=r"holds 2 of them, such as .*/8\.$"):
        open_candidate(str(tmp_path / "serving"), CAMVID)


def test_the_command_takes_them(
    tmp_path: Path, saved: str, street_folder: Path, expected: np.ndarray
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "rules: [{metric: iou/critical, floor: 0}, "
        "{metric: mean_iou, floor: 0.9}]"
    )
    own = tmp_path / "classes.yaml"
    # Other classes are critical to this model than to the data set.
    own.write_text(json.dumps({**CAMVID.as_dict(), "critical": ["sky"]}))
    ground = tmp_path / "d.csv"
    np.savetxt(ground, 1 - np.eye(N), delimiter=",")
    found = tmp_path / "found.json"
    command = ["gate", saved, str(street_folder), str(rules)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == USER_ERROR
    assert "`--ground`. Expected a ground matrix" in done.output
    command += [
        f"--ground={ground}",
        f"--classes={own}",
        "--input={signature: ids, output: ids}",
        f"--json={found}",
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == REFUSED, done.output
    from wseg_tf.metrics import mean_iou

    *_, critical, last = json.loads(found.read_text())
    assert critical["metric"] == "iou/sky"
    value = last["value"]
    assert value == pytest.approx(float(mean_iou(expected.sum(axis=0))))
    done = CliRunner().invoke(app, [*command, "--input={sise: 3}"])
    assert done.exit_code == USER_ERROR
    assert "Invalid key `sise` in --input" in done.output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"module": "os", "class_name": "system"}, "`os.system`"),
        ({"module": "mine.own", "class_name": "Net"}, "`mine.own.Net`"),
        (
            {"class_name": "TFOpLambda", "config": {"function": "io.rmtree"}},
            "`io.rmtree`",
        ),
        (
            {
                "class_name": "TFOpLambda",
                "config": {"function": "io.write_file"},
            },
            "`io.write_file`",
        ),
        (
            {"class_name": "TFOpLambda", "config": {"function": "py_function"}},
            "`py_function`",
        ),
        (
            {"class_name": "ClassMethod", "config": {"cls_symbol": "Module"}},
            "`ClassMethod`",
        ),
        ({"class_name": "InstanceMethod", "config": 5}, "`InstanceMethod`"),
        ({"config": {"activation": {"class_name": "function"}}}, "`function`"),
    ],
)
def test_code_that_a_keras_file_names_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = tmp_path / "model.keras"
    dense().save(path)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(held["config.json"])
    config["config"]["layers"][-1] |= changes
    held["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=rf"{said}.*--trust"):
        open_candidate(str(path), CAMVID)


def test_functions_that_compute_are_layers(tmp_path: Path) -> None:
    image = keras.Input([None, None, 3])
    turned = [image / 255.0, image[:, :, :, ::-1]]
    if KERAS_2:
        hidden = tf.nn.relu(tf.concat(turned, -1))
        hidden = tf.image.resize(hidden, tf.shape(image)[1:3])
    else:  # Keras 3 has functions of its own in place of TensorFlow's.
        hidden = keras.ops.relu(keras.ops.concatenate(turned, -1))
        hidden = keras.ops.image.resize(hidden, (24, 32))
    path = str(tmp_path / "model.keras")
    keras.Model(image, keras.layers.Conv2D(N, 1)(hidden)).save(path)
    open_candidate(path, CAMVID)


def test_a_foreign_saved_model_writes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    class Writer(Module):
        @tf.function(
            input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)]
        )
        def scores(self, image: Any) -> dict[str, Any]:
            tf.io.write_file("written.txt", "x")
            return {"logits": logits(image)}

    model = Writer()
    tf.saved_model.save(model, "model", {"serving_default": model.scores})
    with pytest.raises(ValueError, match="`WriteFile`"):
        open_candidate("model", CAMVID)
    open_candidate("model", CAMVID, trust=True)
    assert not (tmp_path / "written.txt").exists()
