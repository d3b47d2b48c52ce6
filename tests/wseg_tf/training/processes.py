"""Trainings in processes of their own, from one import of TensorFlow.

python -m tests.wseg_tf.training.processes kill FOLDER [NETWORK]
python -m tests.wseg_tf.training.processes workers FOLDER

Forked before TensorFlow does anything, so that a child may start threads,
choose devices and make operations deterministic for itself alone.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.wseg_tf.training.small import SIZE, examples
from wseg_tf import models
from wseg_tf.classes import CAMVID
from wseg_tf.serving import export
from wseg_tf.training.loop import train
from wseg_tf.training.recipe import Execution, Recipe, Stage
from wseg_tf.training.strategy import choose

KILLED = Recipe(
    height=SIZE[0],
    width=SIZE[1],
    batch=2,
    seed=1,
    stages=[Stage(epochs=3, balance="logarithmic", warmup=0.5)],
    execution=Execution(
        deterministic=True, checkpoint_steps=2, overlays_every=0
    ),
)
NARROW = {"enet": 0.25, "segnet": 0.125, "fcn32s": 0.05}
PLAIN = Recipe(
    height=SIZE[0],
    width=SIZE[1],
    batch=4,
    seed=2,
    # Replicas normalise their own images, so the statistics stay.
    stages=[
        Stage(
            epochs=2,
            learning_rate=1e-2,
            balance="logarithmic",
            freeze=["batch_norm"],
        ),
        Stage(
            "fine-tune",
            "wasserstein",
            epochs=1,
            optimizer="sgd",
            learning_rate=0.1,
            freeze=["batch_norm"],
        ),
    ],
)


def plain_net(name: str, classes: int) -> keras.Model:
    """A network without dropout, which replicas draw for themselves."""
    return keras.Sequential(
        [
            keras.layers.Input([*SIZE, 3]),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Conv2D(classes, 1),
        ],
        name=name,
    )


def child(work: Callable[[], None]) -> int:
    """Runs work in a fork; returns its process."""
    process = os.fork()
    if process:
        return process
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def succeed(*processes: int) -> None:
    """Waits for processes; all must end well."""
    codes = [os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in processes]
    assert codes == [0] * len(codes), codes


def run(
    recipe: Recipe, folder: Path, images: int, judged: int = 0
) -> keras.Model:
    """Trains and writes the weights it ends with."""
    data = examples(images)
    model = train(
        recipe,
        CAMVID,
        data,
        data.take(judged) if judged else None,
        checkpoints=str(folder / "checkpoints"),
        logs=str(folder),
    )
    np.savez(folder / "weights.npz", *model.get_weights())
    return model


def kill(folder: Path, network: str = "fcn32s") -> None:
    """Kills a training within an epoch, and runs it again."""
    thin = {"model": network, "channel_factor": NARROW[network]}
    recipe = Recipe(**{**vars(KILLED), **thin})

    def again(name: str) -> None:
        run(recipe, folder / name, images=9)

    for name in ("killed", "whole"):
        folder.joinpath(name).mkdir(parents=True)
    killed = child(lambda: again("killed"))
    checkpoints = folder / "killed" / "checkpoints"
    # Within the second epoch: some of its steps are kept, not all five.
    while not list(checkpoints.glob("checkpoint-000-00001-000000[24].npz")):
        assert os.waitpid(killed, os.WNOHANG) == (0, 0), "it ended too soon"
        time.sleep(0.001)
    os.kill(killed, signal.SIGKILL)
    _, status = os.waitpid(killed, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    kept = sorted(path.name for path in checkpoints.glob("checkpoint-*.npz"))
    (folder / "kept.json").write_text(json.dumps(kept))
    assert not (folder / "killed" / "weights.npz").exists()
    succeed(child(lambda: again("killed")), child(lambda: again("whole")))
    same = same_weights(folder / "killed", folder / "whole")
    print(f"{network}: killed after {kept[-1]}; the same bits: {same}")


def same_weights(first: Path, second: Path) -> bool:
    """Whether two trainings ended with the same weights, bit for bit."""
    weights = [np.load(each / "weights.npz") for each in (first, second)]
    return all(
        np.array_equal(weights[0][name], weights[1][name])
        for name in weights[0].files
    )


def workers(folder: Path) -> None:
    """Trains on two workers, on two replicas and on one device."""
    for name in ("alone", "worker0", "worker1", "mirrored"):
        folder.joinpath(name).mkdir()
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            ports.append(probe.getsockname()[1])
    cluster = {"worker": [f"localhost:{port}" for port in ports]}

    def work(index: int) -> None:
        task = {"type": "worker", "index": index}
        config = {"cluster": cluster, "task": task}
        os.environ["TF_CONFIG"] = json.dumps(config)
        recipe = recipe_on("multi_worker")
        choose("multi_worker")  # Before anything else.
        model = run(recipe, folder / f"worker{index}", images=8, judged=2)
        if index == 0:  # Alone: it must not wait for the other.
            export(model, str(folder / "exported"), CAMVID, *SIZE)

    def mirrored() -> None:
        (cpu,) = tf.config.list_physical_devices("CPU")
        logical = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, logical)
        run(recipe_on("mirrored"), folder / "mirrored", images=8, judged=2)

    def alone() -> None:
        run(recipe_on("none"), folder / "alone", images=8, judged=2)

    def recipe_on(distribute: str) -> Recipe:
        models.build = plain_net
        execution = Execution(distribute=distribute, overlays_every=1)
        return Recipe(**{**vars(PLAIN), "execution": execution})

    succeed(
        child(lambda: work(0)),
        child(lambda: work(1)),
        child(mirrored),
        child(alone),
    )


if __name__ == "__main__":
    chosen = {"kill": kill, "workers": workers}[sys.argv[1]]
    chosen(Path(sys.argv[2]), *sys.argv[3:])
