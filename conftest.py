"""What the tests collect: examples that need what is not there stay out."""

import os
import sys
from importlib.util import find_spec

import pytest

from wseg_tf.filesystems import is_loaded

STATUS = pytest.StashKey[int]()

collect_ignore = []
if not find_spec("keras_cv"):
    collect_ignore += [
        "wseg_tf/models/deeplab_v3plus.py",
        "wseg_tf/models/feature_pyramid.py",
    ]
if sys.version_info >= (3, 11):  # Argo's runner went with TFX 1.15.
    collect_ignore.append("pipeline/runners/kubeflow/argo.py")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Notes how the tests ended."""
    session.config.stash[STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends where Python would abort: it cannot unload what opens S3."""
    if is_loaded():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash.get(STATUS, 1))
