import json
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from wseg_tf import saved_models
from wseg_tf.cards import CARD
from wseg_tf.classes import CAMVID, class_set
from wseg_tf.conversion import convert
from wseg_tf.data.checks import check_pair, encode_labels
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise
from wseg_tf.data.streets import draw_scene
from wseg_tf.decisions import decide
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics import Confusion, confusion_count
from wseg_tf.serving import (
    CONFUSION,
    PIXELS,
    SERVING,
    ServedModel,
    export,
)
from wseg_tf.training.warm_start import start_from

SIZE = (32, 48)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input([None, None, 3])
    hidden = keras.layers.Conv2D(6, 3, padding="same")(image / 255.0)
    return keras.Model(image, keras.layers.Conv2D(11, 1)(hidden))


@pytest.fixture(scope="module")
def signatures(
    model: keras.Model, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tf.types.experimental.ConcreteFunction]:
    folder = str(tmp_path_factory.mktemp("model"))
    export(model, folder, CAMVID, *SIZE)
    loaded = tf.saved_model.load(folder)
    # The functions die with the object they belong to.
    return {"keep": loaded, **loaded.signatures}


def png(image: np.ndarray) -> bytes:
    encoded: bytes = tf.io.encode_png(image).numpy()
    return encoded


def test_images_of_the_training_size_get_the_models_own_classes(
    model: keras.Model,
    signatures: dict[str, tf.types.experimental.ConcreteFunction],
) -> None:
    images = [draw_scene(seed, *SIZE)[0] for seed in (1, 2)]
    served = signatures[SERVING](tf.constant([png(each) for each in images]))
    logits = model(np.stack(images).astype("float32"))
    expected = np.argmax(logits, axis=-1)
    found = served["classes"].numpy()
    assert found.dtype == np.uint8
    # A batch of two and two batches of one round alike but for exact ties.
    assert np.mean(found == expected) > 0.999


def test_other_sizes_come_back_at_their_own_size(
    signatures: dict[str, tf.types.experimental.ConcreteFunction],
) -> None:
    image, _ = draw_scene(0, 45, 70)
    served = signatures[SERVING](tf.constant([png(image)]))
    assert served["classes"].shape == (1, 45, 70)


def test_jpeg_is_decoded_too(
    signatures: dict[str, tf.types.experimental.ConcreteFunction],
) -> None:
    image, _ = draw_scene(0, *SIZE)
    jpeg = tf.io.encode_jpeg(image, quality=95)
    assert signatures[SERVING](jpeg[None])["classes"].shape == (1, *SIZE)


def test_confusion_counts_what_is_served_and_leaves_void_out(
    signatures: dict[str, tf.types.experimental.ConcreteFunction],
) -> None:
    records, expected = [], []
    for seed, size in ((1, SIZE), (2, (40, 36))):
        image, label = draw_scene(seed, *size)
        checked = check_pair(png(image), encode_labels(label), CAMVID)
        pair = Pair(f"{seed}", "i", "l", "eval", "drive", "streets")
        records.append(serialise(pair, checked))
        served = signatures[SERVING](tf.constant([png(image)]))["classes"][0]
        expected.append(
            confusion_count(label, served.numpy(), 11, void=CAMVID.void)
        )
        assert (label == CAMVID.void).any()
    counted = signatures[CONFUSION](tf.constant(records))["confusion"].numpy()
    assert counted.dtype == np.int64
    np.testing.assert_array_equal(counted, np.stack(expected))


def test_least_risk_is_served_as_it_is_decided(
    model: keras.Model, tmp_path: Path
) -> None:
    costs = np.ones([11, 11]) - np.eye(11)
    costs[CAMVID.index("tree")] *= 50
    ground, folder = GroundMatrix(costs, CAMVID), str(tmp_path / "model")
    # Whatever the order of the classes is in which D comes.
    turned = ground.subset(CAMVID.names[::-1])
    export(model, folder, CAMVID, *SIZE, turned, "least_risk")
    assert ServedModel(folder).ground == ground
    image = draw_scene(1, *SIZE)[0]
    logits = model(image[None].astype("float32"))
    found = ServedModel(folder).segment(png(image))
    assert np.mean(found == decide(logits, ground)[0]) > 0.999
    assert np.mean(found == decide(logits)[0]) < 0.96
    # The weights are where a training that starts from them looks.
    again = keras.models.clone_model(model)
    start_from(again, folder)
    for old, new in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(ValueError, match="Expected a ground matrix"):
        export(model, folder, CAMVID, *SIZE, decision="least_risk")


