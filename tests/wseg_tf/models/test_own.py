"""A network of the user's own, by the path of its function."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from wseg_tf import models
from wseg_tf.classes import CAMVID
from wseg_tf.code import foreign_digest
from wseg_tf.configuration import ConfigurationError
from wseg_tf.models.registry import check_network
from wseg_tf.training.identity import identity
from wseg_tf.training.objectives import check
from wseg_tf.training.recipe import Recipe

NET = """
import keras

def build(classes, features=4):
    image = keras.Input([None, None, 3])
    hidden = keras.layers.Conv2D(features, 3, padding="same")(image / 255.0)
    return keras.Model(image, keras.layers.Conv2D(classes, 1)(hidden))
"""
Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own_networks").mkdir()

    def write(text: str) -> str:
        (tmp_path / "own_networks" / "net.py").write_text(text)
        for name in [*sys.modules]:
            if name.startswith("own_networks"):
                del sys.modules[name]
        return "own_networks.net:build"

    (tmp_path / "own_networks" / "__init__.py").write_text("")
    return write


def test_it_is_built_by_its_path(write: Write) -> None:
    name = write(NET)
    check_network(name, 5)
    model = models.build(name, 5, features=7)
    assert model(np.zeros([1, 9, 7, 3], np.float32)).shape == (1, 9, 7, 5)
    with pytest.raises(ValueError, match=r"Invalid option.*\['features'\]"):
        models.build(name, 5, width=0.5)
    assert check(Recipe(model=name), CAMVID) is not None


@pytest.mark.parametrize(
    ("code", "file"),
    [
        ('Path(__file__).with_name("prior.npy")', "own_networks/prior.npy"),
        (
            'os.path.join(HERE, "data", "prior.npy")',
            "own_networks/data/prior.npy",
        ),
        ('open("prior.csv")', "prior.csv"),
        ('files("own_networks") / "data/a.json"', "own_networks/data/a.json"),
    ],
)
def test_a_file_that_it_names_is_part_of_what_a_training_is(
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    file: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"one")
    recipe = Recipe(model=write(f"{NET}\ndef read():\n    return {code}\n"))
    before, date = identity(recipe, CAMVID, "data"), path.stat().st_mtime_ns
    (tmp_path / "unnamed.npy").write_bytes(b"one")
    assert identity(recipe, CAMVID, "data") == before
    path.write_bytes(b"two")
    os.utime(path, ns=(date, date))
    assert identity(recipe, CAMVID, "data") != before


def test_its_code_is_part_of_what_a_training_is(
    write: Write, tmp_path: Path
) -> None:
    recipe = Recipe(model=write(NET))
    before = identity(recipe, CAMVID, "data")
    write(NET + "# A remark.\n")
    assert identity(recipe, CAMVID, "data") == before
    write(NET.replace("255.0", "128.0"))
    assert identity(recipe, CAMVID, "data") != before
    digest = foreign_digest("own_networks.net")
    (tmp_path / "own_networks" / "blocks.py").write_text("WIDE = 3")
    digest, before = foreign_digest("own_networks.net"), digest
    assert digest != before
    # What it imports of the user's own counts; what was installed does not.
    (tmp_path / "own_sizes.py").write_text("WIDTH = 5")
    (tmp_path / "own_layers.py").write_text("import json, scipy, own_sizes")
    write(NET + "from own_layers import own_sizes")
    digest, before = foreign_digest("own_networks.net"), digest
    assert digest != before
    (tmp_path / "own_sizes.py").write_text("WIDTH = 7")
    assert foreign_digest("own_networks.net") != digest
    with pytest.raises(ValueError, match="'no_such_module'"):
        foreign_digest("no_such_module")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_networks.net:", "no package.module:function"),
        (":build", "no package.module:function"),
        ("own_networks.other:build", "No module named"),
        ("own_networks.net:other", "has no 'other'"),
        ("own_networks.net:WIDE", "WIDE is no function"),
        ("..:build", "no package.module:function"),
        ("own_networks.net:bare", "too many positional arguments"),
        ("own_networks.net:more", "missing a required argument: 'width'"),
        ("enett", "Expected one of"),
    ],
)
def test_a_path_that_leads_nowhere_is_one_sentence(
    write: Write, name: str, said: str
) -> None:
    write(f"{NET}WIDE = 3\nbare = lambda: 1\nmore = lambda n, width: 1\n")
    with pytest.raises(ConfigurationError, match=said) as caught:
        check(Recipe(model=name), CAMVID)
    # The key of the recipe, not the argument of a function behind it.
    assert "argument `model`" in str(caught.value)
    assert f"model={name!r}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("Conv2D(classes, 1)", "Conv2D(7, 1)"), r"\[B, H, W, 11\].*47, 7\)"),
        (('padding="same"', "strides=2"), r"\(1, 16, 23, 11\)"),
        (("classes, 1)", "classes, 1, activation='softmax')"), "a softmax"),
        (("[None, None, 3]", "[32, 32, 3]"), "images of any size"),
        (("return keras.Model", "keras.Model"), "Received: a NoneType"),
    ],
    ids=["channels", "stride", "softmax", "one size", "nothing"],
)
def test_a_network_that_could_not_be_trained_is_refused(
    write: Write, change: tuple[str, str], said: str
) -> None:
    name = write(NET.replace(*change))
    with pytest.raises(ValueError, match=said):
        check_network(name, 11)
    tf.keras.backend.clear_session()
