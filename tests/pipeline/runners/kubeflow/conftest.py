"""The smallest demo that a cluster's steps run whole, and what they leave."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.runners.small import SHORT, SMALL, on_cluster

CONFIG = str(Path(__file__).parents[4] / "configs" / "demo.yaml")


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


@pytest.fixture(scope="module")
def plain(folder: Path) -> list[str]:
    """What Vertex can have too."""
    return [
        CONFIG,
        *SMALL,
        *on_cluster(folder),
        "kubeflow.default={cpu: 500m, memory: 4Gi, retries: 2}",
        "kubeflow.steps=[{name: Trainer, memory: 16Gi, gpus: 1}]",
    ]


@pytest.fixture(scope="module")
def full(plain: list[str]) -> list[str]:
    return [
        *plain,
        "kubeflow.steps.0.node_selector={pool: gpu}",
        "kubeflow.steps.0.timeout=3600",
        "kubeflow.secrets=[{name: store, environment: {KEY: key}},"
        "{name: cloud, mount: /secrets/cloud}]",
    ]