def header_of(height: int, width: int) -> bytes:
    """A PNG file that says it is larger than it is."""
    file = png(np.zeros([2, 2, 3], np.uint8))
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return file[:16] + size + file[24:]


def test_each_image_answers_for_itself(
    signatures: dict[str, tf.types.experimental.ConcreteFunction],
) -> None:
    small, large = (draw_scene(1, *size)[0] for size in ((32, 36), (45, 34)))
    whole = png(large)
    jpeg = tf.io.encode_jpeg(large, quality=95).numpy()
    files = [
        png(small),
        b"no image",
        whole[: len(whole) // 2],
        b"",
        b"\x89PNG\r\n\x1a\n",
        jpeg[:20],
        tf.io.encode_png(large[..., :1]).numpy(),  # Grey.
        header_of(4000, 4000),
        header_of(2**31 - 1, 2**31 - 1),
        header_of(0, 5),
        b"GIF89a" + whole,
        b"BM" + whole,
        jpeg,
        whole,
    ]
    served = signatures[SERVING](tf.constant(files))
    errors = [each.decode() for each in served["errors"].numpy()]
    good = [place for place, error in enumerate(errors) if not error]
    assert good == [0, 6, 12, 13]
    for place in (1, 3, 10, 11):
        assert errors[place].startswith("Expected a PNG or JPEG file. Found")
    for place in (2, 4, 5, 9):
        assert "cannot be decoded" in errors[place]
    assert errors[7] == (
        "Expected at most 4194304 pixels. Found an image of 4000 x 4000."
    )
    assert "2147483647 x 2147483647" in errors[8]
    sizes = served["sizes"].numpy()
    assert not sizes[[p for p in range(len(files)) if p not in good]].any()
    for place in good:
        alone = signatures[SERVING](tf.constant([files[place]]))["classes"][0]
        height, width = sizes[place]
        found = served["classes"].numpy()[place]
        assert alone.shape == (height, width)
        np.testing.assert_array_equal(found[:height, :width], alone)
        assert (found[height:] == CAMVID.void).all()
        assert (found[:, width:] == CAMVID.void).all()


def test_an_empty_batch_has_an_empty_answer(
    signatures: dict[str, tf.types.experimental.ConcreteFunction],
) -> None:
    nothing = tf.constant([], tf.string)
    served = signatures[SERVING](nothing)
    assert served["classes"].shape == (0, 0, 0)
    assert served["sizes"].shape == (0, 2)
    assert served["errors"].shape == (0,)
    assert signatures[CONFUSION](nothing)["confusion"].shape == (0, 11, 11)
    pixels = tf.zeros([0, *SIZE, 3], tf.uint8)
    assert signatures[PIXELS](images=pixels)["classes"].shape == (0, *SIZE)


def test_a_folder_named_like_a_pattern_serves(
    model: keras.Model, tmp_path: Path
) -> None:
    folder = str(tmp_path / "run[1]" / "m?d[e]l*")
    export(model, folder, CAMVID, *SIZE)
    ids = ServedModel(folder).segment(png(draw_scene(1, *SIZE)[0]))
    assert ids.shape == SIZE


def test_more_than_256_classes_are_served_as_16_bits(tmp_path: Path) -> None:
    names = class_set([f"class {place}" for place in range(300)])
    image = keras.Input([None, None, 3])
    # Class 290 everywhere, 34 if it were cut to 8 bits.
    favourite = keras.initializers.Constant(np.eye(300)[290])
    logits = keras.layers.Conv2D(300, 1, bias_initializer=favourite)
    model = keras.Model(image, logits(image * 0.0))
    folder = str(tmp_path / "model")
    export(model, folder, names, *SIZE)
    served = ServedModel(folder)
    pixels = np.zeros([9, 7, 3], np.uint8)
    ids = served.segment(png(pixels))
    assert ids.dtype == np.uint16
    np.testing.assert_array_equal(ids, np.full([9, 7], 290))
    card = json.loads((tmp_path / "model" / CARD).read_text())
    assert card["ids"] == "uint16"
    found = tf.saved_model.load(folder).signatures[PIXELS](
        images=tf.zeros([1, *SIZE, 3], tf.uint8)
    )
    assert (found["classes"].numpy() == 290).all()


def test_the_bound_on_pixels_is_the_users(
    model: keras.Model, tmp_path: Path
) -> None:
    folder = str(tmp_path / "model")
    export(model, folder, CAMVID, *SIZE, max_pixels=100)
    served = ServedModel(folder)
    assert served.segment(png(np.zeros([10, 10, 3], np.uint8))).shape == (
        10,
        10,
    )
    with pytest.raises(ValueError, match=r"at most 100 pixels.*11 x 10"):
        served.segment(png(np.zeros([11, 10, 3], np.uint8)))
    with pytest.raises(ValueError, match=r"`max_pixels`.*max_pixels=0"):
        export(model, folder, CAMVID, *SIZE, max_pixels=0)


def reordered(folder: Path) -> None:
    card = json.loads((folder / CARD).read_text())
    card["classes"]["classes"].reverse()
    (folder / CARD).write_text(json.dumps(card))


def relaxed(folder: Path) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, "decision": "least_risk"}))


