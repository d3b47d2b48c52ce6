"""Networks that segment images, under one `build`."""

from wseg_tf.models.description import Description, describe, summary_text
from wseg_tf.models.finetuning import (
    LayerwiseAdam,
    LayerwiseAdamW,
    LayerwiseSGD,
    freeze_batch_norm,
    freeze_encoder,
)
from wseg_tf.models.imagenet import ImportReport, import_imagenet
from wseg_tf.models.registry import ARCHITECTURES, Architecture, build

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Description",
    "ImportReport",
    "LayerwiseAdam",
    "LayerwiseAdamW",
    "LayerwiseSGD",
    "build",
    "describe",
    "freeze_batch_norm",
    "freeze_encoder",
    "import_imagenet",
    "summary_text",
]
