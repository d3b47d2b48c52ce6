"""Small versions of every network, for tests."""

from importlib.util import find_spec
from typing import Any

import keras
import numpy as np

from wseg_tf.models import ARCHITECTURES, build

OPTIONS: dict[str, dict[str, Any]] = {
    "enet": {"width": 0.5},
    "segnet": {"width": 0.125},
    "fcn8s": {"width": 0.05},
    "fcn16s": {"width": 0.05},
    "fcn32s": {"width": 0.05},
    "deeplab_v2": {"width": 0.125, "blocks": (1, 1, 1, 1)},
    "deeplab_v3plus": {"width": 0.125},
    "fpn_efficientnet_lite0": {"width": 0.25},
}
IS_KERAS_2 = keras.__version__.startswith("2")
HAS_KERAS_CV = find_spec("keras_cv") is not None
OF_KERAS_CV = ("deeplab_v3plus", "fpn_efficientnet_lite0")
NAMES = [n for n in ARCHITECTURES if HAS_KERAS_CV or n not in OF_KERAS_CV]
# FCN's three versions share their code; where time counts, one stands for all.
DISTINCT_NAMES = [n for n in NAMES if n not in ("fcn16s", "fcn32s")]


def small(name: str, classes: int = 3, **options: Any) -> keras.Model:
    return build(name, classes, **{**OPTIONS[name], **options})


def images(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
