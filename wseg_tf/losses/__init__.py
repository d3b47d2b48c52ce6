"""Losses for segmentation, all with one way to treat labels and void."""

from wseg_tf.losses.cross_entropy import CrossEntropyLoss
from wseg_tf.losses.dice import WassersteinDiceLoss
from wseg_tf.losses.focal import FocalLoss
from wseg_tf.losses.importance_aware import ImportanceAwareLoss
from wseg_tf.losses.lovasz import LovaszSoftmaxLoss
from wseg_tf.losses.mixture import MixtureLoss
from wseg_tf.losses.recommended import severity_loss
from wseg_tf.losses.reduction import reduce
from wseg_tf.losses.targets import PixelLoss, Pixels, flatten
from wseg_tf.losses.wasserstein import WassersteinLoss

__all__ = [
    "CrossEntropyLoss",
    "FocalLoss",
    "ImportanceAwareLoss",
    "LovaszSoftmaxLoss",
    "MixtureLoss",
    "PixelLoss",
    "Pixels",
    "WassersteinDiceLoss",
    "WassersteinLoss",
    "flatten",
    "reduce",
    "severity_loss",
]
