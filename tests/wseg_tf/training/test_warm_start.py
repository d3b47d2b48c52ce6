import dataclasses
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.wseg_tf.training.small import SIZE, same, small_net
from wseg_tf import models
from wseg_tf.classes import CAMVID
from wseg_tf.serving import export
from wseg_tf.training.warm_start import newest_version, start_from


def net(seed: int, classes: int = 11) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return small_net("enet", classes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model in each form that a training may start from."""
    folder = tmp_path_factory.mktemp("models")
    model = net(1)
    model.save_weights(str(folder / "own.weights.h5"))
    model.save(str(folder / "own.keras"))
    export(model, str(folder / "exported"), CAMVID, *SIZE)
    export(net(2), str(folder / "serving" / "9"), CAMVID, *SIZE)
    export(model, str(folder / "serving" / "10"), CAMVID, *SIZE)
    other = models.build("fcn32s", 11, width=0.05)
    other.save_weights(str(folder / "other.weights.h5"))
    other.save(str(folder / "other.keras"))
    export(other, str(folder / "other"), CAMVID, *SIZE)
    net(1, classes=12).save_weights(str(folder / "twelve.weights.h5"))
    (folder / "text.weights.h5").write_text("no weights")
    (folder / "empty").mkdir()
    return folder


@pytest.mark.parametrize(
    "name", ["own.weights.h5", "own.keras", "exported", "serving"]
)
def test_weights_come_from_every_form(folder: Path, name: str) -> None:
    model = net(5)
    assert not same(model, net(1))
    start_from(model, str(folder / name))
    assert same(model, net(1))


def test_weights_of_classes_in_another_order_are_refused(folder: Path) -> None:
    path, names = str(folder / "serving"), CAMVID.names
    swapped = (names[1], names[0], *names[2:])
    other = dataclasses.replace(CAMVID, name="own", names=swapped)
    model = net(5)
    with pytest.raises(ValueError, match=r"class 0 is .* whose class 0 is"):
        start_from(model, path, other)
    assert same(model, net(5))
    # Groups and void are no outputs' meaning.
    start_from(model, path, dataclasses.replace(CAMVID, name="own", void=255))
    assert same(model, net(1))


def test_versions_are_numbers(folder: Path) -> None:
    found = newest_version(str(folder / "serving"))
    assert found == str(folder / "serving" / "10")


@pytest.mark.parametrize(
    "name",
    [
        "other.weights.h5",
        "other.keras",
        "other",
        "twelve.weights.h5",
        "text.weights.h5",
    ],
)
def test_another_network_is_refused_in_one_sentence(
    folder: Path, name: str
) -> None:
    with pytest.raises(ValueError, match="weights of another") as caught:
        start_from(net(5), str(folder / name))
    assert str(caught.value) == (
        "Invalid value for argument `initial`. Expected weights of `enet` "
        f"with 11 classes. Received: initial={str(folder / name)!r}, weights "
        "of another network."
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.weights.h5", "does not exist"),
        ("nowhere", "which is none"),
        ("empty", "which is none"),
    ],
)
def test_nothing_is_refused_in_one_sentence(
    folder: Path, name: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        start_from(net(5), str(folder / name))
    assert str(folder / name) in str(caught.value)


def arrays_of(model: keras.Model) -> dict[str, np.ndarray]:
    """Weights as an `.npz` of others may name them."""
    names = ("kernel", "bias", "gamma", "beta", "moving_mean")
    norm = ("gamma", "beta", "moving_mean", "moving_variance")
    return {
        f"{layer.name}/{name}": value
        for layer in model.layers
        for name, value in zip(
            norm if layer.name == "encoder_norm" else names,
            layer.get_weights(),
            strict=False,
        )
    }


def test_an_encoder_comes_from_others_files(tmp_path: Path) -> None:
    source, model = net(1), net(5)
    path = str(tmp_path / "others.npz")
    arrays = arrays_of(source)
    np.savez(path, **{k: v for k, v in arrays.items() if "head" not in k})
    head = model.get_layer("head").get_weights()
    start_from(model, path)
    for name in ("encoder_conv", "encoder_norm"):
        for ours, theirs in zip(
            model.get_layer(name).get_weights(),
            source.get_layer(name).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)
    for ours, before in zip(
        model.get_layer("head").get_weights(), head, strict=True
    ):
        np.testing.assert_array_equal(ours, before)


def test_a_whole_network_of_ours_comes_whole_from_keras_2s_format(
    tmp_path: Path,
) -> None:
    if not keras.__version__.startswith("2"):
        pytest.skip("Keras 3 does not write the format")
    path = str(tmp_path / "own.h5")
    net(1).save_weights(path)
    model = net(5)
    start_from(model, path)
    assert same(model, net(1))
    with pytest.raises(ValueError, match="weights of another network"):
        start_from(net(5, classes=12), path)


@pytest.mark.parametrize("change", ["another shape", "another network"])
def test_others_weights_that_do_not_fit_are_refused(
    tmp_path: Path, change: str
) -> None:
    arrays = arrays_of(net(1))
    if change == "another shape":
        arrays["encoder_norm/gamma"] = np.ones(9)
    else:
        arrays = {f"x_{name}": value for name, value in arrays.items()}
    del arrays[next(name for name in arrays if "head" in name)]
    path = str(tmp_path / "others.npz")
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="weights of another network"):
        start_from(net(5), path)


def test_the_program_in_a_keras_file_is_not_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a model was loaded where weights are wanted")

    monkeypatch.setattr(keras.models, "load_model", refuse)
    monkeypatch.setattr(keras.saving, "load_model", refuse)
    path = tmp_path / "evil.keras"
    with zipfile.ZipFile(folder / "own.keras") as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "no program at all")
        archive.writestr("model.weights.h5", weights)
    model = net(5)
    start_from(model, str(path))
    assert same(model, net(1))


@pytest.mark.parametrize(
    "held",
    [None, {}, {"model.weights.h5": b"text"}, {"config.json": b"{}"}],
    ids=["no archive", "empty", "text", "no weights"],
)
def test_a_keras_file_without_weights_is_refused(
    tmp_path: Path, held: dict[str, bytes] | None
) -> None:
    path = tmp_path / "model.keras"
    if held is None:
        path.write_text("no archive")
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in held.items():
                archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"Received: initial=.*model\.keras"):
        start_from(net(5), str(path))
