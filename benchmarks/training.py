"""What a loss costs in a training step, and what TFX adds to a training.

python -m benchmarks.training [--json FILE] [--rounds N]
    [--parts steps losses trainer]

`steps`: ENet at 360x480 under each loss, the step that `wseg train` runs.
`losses`: their values and gradients alone, where the network does not hide
them. `trainer`: TFX's Trainer against `wseg train`, both from the records or
files to the exported model.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks import harness
from benchmarks.losses import steps as loss_steps
from wseg_tf import models
from wseg_tf.classes import CAMVID
from wseg_tf.models import build
from wseg_tf.training.objectives import build_ground, build_loss
from wseg_tf.training.optimizers import build_optimizer, prepare
from wseg_tf.training.recipe import GroundOptions, Recipe, Stage
from wseg_tf.training.step import compile_step

SIZE = (360, 480)
LOSSES = {
    "cross-entropy": Stage(loss="cross_entropy"),
    "Wasserstein": Stage(loss="wasserstein"),
    "Wasserstein, log link": Stage(loss="wasserstein", link="log"),
    "CE + 0.2 Wasserstein": Stage(loss="mixture"),
    "importance-aware (IAL)": Stage(loss="importance_aware"),
}
W, CE, IAL = "Wasserstein", "cross-entropy", "importance-aware (IAL)"
GROUND = build_ground(GroundOptions(), CAMVID)


def images_and_labels(batch: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Makes noise and labels in patches, 5 % of them void."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, *SIZE, 3)).astype(np.float32)
    patches = random.integers(0, len(CAMVID), (batch, 12, 16))
    labels = np.kron(patches, np.ones((1, 30, 30), int)).astype(np.int32)
    labels[random.random(labels.shape) < 0.05] = CAMVID.void
    return tf.constant(images), tf.constant(labels)


def training_step(
    stage: Stage, images: tf.Tensor, labels: tf.Tensor
) -> Callable[[], Any]:
    """Returns the step of a stage on ENet, compiled as `fit` compiles it."""
    keras.utils.set_random_seed(0)
    model = build("enet", len(CAMVID))
    optimizer = build_optimizer(stage, steps=100)
    prepare(optimizer, model.trainable_variables)
    step = compile_step(
        model,
        build_loss(stage, GROUND, CAMVID),
        optimizer,
        tf.distribute.get_strategy(),
    )
    return lambda: float(step(images, labels))


def measure_steps(rounds: int, batch: int = 2) -> harness.Report:
    """Measures the step of each loss."""
    report = harness.Report(
        f"ENet, a training step with {batch} images of {SIZE[0]}x{SIZE[1]}"
    )
    images, labels = images_and_labels(batch)
    for name, stage in LOSSES.items():
        report.add(name, training_step(stage, images, labels))
    report.goals += [
        harness.Goal("Wasserstein: at most 1.02x cross-entropy", W, CE, 1.02),
        harness.Goal(
            "IAL: at least 1.5x Wasserstein (the network dominates)",
            IAL,
            W,
            1.5,
            at_least=True,
        ),
    ]
    report.run(rounds)
    return report


def measure_losses(rounds: int, batch: int = 2) -> harness.Report:
    """Measures the value and the gradient of each loss alone."""
    report = harness.Report(
        f"The losses alone, logits [{batch}, {SIZE[0]}, {SIZE[1]}, 11]"
    )
    _, labels = images_and_labels(batch)
    shape = [*labels.shape, len(CAMVID)]
    logits = tf.random.stateless_normal(shape, seed=[1, 2])
    for name, stage in LOSSES.items():
        loss = build_loss(stage, GROUND, CAMVID)
        report.add(name, loss_steps(loss, labels, logits))
    report.goals.append(
        harness.Goal(
            "IAL: at least 1.5x Wasserstein", IAL, W, 1.5, at_least=True
        )
    )
    report.run(rounds, warm=True)
    return report


TRAINER, COMMAND = "TFX's Trainer", "wseg train"


def measure_trainer(rounds: int) -> harness.Report:
    """Measures TFX's Trainer against `wseg train`, on the same streets."""
    from pipeline import training as trainer
    from wseg_tf.data.input import read_pairs
    from wseg_tf.data.inspection import read_checked
    from wseg_tf.data.layouts import find_pairs, layout
    from wseg_tf.data.records import serialise
    from wseg_tf.data.streets import write_streets
    from wseg_tf.serving import export
    from wseg_tf.training.loop import train

    # A network that is soon traced, so that the training itself is measured.
    models.build = functools.partial(build, width=0.125)
    recipe = Recipe(
        "fcn32s", height=96, width=128, batch=4, stages=[Stage(epochs=8)]
    )
    report = harness.Report(
        "FCN-32s an eighth as wide, 24 images of 96x128, 8 epochs, from data "
        "to exported model"
    )
    folder = tempfile.mkdtemp()
    streets = os.path.join(folder, "streets")
    write_streets(streets, counts={"train": 24, "val": 4}, size=(96, 128))
    pairs = {
        name: find_pairs("streets", streets, split)
        for name, split in (("train", "train"), ("eval", "val"))
    }
    described = layout("streets")
    for name, each in pairs.items():
        split = os.path.join(folder, "records", f"Split-{name}")
        os.makedirs(split)
        path = os.path.join(split, "data.tfrecord")
        with tf.io.TFRecordWriter(path) as writer:
            for pair in each:
                checked = read_checked(pair, described)
                writer.write(serialise(pair, checked))
    count = 0

    def fresh() -> str:
        nonlocal count
        count += 1
        return os.path.join(folder, str(count))

    def command() -> None:
        out = fresh()
        model = train(
            recipe,
            CAMVID,
            read_pairs(pairs["train"], described),
            read_pairs(pairs["eval"], described),
            checkpoints=os.path.join(out, "checkpoints"),
            logs=out,
        )
        export(model, out, CAMVID, recipe.height, recipe.width, GROUND)

    def component() -> None:
        out = fresh()
        settings = os.path.join(folder, "training.json")
        with open(settings, "w") as file:
            file.write(
                trainer.training_settings(recipe, CAMVID, f"{out}/checkpoints")
            )
        execute_trainer(
            os.path.join(folder, "records"), out, {trainer.SETTINGS: settings}
        )

    report.add(TRAINER, component)
    report.add(COMMAND, command)
    report.goals.append(
        harness.Goal(
            "TFX's Trainer: at most 1.05x wseg train", TRAINER, COMMAND, 1.05
        )
    )
    report.run(rounds)
    models.build = build
    shutil.rmtree(folder)
    return report


