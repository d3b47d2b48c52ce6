"""The smallest demo that a cluster's steps run whole, and what they leave."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.runners.small import SHORT, on_cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("volume")


@pytest.fixture(scope="module")
def small_demo(folder: Path) -> list[str]:
    """What makes `configs/demo.yaml` one for a cluster, of one epoch."""
    return [*SHORT, *on_cluster(folder)]


@pytest.fixture(scope="module")
def keep_log_level() -> Iterator[None]:
    """A step sets the level for its process."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)
