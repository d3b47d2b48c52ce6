"""`wseg weights import`: what it says, writes and refuses."""

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from wseg_tf.models import build

pytestmark = pytest.mark.skipif(
    not keras.__version__.startswith("2"), reason="the pipeline is Keras 2's"
)
WIDTH = ["--model", "fcn32s", "--classes", "3", "--width", "0.05"]


def wseg(*arguments):
    done = CliRunner().invoke(app, ["weights", "import", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


@pytest.fixture
def file(tmp_path):
    keras.utils.set_random_seed(4)
    model = build("fcn32s", 5, width=0.05)
    arrays = {
        f"{layer.name.removeprefix('encoder_')}/{name}": value
        for layer in model.layers
        if layer.name.startswith("encoder_block")
        for name, value in zip(
            ("kernel", "bias"), layer.get_weights(), strict=False
        )
    }
    del arrays["block5_conv3/kernel"], arrays["block5_conv3/bias"]
    np.savez(tmp_path / "vgg.npz", extra=np.ones(2), **arrays)
    return tmp_path / "vgg.npz", model


def test_it_reports_and_writes_what_initial_takes(file, tmp_path):
    path, source = file
    out = tmp_path / "start.weights.h5"
    code, said = wseg(path, *WIDTH, "--out", out)
    assert code == 0, said
    assert "matched (12)" in said
    assert "missing in the file (3): encoder_block5_conv3, encoder_fc6" in said
    assert "unused in the file (1): extra" in said
    assert "Known as: no file that is known here" in said
    model = build("fcn32s", 3, width=0.05, weights=str(out))
    name = "encoder_block1_conv1"
    for ours, theirs in zip(
        model.get_layer(name).get_weights(),
        source.get_layer(name).get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_another_width_writes_nothing_and_says_which_layer(file, tmp_path):
    path, _ = file
    out = tmp_path / "start.weights.h5"
    code, said = wseg(path, *WIDTH[:-1], "0.1", "--out", out)
    assert code == 2
    assert "of another shape" in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.pth"], "nowhere.pth, which cannot be read"),
        (["x.pth", "--out", "x.h5"], "ends in .weights.h5. Received: x.h5"),
        (["x.pth", "--model", "unet"], "Received: name='unet'"),
    ],
)
def test_what_it_cannot_do_is_one_sentence(
    arguments, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.pth").write_bytes(b"x")
    code, found = wseg(*arguments)
    assert code == 2
    assert said in found
