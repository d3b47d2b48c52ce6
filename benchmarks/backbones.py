"""Training steps and inference of ENet and SegNet against PyTorch.

python -m benchmarks.backbones [--json FILE] [--networks enet]
    [--precisions float32] [--xla] [--batch 16]

On a GPU, if TensorFlow finds one; it takes larger batches to fill it, and there
`--xla` compiles all of ours, too (a minute or two each, on CPUs far more). On
a CPU XLA compiles the pointwise operations of inference. CPUs without bfloat16
instructions take minutes for its peers. The peers are PyTorch-ENet
(github.com/davidtvs/PyTorch-ENet; clone it beside this repository, or name its
folder in PYTORCH_ENET) and SegNet written with PyTorch's own indexed pooling,
each in the faster of PyTorch's two layouts.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Of no effect before `set_jit`.
os.environ["TF_XLA_FLAGS"] = (
    "--tf_xla_cpu_global_jit --tf_xla_ops_to_cluster=PW"
)

import keras
import numpy as np
import tensorflow as tf

from benchmarks import devices, harness, peers
from wseg_tf.losses import CrossEntropyLoss
from wseg_tf.models import build
from wseg_tf.training.optimizers import prepare
from wseg_tf.training.precision import scaled
from wseg_tf.training.step import compile_step

CLASSES = 11
# (network, batch, height, width)
SETTINGS = (
    ("enet", 8, 96, 128),
    ("enet", 4, 360, 480),
    ("segnet", 1, 360, 480),
)
PRECISIONS = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}


def arrays(batch: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Makes a batch of noise and labels."""
    random = np.random.default_rng(0)
    shape = (batch, height, width)
    return {
        "images": random.integers(0, 256, (*shape, 3)).astype(np.float32),
        "labels": random.integers(0, CLASSES, shape).astype(np.int32),
    }


def work(
    name: str, policy: str, batch: dict[str, np.ndarray], xla: bool = False
) -> dict[str, Callable[[], Any]]:
    """Returns a training step and predictions of ours."""
    keras.mixed_precision.set_global_policy(policy)
    model = build(name, CLASSES)
    keras.mixed_precision.set_global_policy("float32")
    optimizer = scaled(keras.optimizers.Adam(5e-4), policy)
    prepare(optimizer, model.trainable_variables)
    loss = CrossEntropyLoss(from_logits=True)
    strategy = tf.distribute.get_strategy()
    step = compile_step(model, loss, optimizer, strategy, xla=xla)
    images = tf.constant(batch["images"])
    labels = devices.labels(batch["labels"])

    def inference() -> Callable[[Any], Any]:
        return tf.function(
            lambda images: model(images, training=False), jit_compile=xla
        )

    predict, compiled = inference(), inference()

    def pointwise() -> float:
        tf.config.optimizer.set_jit("autoclustering")
        try:
            return devices.settled(compiled(images))
        finally:
            tf.config.optimizer.set_jit("")

    return {
        "train": lambda: float(step(images, labels)),
        "predict": lambda: devices.settled(predict(images)),
        "pointwise": pointwise,
    }


def measure(
    name: str,
    batch: int,
    height: int,
    width: int,
    options: argparse.Namespace,
    gpu: dict[str, Any],
) -> harness.Report:
    """Measures one network at one size."""
    report = harness.Report(f"{name}, {batch} images of {height}x{width}")
    report.facts |= gpu
    data = arrays(batch, height, width)
    for precision in options.precisions:
        tasks = work(name, PRECISIONS[precision], data)
        report.add(f"ours, train, {precision}", tasks["train"])
        report.add(f"ours, predict, {precision}", tasks["predict"])
        if not gpu:
            kind = f"ours, predict, {precision}, pointwise XLA"
            report.add(kind, tasks["pointwise"])
        if options.xla:
            tasks = work(name, PRECISIONS[precision], data, xla=True)
            start = time.perf_counter()
            report.add(f"ours, train, {precision}, XLA", tasks["train"])
            seconds = time.perf_counter() - start
            report.facts[f"seconds of two steps, {precision}, XLA"] = seconds
            report.add(f"ours, predict, {precision}, XLA", tasks["predict"])
    data["network"] = np.array(name)
    data["precisions"] = np.array(options.precisions)
    client = peers.add_peers(report, "benchmarks.peer_backbones", data)
    report.goals += goals(options, gpu)
    report.run(options.rounds)
    if client:
        client.close()
    return report


def goals(
    options: argparse.Namespace, gpu: dict[str, Any]
) -> list[harness.Goal]:
    """What is asked, as rates of ours by PyTorch's."""
    asked: list[tuple[str, str, str, float]] = []
    for task in ("train", "predict"):
        base = f"PyTorch, {task}, float32"
        for precision in options.precisions:
            own = f"ours, {task}, {precision}"
            least = 1.0 if precision == "float32" else 1.5
            asked.append((f"{task}: {precision}", base, own, least))
            if precision != "float32":
                peer = f"PyTorch, {task}, {precision}"
                asked.append((f"{task}: both {precision}", peer, own, 1.0))
            if options.xla:
                text = f"{task}: {precision}, XLA"
                asked.append((text, base, f"{own}, XLA", 1.5))
            if task == "predict" and not gpu:
                text = f"{task}: {precision}, pointwise XLA"
                asked.append((text, base, f"{own}, pointwise XLA", 1.5))
    return [
        harness.Goal(f"{text} by PyTorch, >= {least}", base, own, least, True)
        for text, base, own, least in asked
    ]


def main() -> None:
    """Measures, prints and writes."""
    parser = harness.parser(__doc__, rounds=5)
    parser.add_argument("--networks", nargs="+", default=["enet", "segnet"])
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=PRECISIONS,
        default=["float32", "bfloat16"],
    )
    parser.add_argument("--xla", action="store_true")
    parser.add_argument("--batch", type=int, help="images of every setting")
    options = parser.parse_args()
    gpu = devices.prepare()
    reports = []
    for name, batch, height, width in SETTINGS:
        if name not in options.networks:
            continue
        size = (options.batch or batch, height, width)
        reports.append(measure(name, *size, options, gpu))
        harness.show(reports[-1])
        keras.backend.clear_session()
    harness.write(reports, options.json)


if __name__ == "__main__":
    main()
