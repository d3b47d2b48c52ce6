"""The smallest demo that a cluster's steps run whole, and what they leave."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("volume")


@pytest.fixture(scope="module")
def small_demo(folder: Path) -> list[str]:
    """What makes `configs/demo.yaml` one for a cluster, of one epoch."""
    return [
        f"root={folder}/runs",
        "data.streets.train=4",
        "data.streets.eval=2",
        "data.streets.height=48",
        "data.streets.width=64",
        "training.height=32",
        "training.width=64",
        "training.batch=2",
        "training.stages=[{name: only, loss: mixture, epochs: 1}]",
        "gate.rules=[{metric: mean_iou, floor: 0.0}]",
        "kubeflow.image=registry.example.com/wseg:1",
        f"kubeflow.volumes=[{{claim: data, path: {folder}}}]",
    ]


@pytest.fixture(scope="module")
def keep_log_level() -> Iterator[None]:
    """A step sets the level for its process."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)
