"""Losses for segmentation, all with one way to treat labels and void."""

from wseg_tf.losses.targets import PixelLoss, Pixels, flatten, reduce
from wseg_tf.losses.wasserstein import WassersteinLoss

__all__ = ["PixelLoss", "Pixels", "WassersteinLoss", "flatten", "reduce"]
