"""What is saved in one process loads in another, by `import wseg_tf` alone."""

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import wseg_tf
from tests.wseg_tf.models.small import IS_KERAS_2, NAMES, images, small
from wseg_tf.decisions import least_risk
from wseg_tf.ground import GroundMatrix
from wseg_tf.models import LayerwiseAdam
from wseg_tf.training.schedules import Times, WarmUp

ROOT = Path(wseg_tf.__file__).parent
REGISTERED = re.compile(
    r"register_keras_serializable\(package=\"wseg_tf\"\)\s+(?:class|def) (\w+)"
)
# A SavedModel holds each layer's functions, which takes a minute where layers
# are many; what must be registered for it is registered for the files.
SAVED = ("segnet", "fcn8s", "deeplab_v2")
# In a process of its own, since here everything is imported already.
LOAD = """
import json, sys
{imports}
import numpy as np
import tensorflow as tf
folder = sys.argv[1]
image = np.load(folder + "/image.npy")
for path in json.load(open(folder + "/paths.json")):
    if {keras_3} and path.endswith(".saved"):
        loaded = tf.saved_model.load(path)
        logits = loaded.serve(image)
    else:
        logits = keras.models.load_model(path)(image, training=False)
    np.save(path + ".npy", logits)
"""
ORDERS = ("import keras, wseg_tf", "import wseg_tf.losses, keras")
COUNT = """
import json
{imports}
print(json.dumps([*keras.saving.get_custom_objects()]))
"""


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("imports", ORDERS)
def test_every_class_is_registered_whoever_is_imported_first(
    imports: str,
) -> None:
    marked = {
        name
        for path in ROOT.rglob("*.py")
        for name in REGISTERED.findall(path.read_text())
    }
    known = json.loads(run(COUNT.format(imports=imports)).splitlines()[-1])
    assert len(marked) > 20
    assert {f"wseg_tf>{name}" for name in marked} <= {*known}


def test_every_network_loads_in_another_process(tmp_path: Path) -> None:
    keras.utils.set_random_seed(2)
    image = images(1, 17, 24, 3).astype("float32")
    np.save(tmp_path / "image.npy", image)
    expected = {}
    for name in NAMES:
        model = small(name)
        paths = [str(tmp_path / f"{name}.{end}") for end in ("keras", "h5")]
        for path in paths:
            model.save(path)
        if name in SAVED:
            saved = str(tmp_path / f"{name}.saved")
            paths.append(saved)
            if IS_KERAS_2:
                model.save(saved, save_format="tf")
            else:
                model.export(saved, verbose=False)
        logits = model(image, training=False).numpy()
        expected |= dict.fromkeys(paths, logits)
    (tmp_path / "paths.json").write_text(json.dumps([*expected]))
    imports = "import wseg_tf\nimport keras"
    code = LOAD.format(imports=imports, keras_3=not IS_KERAS_2)
    run(code, str(tmp_path))
    for path, logits in expected.items():
        np.testing.assert_allclose(
            np.load(path + ".npy"),
            logits,
            atol=1e-5 * np.abs(logits).max(),
            err_msg=path,
        )


def test_layers_and_optimizers_that_no_network_has_load_too(
    tmp_path: Path,
) -> None:
    ground = GroundMatrix([[0.0, 1.0, 2.0], [7.0, 0.0, 1.0], [3.0, 1.0, 0.0]])
    model = least_risk(small("fcn32s"), ground)
    falling = keras.optimizers.schedules.CosineDecay(0.1, 9)
    rate = Times(WarmUp(falling, 3), 2.0)
    # Keras 3 does not load the "mse" of an .h5 file.
    model.compile(
        LayerwiseAdam(rate, multipliers={"head": 3.0}),
        keras.losses.MeanSquaredError(),
    )
    image = images(1, 17, 24, 3).astype("float32")
    model.fit(image, np.zeros([1, 17, 24, 3]), verbose=0)
    np.save(tmp_path / "image.npy", image)
    paths = [str(tmp_path / f"model.{end}") for end in ("keras", "h5")]
    for path in paths:
        model.save(path)
    (tmp_path / "paths.json").write_text(json.dumps(paths))
    imports = "import keras\nimport wseg_tf"
    run(LOAD.format(imports=imports, keras_3=not IS_KERAS_2), str(tmp_path))
    expected = model(image, training=False)
    for path in paths:
        found = np.load(path + ".npy")
        np.testing.assert_allclose(found, expected, rtol=1e-4)
