"""The peers of `benchmarks.metrics`, in the peers' environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torchmetrics
from torchmetrics.functional.classification import multiclass_confusion_matrix


def cases(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the peers' work by name."""
    labels = torch.from_numpy(arrays["labels"].astype(np.int64))
    predictions = torch.from_numpy(arrays["predictions"].astype(np.int64))
    logits = torch.from_numpy(arrays["logits"]).movedim(-1, 1).contiguous()
    torch.set_num_threads(torch.get_num_threads())

    def count(predicted: torch.Tensor) -> torch.Tensor:
        return multiclass_confusion_matrix(
            predicted, labels, 19, ignore_index=255, validate_args=False
        )

    return {
        "cases": {
            "torchmetrics, ids": lambda: count(predictions),
            "torchmetrics, logits": lambda: count(logits),
        },
        "facts": {
            "torch": torch.__version__,
            "torchmetrics": torchmetrics.__version__,
        },
    }