def reweighted(folder: Path) -> None:
    (path,) = (folder / "variables").glob("*.data-*")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


def relabelled(folder: Path) -> None:
    other = folder.parent / "other" / CARD
    shutil.copy(other, folder / CARD)


@pytest.mark.parametrize("how", [reordered, relaxed, reweighted, relabelled])
def test_a_card_is_of_the_graph_and_the_weights_that_it_was_written_for(
    model: keras.Model, tmp_path: Path, how: Callable[[Path], None]
) -> None:
    for name, seed in (("model", 3), ("other", 4)):
        keras.utils.set_random_seed(seed)
        export(
            keras.models.clone_model(model), f"{tmp_path}/{name}", CAMVID, *SIZE
        )
    ServedModel(f"{tmp_path}/model")
    how(tmp_path / "model")
    with pytest.raises(ValueError, match=r"together.*Received: others"):
        ServedModel(f"{tmp_path}/model")


def test_a_model_of_other_classes_is_refused(tmp_path: Path) -> None:
    image = keras.Input([None, None, 3])
    model = keras.Model(image, keras.layers.Conv2D(5, 1)(image))
    with pytest.raises(ValueError, match=r"Expected 11 output channels.*: 5"):
        export(model, str(tmp_path / "model"), CAMVID, *SIZE)
    others = GroundMatrix(1 - np.eye(5), list("abcde"))
    eleven = keras.Model(image, keras.layers.Conv2D(11, 1)(image))
    with pytest.raises(ValueError, match="Expected one of the classes"):
        export(eleven, str(tmp_path / "model"), CAMVID, *SIZE, others)
    assert not (tmp_path / "model").exists()


def test_a_folder_of_models_is_told_from_a_model(
    model: keras.Model, tmp_path: Path
) -> None:
    for version in ("7", "8"):
        export(model, str(tmp_path / "serving" / version), CAMVID, *SIZE)
    with pytest.raises(ValueError, match=r"holds 2 of them, such as .*/8\.$"):
        ServedModel(str(tmp_path / "serving"))
    with pytest.raises(ValueError, match=r"Received: \S+$"):
        ServedModel(str(tmp_path))
    out = str(tmp_path / "model.tflite")
    for tried in (
        lambda folder: convert(folder, out, "tflite"),
        saved_models.load,
    ):
        with pytest.raises(ValueError, match=r"such as .*/8\.$"):
            tried(str(tmp_path / "serving"))


def test_a_model_of_another_size_is_refused(tmp_path: Path) -> None:
    for own in ((32, 40), (32, None)):
        image = keras.Input([*own, 3])
        model = keras.Model(image, keras.layers.Conv2D(11, 1)(image))
        with pytest.raises(ValueError, match=r"`width`. Expected.*\(48, 40\)"):
            export(model, str(tmp_path / "model"), CAMVID, 48, 40)
        assert not (tmp_path / "model").exists()


def test_classes_are_whatever_names_them(tmp_path: Path) -> None:
    image = keras.Input([None, None, 3])
    model = keras.Model(image, keras.layers.Conv2D(3, 1)(image))
    names = ["sky", "road", "Parked Car"]
    ground = GroundMatrix.severity_aware(names)
    export(model, str(tmp_path / "model"), names, *SIZE, ground)
    served = ServedModel(str(tmp_path / "model"))
    assert served.classes == class_set(names)
    assert served.ground == ground
    assert Confusion.of(names, ground).names == tuple(names)
    with pytest.raises(ValueError, match="Received: 'camvidd'"):
        export(model, str(tmp_path / "new"), "camvidd", *SIZE)
