"""The peers of `benchmarks.backbones`, in the peers' environment."""

from __future__ import annotations

import importlib.util
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

CLASSES = 11
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
torch.backends.cudnn.benchmark = True  # TensorFlow tries algorithms, too.
ENET = Path(os.environ.get("PYTORCH_ENET", "../PyTorch-ENet"))
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def pytorch_enet() -> nn.Module:
    """Loads PyTorch-ENet's network from a clone of its repository."""
    path = ENET / "models" / "enet.py"
    if not path.exists():
        raise FileNotFoundError(f"no clone of PyTorch-ENet at {ENET}")
    spec = importlib.util.spec_from_file_location("pytorch_enet", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network: nn.Module = module.ENet(CLASSES)
    return network


class SegNet(nn.Module):
    """SegNet with `MaxPool2d(return_indices=True)` and `MaxUnpool2d`."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)
        inputs, encoder, decoder = 3, [], []
        for index, (channels, count) in enumerate(BLOCKS):
            widths = [inputs] + [channels] * count
            encoder.append(self.block(widths))
            before = BLOCKS[index - 1][0] if index else CLASSES
            decoder.append(self.block([channels] * count + [before]))
            inputs = channels
        decoder[0] = decoder[0][:-2]  # The classifier: no norm, no ReLU.
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList(reversed(decoder))

    @staticmethod
    def block(widths: list[int]) -> nn.Sequential:
        """Makes the convolutions of a block."""
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        return nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns logits `[B, classes, H, W]`."""
        stack = []
        for block in self.encoder:
            x = block(x)
            size = x.shape[-2:]
            x, indices = self.pool(x)
            stack.append((indices, size))
        for block in self.decoder:
            indices, size = stack.pop()
            x = block(self.unpool(x, indices, output_size=size))
        return x


def work(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    precision: str,
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Returns a training step and a prediction, which wait for the device."""
    optimizer = torch.optim.Adam(network.parameters(), 5e-4)
    loss_of = nn.CrossEntropyLoss()
    scaler = torch.amp.GradScaler(DEVICE, enabled=precision == "float16")

    def lowered() -> torch.autocast:
        dtype = getattr(torch, precision)
        return torch.autocast(DEVICE, dtype, enabled=precision != "float32")

    def train() -> float:
        network.train()
        optimizer.zero_grad()
        with lowered():
            loss = loss_of(network(images).float(), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return float(loss.detach())

    def predict() -> float:
        network.eval()
        with torch.inference_mode(), lowered():
            return float(network(images)[0, 0, 0, 0])

    return train, predict


def seconds(task: Callable[[], Any]) -> float:
    """Times the second of two runs."""
    task()
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def cases(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the peers' work by name, in the faster layout of two."""
    build = pytorch_enet if str(arrays["network"]) == "enet" else SegNet
    images = torch.from_numpy(arrays["images"]).movedim(-1, 1) / 127.5 - 1
    labels = torch.from_numpy(arrays["labels"].astype(np.int64)).to(DEVICE)
    chosen: dict[str, Any] = {}
    facts: dict[str, Any] = {"torch": torch.__version__}
    for precision in arrays["precisions"].tolist():
        candidates = {}
        for layout in (torch.contiguous_format, torch.channels_last):
            candidates[layout] = work(
                build().to(DEVICE, memory_format=layout),
                images.to(DEVICE, memory_format=layout),
                labels,
                precision,
            )
        for index, task in enumerate(("train", "predict")):
            times = {
                layout: seconds(tasks[index])
                for layout, tasks in candidates.items()
            }
            fastest = min(times, key=times.__getitem__)
            name = f"PyTorch, {task}, {precision}"
            chosen[name] = candidates[fastest][index]
            facts[f"layout of {name}"] = str(fastest).split(".")[-1]
    return {"cases": chosen, "facts": facts}
