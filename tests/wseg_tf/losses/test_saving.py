"""A model and its loss come back from disk in a fresh process."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.wseg_tf.losses.every import LOSSES, VOID, batch
from wseg_tf.losses import MixtureLoss, severity_loss

LOAD = """
import sys
import keras
import wseg_tf.losses, wseg_tf.adaptation.objectives
import numpy as np
data = np.load(sys.argv[1])
for path, value in zip(sys.argv[2:], data["values"], strict=True):
    model = keras.models.load_model(path)
    found = model.evaluate(data["x"], data["y"], verbose=0)
    np.testing.assert_allclose(found, value, rtol=1e-5, err_msg=path)
"""


def _compiled(loss: keras.losses.Loss) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3, 4, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 1)(inputs))
    model.compile("sgd", loss, jit_compile=False)
    return model


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_every_loss_loads_in_a_fresh_process(
    tmp_path: Path, suffix: str
) -> None:
    options = {"from_logits": True, "ignore_class": VOID}
    losses = {name: make(**options) for name, make in LOSSES.items()}
    losses["weights_by_id"] = severity_loss(
        1 - np.eye(4), class_weights={1: 5.0}, **options
    )
    losses["nested"] = MixtureLoss([(2.0, losses["mixture"])])
    _, labels, _ = batch()
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 3)).astype("float32")
    paths, values = [], []
    for name, loss in losses.items():
        model = _compiled(loss)
        paths.append(str(tmp_path / f"{name}{suffix}"))
        values.append(model.evaluate(x, labels, verbose=0))
        model.save(paths[-1])
    np.savez(tmp_path / "data.npz", x=x, y=labels, values=values)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path / "data.npz"), *paths],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_an_unknown_member_is_named() -> None:
    config = MixtureLoss([(1.0, LOSSES["focal"]())]).get_config()
    config["terms"][0][1]["registered_name"] = "mine>Loss"
    with pytest.raises(ValueError, match="'mine>Loss'"):
        MixtureLoss.from_config(config)
