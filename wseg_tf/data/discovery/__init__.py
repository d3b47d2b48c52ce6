"""Finds out how a folder of images and labels is laid out, and describes it."""

from __future__ import annotations

from wseg_tf.data.discovery.folder import Discovery, discover
from wseg_tf.data.discovery.text import describe

__all__ = ["Discovery", "describe", "discover"]
