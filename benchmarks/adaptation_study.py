"""Day to dusk on the embedded streets: which self-training helps.

python -m benchmarks.adaptation_study [--json FILE] [--picture FILE]
python -m benchmarks.adaptation_study --show FILE [--picture FILE]

A small network learns drawn streets by day, then each method adapts it to the
same kind of streets at dusk, without their labels; other streets at dusk judge
it. Nothing of the target's labels chooses anything: not the length, not the
learning rate, not the weights that are kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.harness import machine
from wseg_tf.adaptation.labelling import SPLIT, Summary
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.adaptation.rounds import adapt
from wseg_tf.adaptation.target import find_files
from wseg_tf.classes import CAMVID
from wseg_tf.data.augmentation import Augmentation
from wseg_tf.data.checks import check_pair, encode_labels
from wseg_tf.data.input import (
    evaluation_batches,
    read_records,
    training_batches,
)
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import decode, parse, serialise
from wseg_tf.data.streets import draw_scene
from wseg_tf.losses import CrossEntropyLoss
from wseg_tf.metrics import summary as scores_of
from wseg_tf.training.evaluation import count_confusion
from wseg_tf.training.fit import fit
from wseg_tf.training.observers import Epoch, Observer
from wseg_tf.training.recipe import GroundOptions, Recipe, Stage

SIZE = (96, 128)
IMAGES = {"source": 128, "target": 48, "judged": 48}
SOURCE_EPOCHS, SOURCE_BATCH = 60, 4
# Without varied colours, a network of the day sees next to nothing at dusk.
VARIED = Augmentation(
    flip=0.5,
    scale=(0.8, 1.25),
    brightness=0.3,
    contrast=0.5,
    saturation=0.5,
)
SOURCE_ONLY = "source only"
STAGE = Stage(
    "round",
    epochs=2,
    optimizer="adam",
    learning_rate=5e-4,
    schedule="constant",
    freeze=["batch_norm"],
)
HUBER = GroundOptions(map="huber", tau=2.0)
# Method, loss of the rounds, and the map of D.
METHODS: dict[str, tuple[str, str, GroundOptions]] = {
    "CBST": ("cbst", "cross_entropy", GroundOptions()),
    "LRENT, soft CE": ("lrent", "cross_entropy", GroundOptions()),
    "LRENT, W linear": ("lrent", "wasserstein", GroundOptions()),
    "LRENT, W square": ("lrent", "wasserstein", GroundOptions(map="power")),
    "LRENT, W Huber": ("lrent", "wasserstein", HUBER),
}


def small_network(seed: int) -> keras.Model:
    """Returns a network that two cores train in two minutes.

    It sees at half the size, where most of a street is still there.
    """
    keras.utils.set_random_seed(seed)
    layers = keras.layers

    def block(x: Any, filters: int, **options: Any) -> Any:
        x = layers.Conv2D(
            filters, 3, padding="same", use_bias=False, **options
        )(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    images = layers.Input([*SIZE, 3])
    x = layers.Rescaling(1 / 64, offset=-2)(images)
    x = block(block(x, 16), 32, strides=2)
    for rate in (1, 2, 4, 8):
        x = block(x, 32, dilation_rate=rate)
    x = layers.Conv2D(len(CAMVID), 1)(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    return keras.Model(images, x)


def write_domain(path: str, look: str, seeds: Sequence[int]) -> None:
    """Draws streets as records, eight to a drive."""
    with tf.io.TFRecordWriter(path) as writer:
        for seed in seeds:
            drive = seed // 8
            image, label = draw_scene(seed, *SIZE, look=look, drive=drive)
            encoded = tf.io.encode_png(image).numpy()
            checked = check_pair(encoded, encode_labels(label), CAMVID)
            pair = Pair(f"{seed}", "", "", "train", f"{drive}", "streets")
            writer.write(serialise(pair, checked))


def records_of(path: str) -> tf.data.Dataset:
    """Returns a domain, held in memory."""
    return tf.data.TFRecordDataset(path).map(parse).cache()


class Rounds(Observer):
    """Keeps the score after each round; only people learn of it."""

    def __init__(self, judged: tf.data.Dataset) -> None:
        self.judged = judged
        self.rows: list[dict[str, Any]] = []

    def epoch(self, epoch: Epoch) -> None:
        """Scores the model after the last epoch of a round."""
        if epoch.number == epoch.plan.epochs:
            self.rows.append(scored(epoch.model, self.judged))


def scored(model: keras.Model, judged: tf.data.Dataset) -> dict[str, Any]:
    """Returns the figures of a model over the judged streets."""
    found: dict[str, Any] = scores_of(
        count_confusion(model, judged, CAMVID), CAMVID
    )
    return {
        "mean_iou": found["mean_iou"],
        "critical_iou": found["critical_iou"],
        "iou": {name: each["iou"] for name, each in found["classes"].items()},
    }


def label_accuracy(target: str, labels: str) -> float:
    """Returns the share of right labels among those kept."""
    right = kept = 0
    given = read_records(os.path.join(labels, SPLIT, "*"), "")
    for true, pseudo in zip(records_of(target), given, strict=True):
        label, ids = decode(true)[1].numpy(), decode(pseudo)[1].numpy()
        valid = (label < len(CAMVID)) & (ids < len(CAMVID))
        right += int((label == ids)[valid].sum())
        kept += int(valid.sum())
    return right / kept


def train_source(seed: int, source: tf.data.Dataset) -> keras.Model:
    """Returns a network that knows the day."""
    model = small_network(seed)

    def batches(epoch: int, step: int) -> tf.data.Dataset:
        return training_batches(
            source,
            SIZE,
            SOURCE_BATCH,
            CAMVID.void,
            augmentation=VARIED,
            seed=seed,
            first_epoch=epoch,
            count=IMAGES["source"],
        ).skip(step)

    steps = -(-IMAGES["source"] // SOURCE_BATCH)
    falling = keras.optimizers.schedules.PolynomialDecay(
        3e-3, steps * SOURCE_EPOCHS, 1e-5, power=0.9
    )
    fit(
        model,
        batches,
        CrossEntropyLoss(from_logits=True, ignore_class=CAMVID.void),
        keras.optimizers.Adam(falling),
        epochs=SOURCE_EPOCHS,
        steps=steps,
        observers=(),
    )
    return model


def run_seed(seed: int, folder: str) -> dict[str, list[dict[str, Any]]]:
    """Returns the rounds of every method, from one source model."""
    first = 10_000 * (seed + 1)
    paths = {}
    for place, (name, count) in enumerate(IMAGES.items()):
        paths[name] = os.path.join(folder, name)
        look = "day" if name == "source" else "dusk"
        start = first + 1000 * place
        write_domain(paths[name], look, range(start, start + count))
    source = records_of(paths["source"])
    judged = evaluation_batches(records_of(paths["judged"]), SIZE, 8).cache()
    model = train_source(seed, source)
    start_weights = model.get_weights()
    zero = {"round": 0, **scored(model, judged)}
    print(seed, SOURCE_ONLY, figures(zero), flush=True)
    by_day = evaluation_batches(source, SIZE, 8)
    found = {SOURCE_ONLY: [{**zero, "by_day": scored(model, by_day)}]}
    for name, (method, loss, ground) in METHODS.items():
        model = small_network(seed)
        model.set_weights(start_weights)
        options = SelfTraining(
            method=method, stage=dataclasses.replace(STAGE, loss=loss)
        )
        recipe = Recipe(
            height=SIZE[0],
            width=SIZE[1],
            batch=8,
            seed=seed,
            ground=ground,
        )
        work = os.path.join(folder, name)
        seen = Rounds(judged)
        summaries = adapt(
            model,
            recipe,
            options,
            CAMVID,
            source,
            find_files(paths["target"]),
            work,
            observers=[seen],
        )
        found[name] = [zero, *described(summaries, seen, paths, work)]
        print(seed, name, *map(figures, found[name]), flush=True)
    return found


def described(
    summaries: Sequence[Summary],
    seen: Rounds,
    paths: dict[str, str],
    work: str,
) -> list[dict[str, Any]]:
    """Returns the lines of a method's rounds."""
    return [
        {
            "round": summary.round,
            "portion": summary.portion,
            "kept_share": summary.kept_share,
            "label_accuracy": label_accuracy(
                paths["target"], os.path.join(work, f"round-{summary.round}")
            ),
            **row,
        }
        for summary, row in zip(summaries, seen.rows, strict=True)
    ]


