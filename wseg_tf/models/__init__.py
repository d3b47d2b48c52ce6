"""Networks that segment images, under one `build`."""

from wseg_tf.models.registry import ARCHITECTURES, Architecture, build

__all__ = ["ARCHITECTURES", "Architecture", "build"]
