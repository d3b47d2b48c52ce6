"""The device that TensorFlow measures on: the first GPU, if there is one."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from wseg_tf.training.strategy import grow_memory


def prepare() -> dict[str, Any]:
    """Leaves room for peers on the device; returns its name, if it is a GPU."""
    grow_memory()
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return {}
    details = tf.config.experimental.get_device_details(gpus[0])
    return {"GPU": details["device_name"]}


def labels(ids: Any) -> tf.Tensor:
    """Places class ids on the device: of int32, a GPU's are on the host."""
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    return tf.constant(ids, tf.int64 if has_gpu else tf.int32)


def settled(outputs: tf.Tensor) -> float:
    """Waits until outputs are there, without bringing them all."""
    return float(tf.reshape(outputs, [-1])[0])