def figures(row: dict[str, Any]) -> str:
    """Returns a round in short."""
    texts = [f"mIoU {row['mean_iou']:.3f}", f"G4 {row['critical_iou']:.3f}"]
    if "kept_share" in row:
        texts.append(f"kept {row['kept_share']:.2f}")
        texts.append(f"right {row['label_accuracy']:.3f}")
    return " ".join(texts) + ";"


def table(runs: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """Returns the last rounds as Markdown: mean and spread over seeds."""
    lines = [
        "| method | Group-4 IoU | gain | mIoU | gain |",
        "|---|---|---|---|---|",
    ]
    for name in next(iter(runs.values())):
        cells = [name]
        for key in ("critical_iou", "mean_iou"):
            last = np.array([run[name][-1][key] for run in runs.values()])
            zero = [run[SOURCE_ONLY][0][key] for run in runs.values()]
            gains = last - np.array(zero)
            cells.append(spread(100 * last))
            cells.append(
                "" if name == SOURCE_ONLY else spread(100 * gains, "+")
            )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: Any, sign: str = "") -> str:
    """Returns mean and standard deviation over seeds."""
    deviation = np.std(values, ddof=1) if len(values) > 1 else float("nan")
    return f"{np.mean(values):{sign}.1f} ± {deviation:.1f}"


