"""What the tests collect: examples that need what is not there stay out."""

from importlib.util import find_spec

collect_ignore = (
    [] if find_spec("keras_cv") else ["wseg_tf/models/deeplab_v3plus.py"]
)
