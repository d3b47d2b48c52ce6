"""Discrete Wasserstein training for semantic segmentation in Keras.

Names are imported when they are first used, so that `from wseg_tf import
GroundMatrix` does not wait for TensorFlow. Keras knows every layer, loss and
metric as soon as this package and Keras are both imported, in either order.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from wseg_tf.registration import register_with_keras

if TYPE_CHECKING:
    from wseg_tf.classes import CAMVID, CITYSCAPES, ClassSet, class_set
    from wseg_tf.ground import GroundMatrix
    from wseg_tf.losses import (
        CrossEntropyLoss,
        FocalLoss,
        ImportanceAwareLoss,
        LovaszSoftmaxLoss,
        MixtureLoss,
        WassersteinDiceLoss,
        WassersteinLoss,
        severity_loss,
    )
    from wseg_tf.metrics import Confusion

# setup.cfg reads it here.
__version__ = "0.1.0"

__all__ = [
    "CAMVID",
    "CITYSCAPES",
    "ClassSet",
    "Confusion",
    "CrossEntropyLoss",
    "FocalLoss",
    "GroundMatrix",
    "ImportanceAwareLoss",
    "LovaszSoftmaxLoss",
    "MixtureLoss",
    "WassersteinDiceLoss",
    "WassersteinLoss",
    "class_set",
    "severity_loss",
]

# Where the names above are looked for, the quickest import first.
_HOMES = ("classes", "ground", "metrics", "losses")
_ROOMS = (
    "adaptation",
    "data",
    "decisions",
    "models",
    "plots",
    "serving",
    "training",
    "transport",
    *_HOMES,
)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"wseg_tf.{name}")
    if name in __all__:
        for home in _HOMES:
            module = importlib.import_module(f"wseg_tf.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'wseg_tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})


register_with_keras()
