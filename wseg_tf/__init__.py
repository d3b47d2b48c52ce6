"""Discrete Wasserstein training for semantic segmentation in Keras.

Names are imported when they are first used, so that `from wseg_tf import
GroundMatrix` does not wait for TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wseg_tf.classes import CAMVID, CITYSCAPES, ClassSet, class_set
    from wseg_tf.ground import GroundMatrix
    from wseg_tf.losses import (
        CrossEntropyLoss,
        FocalLoss,
        ImportanceAwareLoss,
        MixtureLoss,
        WassersteinDiceLoss,
        WassersteinLoss,
        severity_loss,
    )

__version__ = "0.1.0"

__all__ = [
    "CAMVID",
    "CITYSCAPES",
    "ClassSet",
    "CrossEntropyLoss",
    "FocalLoss",
    "GroundMatrix",
    "ImportanceAwareLoss",
    "MixtureLoss",
    "WassersteinDiceLoss",
    "WassersteinLoss",
    "class_set",
    "severity_loss",
]

_MODULES = {
    **dict.fromkeys(
        ("CAMVID", "CITYSCAPES", "ClassSet", "class_set"), "wseg_tf.classes"
    ),
    "GroundMatrix": "wseg_tf.ground",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'wseg_tf' has no attribute {name!r}")
    module = _MODULES.get(name, "wseg_tf.losses")
    return getattr(importlib.import_module(module), name)