def execute_trainer(records: str, out: str, config: dict[str, str]) -> None:
    """Runs the executor of TFX's Trainer as an orchestrator does."""
    from tfx.components.trainer.executor import GenericExecutor
    from tfx.types import artifact_utils, standard_artifacts
    from tfx.utils import json_utils

    examples = standard_artifacts.Examples()
    examples.uri = records
    examples.split_names = artifact_utils.encode_split_names(["train", "eval"])
    model, run = standard_artifacts.Model(), standard_artifacts.ModelRun()
    model.uri, run.uri = f"{out}/model", f"{out}/run"
    GenericExecutor().Do(
        {"examples": [examples]},
        {"model": [model], "model_run": [run]},
        {
            "run_fn": "pipeline.training.run_fn",
            "train_args": '{"splits": ["train"]}',
            "eval_args": '{"splits": ["eval"]}',
            "custom_config": json_utils.dumps(config),
        },
    )


PARTS = {
    "steps": measure_steps,
    "losses": measure_losses,
    "trainer": measure_trainer,
}


def main() -> None:
    """Measures, prints and writes."""
    parser = harness.parser(__doc__, rounds=9)
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS)
    )
    options = parser.parse_args()
    reports = []
    for part in options.parts:
        rounds = options.rounds
        if part == "trainer":  # Its runs are whole trainings.
            rounds = max(1, rounds // 3)
        reports.append(PARTS[part](rounds))
        harness.show(reports[-1])
        keras.backend.clear_session()
    harness.write(reports, options.json)


if __name__ == "__main__":
    main()
