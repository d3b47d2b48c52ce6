"""Training steps and inference of ENet and SegNet against PyTorch.

python -m benchmarks.backbones [--json FILE] [--networks enet]
    [--precisions float32] [--xla] [--batch 16]

On a GPU, if TensorFlow finds one; it takes larger batches to fill it.
CPUs without bfloat16 instructions take minutes for its peers; so does XLA,
which `--xla` adds to ours. The peers are PyTorch-ENet
(github.com/davidtvs/PyTorch-ENet; clone it beside this repository, or name its
folder in PYTORCH_ENET) and SegNet written with PyTorch's own indexed pooling,
each in the faster of PyTorch's two layouts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks import devices, harness, peers
from wseg_tf.models import build

CLASSES = 11
# (network, batch, height, width)
SETTINGS = (
    ("enet", 8, 96, 128),
    ("enet", 4, 360, 480),
    ("segnet", 1, 360, 480),
)
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def arrays(batch: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Makes a batch of noise and labels."""
    random = np.random.default_rng(0)
    shape = (batch, height, width)
    return {
        "images": random.integers(0, 256, (*shape, 3)).astype(np.float32),
        "labels": random.integers(0, CLASSES, shape).astype(np.int32),
    }


def work(
    name: str, policy: str, batch: dict[str, np.ndarray], is_xla: bool = False
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Returns a training step and a prediction of ours."""
    keras.mixed_precision.set_global_policy(policy)
    model = build(name, CLASSES)
    model.compile(
        keras.optimizers.Adam(5e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=is_xla,
    )
    keras.mixed_precision.set_global_policy("float32")
    images = tf.constant(batch["images"])
    labels = devices.labels(batch["labels"])
    predict = tf.function(
        lambda images: model(images, training=False), jit_compile=is_xla
    )
    return (
        lambda: model.train_on_batch(images, labels),
        lambda: devices.settled(predict(images)),
    )


def measure(
    name: str,
    batch: int,
    height: int,
    width: int,
    rounds: int,
    precisions: Sequence[str] = tuple(PRECISIONS),
    with_xla: bool = False,
) -> harness.Report:
    """Measures one network at one size."""
    report = harness.Report(f"{name}, {batch} images of {height}x{width}")
    data = arrays(batch, height, width)
    for precision in precisions:
        train, predict = work(name, PRECISIONS[precision], data)
        report.add(f"ours, train, {precision}", train)
        report.add(f"ours, predict, {precision}", predict)
    if with_xla:
        train, predict = work(name, "float32", data, is_xla=True)
        start = time.perf_counter()
        report.add("ours, train, XLA", train)
        seconds = time.perf_counter() - start
        report.facts["seconds of the first two XLA training steps"] = seconds
        report.add("ours, predict, XLA", predict)
    data["network"] = np.array(name)
    data["precisions"] = np.array(precisions)
    client = peers.add_peers(report, "benchmarks.peer_backbones", data)
    for task in ("train", "predict"):
        for precision, limit in (("float32", 1.0), ("bfloat16", 1.5)):
            report.goals.append(
                harness.Goal(
                    f"{task}: ours in {precision}, times as fast as "
                    f"PyTorch in float32, >= {limit}",
                    f"PyTorch, {task}, float32",
                    f"ours, {task}, {precision}",
                    limit,
                    at_least=True,
                )
            )
        report.goals.append(
            harness.Goal(
                f"{task}: both in bfloat16, >= 1",
                f"PyTorch, {task}, bfloat16",
                f"ours, {task}, bfloat16",
                1.0,
                at_least=True,
            )
        )
    report.run(rounds)
    if client:
        client.close()
    return report


def main() -> None:
    """Measures, prints and writes."""
    parser = harness.parser(__doc__, rounds=5)
    parser.add_argument("--networks", nargs="+", default=["enet", "segnet"])
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=PRECISIONS,
        default=list(PRECISIONS),
    )
    parser.add_argument("--xla", action="store_true")
    parser.add_argument("--batch", type=int, help="images of every setting")
    options = parser.parse_args()
    gpu = devices.prepare()
    reports = []
    for name, batch, height, width in SETTINGS:
        if name not in options.networks:
            continue
        reports.append(
            measure(
                name,
                options.batch or batch,
                height,
                width,
                options.rounds,
                options.precisions,
                options.xla,
            )
        )
        reports[-1].facts |= gpu
        harness.show(reports[-1])
        keras.backend.clear_session()
    harness.write(reports, options.json)


if __name__ == "__main__":
    main()
