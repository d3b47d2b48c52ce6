"""The smallest runs of configurations, whatever runs them."""

import sys

import pytest

# TFX 1.15 alone writes workflows for Argo.
ARGO = sys.version_info < (3, 11)
TARGET = "kubeflow" if ARGO else "kubeflow-v2"
needs_argo = pytest.mark.skipif(not ARGO, reason="Argo needs TFX 1.15")

# A network that takes a moment; `make demo` trains ENet.
NETWORK = ("training.model=fcn32s", "training.channel_factor=0.05")
# Of `configs/demo.yaml`.
SMALL = (
    *NETWORK,
    "data.streets.train=4",
    "data.streets.eval=3",
    "data.streets.height=48",
    "data.streets.width=64",
    "training.height=32",
    "training.width=64",
    "training.batch=2",
)
LENIENT = "gate.rules=[{metric: mean_iou, floor: 0.0}]"
# And of `configs/day_to_dusk.yaml`: two domains and two rounds.
SMALL_DOMAINS = (
    *NETWORK,
    *(
        f"{domain}.streets.{key}"
        for domain in ("source", "target")
        for key in ("train=4", "eval=2", "height=48", "width=64")
    ),
    "training.height=32",
    "training.width=32",
    "training.batch=2",
    "training.stages.0.epochs=1",
    "adaptation.rounds=2",
)
# One stage of one epoch, and a gate that holds.
SHORT = (
    *SMALL,
    "training.stages=[{name: only, loss: mixture, epochs: 1}]",
    LENIENT,
)
IMAGE = "registry.example.com/wseg:1"


def on_cluster(folder: object) -> list[str]:
    """Returns what a cluster must know, with one volume for everything.

    Args:
        folder: Where the volume is mounted.
    """
    return [
        f"root={folder}/runs",
        f"kubeflow.image={IMAGE}",
        f"kubeflow.volumes=[{{claim: data, path: {folder}}}]",
    ]
