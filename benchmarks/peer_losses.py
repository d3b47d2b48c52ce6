"""The peers of `benchmarks.losses`, in the peers' environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import monai
import numpy as np
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def cases(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the peers' work by name."""
    labels = torch.from_numpy(arrays["labels"].astype(np.int64)).to(DEVICE)
    logits = torch.from_numpy(arrays["logits"]).to(DEVICE)
    logits = logits.movedim(-1, 1).contiguous()
    logits.requires_grad_(True)
    dice = monai.losses.GeneralizedWassersteinDiceLoss(
        arrays["ground"].astype(np.float32)
    )
    # MONAI knows no void: those pixels are given to class 0.
    clean = torch.where(labels < 19, labels, 0)[:, None]
    entropy = torch.nn.CrossEntropyLoss(ignore_index=255)

    def step(loss: Callable[..., torch.Tensor], target: Any) -> Any:
        def run() -> float:
            logits.grad = None
            value = loss(logits, target)
            value.backward()
            return float(value)

        return run

    return {
        "cases": {
            "MONAI, generalised Wasserstein Dice": step(dice, clean),
            "torch, cross-entropy ignoring void": step(entropy, labels),
        },
        "facts": {"monai": monai.__version__, "torch": torch.__version__},
    }