def over_seeds(
    runs: dict[str, dict[str, list[dict[str, Any]]]],
) -> dict[str, list[dict[str, Any]]]:
    """Returns each method's rounds, averaged over seeds."""
    names = [name for name in next(iter(runs.values())) if name != SOURCE_ONLY]
    keys = ("kept_share", "label_accuracy", "critical_iou", "mean_iou")
    found: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        rounds = zip(*(run[name] for run in runs.values()), strict=True)
        found[name] = [
            {"round": same[0]["round"]}
            | {
                key: float(np.mean([each[key] for each in same]))
                for key in keys
                if key in same[0]
            }
            for same in rounds
        ]
    return found


def main() -> None:
    """Runs all seeds, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write results here")
    parser.add_argument("--picture", metavar="FILE", help="draw rounds here")
    parser.add_argument("--show", metavar="FILE", help="show these results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    started = time.monotonic()
    runs = {}
    if options.show:
        with open(options.show) as file:
            runs = json.load(file)["runs"]
    for seed in [] if options.show else options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            runs[str(seed)] = run_seed(seed, folder)
        if options.json:
            content = {
                "machine": machine(),
                "tensorflow": tf.__version__,
                "minutes": round((time.monotonic() - started) / 60, 1),
                "size": SIZE,
                "images": IMAGES,
                "source_epochs": SOURCE_EPOCHS,
                "stage": dataclasses.asdict(STAGE),
                "runs": runs,
            }
            with open(options.json, "w") as file:
                json.dump(content, file, indent=1)
                file.write("\n")
    print(table(runs))
    if options.picture:
        from wseg_tf.plots.rounds import plot_rounds

        plot_rounds(over_seeds(runs)).savefig(options.picture, format="png")


if __name__ == "__main__":
    main()
