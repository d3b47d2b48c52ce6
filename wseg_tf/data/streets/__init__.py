"""Procedurally drawn street scenes: data that needs no download."""

from wseg_tf.data.streets.folder import write_streets
from wseg_tf.data.streets.scene import draw_scene

__all__ = ["draw_scene", "write_streets"]
