"""What a data set costs: core hours, disk and memory, stage by stage.

python -m benchmarks.sizing [--measure] [--hours 24] [--epochs 60]

The model: a stage takes `start + megapixels * rate` core seconds, of all images
together. `--measure` fits both to two runs of each stage and holds the model to
two others; otherwise the figures below are used, which it printed. Core seconds
and not seconds, since other programs swell them least.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

Size = tuple[int, int]
Run = tuple[int, Size]
FITTED: tuple[Run, Run] = ((4, (480, 640)), (16, (720, 960)))
CHECKED: tuple[Run, Run] = ((8, (720, 960)), (12, (480, 640)))
LISTED = 20_000
TRAINING, EVALUATION = "an epoch of ENet", "evaluation"
SHOWN = ("ingest", "statistics", TRAINING, EVALUATION, "pseudo-labelling")


@dataclass(frozen=True)
class Cost:
    """Core seconds of a stage.

    Args:
        start: Before the first image.
        rate: Of a megapixel.
    """

    start: float
    rate: float

    def of(self, megapixels: float) -> float:
        """Returns the core seconds of so many megapixels."""
        return self.start + self.rate * megapixels


# What `--measure` printed; see docs/sizing.md.
COSTS: dict[str, Cost] = {
    "ingest": Cost(0.25, 0.0338),
    "statistics": Cost(1.448, 0.0572),
    TRAINING: Cost(12.609, 2.1968),
    EVALUATION: Cost(7.854, 0.4114),
    "pseudo-labelling": Cost(7.878, 1.2213),
}
# Bytes of memory while a pair is listed, and bytes of its line.
LISTING = (2089, 295)


@dataclass(frozen=True)
class DataSet:
    """A data set to be sized.

    Args:
        name: In the table.
        train: Images to train on.
        evaluated: Images the gate judges on.
        megapixels: Of one image.
        megabytes: Of one image and its label, as files.
    """

    name: str
    train: int
    evaluated: int
    megapixels: float
    megabytes: float


# Bytes as their owners give them: 11 GB for 5,000 images of Cityscapes and
# 57 GB for GTA5's; a fleet's frames are taken to be as large.
SETS = (
    DataSet("Cityscapes, fine", 2_975, 500, 2.10, 2.3),
    DataSet("Cityscapes, fine and coarse", 22_975, 500, 2.10, 2.3),
    DataSet("GTA5", 24_966, 500, 2.01, 2.4),
    DataSet("a fleet", 10_000_000, 10_000, 2.10, 2.3),
)


def fit(runs: tuple[Run, Run], seconds: tuple[float, float]) -> Cost:
    """Returns the cost that two runs had.

    Args:
        runs: Images and their height and width.
        seconds: Core seconds of each.

    Example:

    >>> fit(((1, (1000, 1000)), (2, (1000, 1500))), (8.0, 14.0))
    Cost(start=5.0, rate=3.0)
    """
    first, second = (megapixels(run) for run in runs)
    rate = (seconds[1] - seconds[0]) / (second - first)
    return Cost(round(seconds[0] - rate * first, 3), round(rate, 4))


def megapixels(run: Run) -> float:
    """Returns the megapixels of a run's images together."""
    count, (height, width) = run
    return count * height * width / 1e6


def stages(folder: Path, run: Run) -> dict[str, Callable[[], Any]]:
    """Returns the work of each stage, in order.

    Args:
        folder: An empty one.
        run: Images and their height and width.
    """
    import apache_beam as beam
    import tensorflow_data_validation as tfdv

    from benchmarks.evaluation import GROUND, PLAIN, evaluator
    from pipeline.adaptation.pseudo_labels import Labeller, write_pseudo_labels
    from pipeline.config.beam_options import IN_MEMORY, parse_options
    from pipeline.gate.rules import Gate
    from pipeline.ingest.convert import convert
    from wseg_tf import configuration, models
    from wseg_tf.adaptation.options import SelfTraining
    from wseg_tf.classes import CAMVID
    from wseg_tf.data.input import read_records, training_batches
    from wseg_tf.data.layouts import find_pairs, layout
    from wseg_tf.data.streets import write_streets
    from wseg_tf.serving import export
    from wseg_tf.training.recipe import Recipe

    count, size = run
    write_streets(str(folder / "streets"), {"val": count}, size)
    examples, model = folder / "examples", folder / "model"
    files = str(examples / "Split-eval" / "*")
    network = models.build("enet", len(CAMVID))
    served = str(model / "Format-Serving")
    export(network, served, CAMVID, *size, GROUND)
    step = training_step(network)

    def ingest() -> None:
        pairs = find_pairs("streets", str(folder / "streets"), "val")
        convert({"eval": pairs}, layout("streets"), str(examples))

    def statistics() -> None:
        tfdv.generate_statistics_from_tfrecord(
            files,
            str(folder / "statistics"),
            pipeline_options=parse_options(IN_MEMORY),
        )

    def train() -> None:
        batches = training_batches(
            read_records(files, compression=""),
            size,
            2,
            CAMVID.void,
            cache=False,
            count=count,
        )
        for images, labels in batches:
            step(images, labels)

    def label() -> None:
        recipe = Recipe(height=size[0], width=size[1], initial=served)
        labeller = Labeller(
            configuration.dump(recipe),
            configuration.dump(SelfTraining()),
            CAMVID.name,
            0,
        )
        found = sorted(map(str, (examples / "Split-eval").iterdir()))
        root = beam.Pipeline(options=parse_options(IN_MEMORY))
        write_pseudo_labels(root, labeller, found, str(folder / "labels"))

    return {
        "ingest": ingest,
        "statistics": statistics,
        TRAINING: train,
        EVALUATION: evaluator(folder, examples, model, Gate(PLAIN), False),
        "pseudo-labelling": label,
    }


def training_step(model: Any) -> Callable[[Any, Any], Any]:
    """Returns a step of gradient descent on cross-entropy."""
    import keras
    import tensorflow as tf

    optimizer = keras.optimizers.SGD(1e-3)

    @tf.function(reduce_retracing=True)
    def step(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            labels = tf.minimum(tf.cast(labels, tf.int32), logits.shape[-1] - 1)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            )
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    compiled: Callable[[Any, Any], Any] = step
    return compiled


def measure(run: Run) -> dict[str, float]:
    """Returns the core seconds of each stage of a run.

    Args:
        run: Images and their height and width.
    """
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, work in stages(Path(folder), run).items():
            start = time.process_time()
            work()
            found[name] = time.process_time() - start
    return found


def measure_listing() -> tuple[float, float]:
    """Returns bytes of memory and of the manifest for each pair listed."""
    from pipeline.ingest.manifest import write_manifest
    from wseg_tf.data.layouts import layout
    from wseg_tf.data.pairs import Pair

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frame.png"
        file.write_bytes(b"0")
        pairs = [
            Pair(f"{i:08d}", str(file), str(file), "train", "A", "camvid")
            for i in range(LISTED)
        ]
        tracemalloc.start()
        manifest = write_manifest(folder, {"train": pairs}, layout("camvid"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        written = (Path(manifest) / "train.jsonl").stat().st_size
    return round(peak / LISTED), round(written / LISTED)


def calibrate() -> tuple[dict[str, Cost], tuple[float, float]]:
    """Fits every stage's cost, and prints how it predicts other runs."""
    measure((2, (240, 320)))  # What loads once does not count.
    first, second = (measure(run) for run in FITTED)
    costs = {name: fit(FITTED, (first[name], second[name])) for name in SHOWN}
    for name, cost in costs.items():
        print(f'    "{name}": {cost},', flush=True)
    listing = measure_listing()
    print(f"LISTING = {listing}")
    print("\n| run | stage | model | measured |\n|---|---|---|---|")
    for run in CHECKED:
        count, (height, width) = run
        found = measure(run)
        for name, cost in costs.items():
            predicted = cost.of(megapixels(run))
            print(
                f"| {count} images of {width}x{height} | {name} | "
                f"{predicted:.1f} | {found[name]:.1f} |",
                flush=True,
            )
    return costs, listing


def show(
    costs: dict[str, Cost],
    listing: tuple[float, float],
    hours: float,
    epochs: int,
) -> None:
    """Prints the tables.

    Args:
        costs: Of each stage.
        listing: Bytes of memory and of a line for each pair.
        hours: A stage is to take.
        epochs: Of a training.
    """
    print(f"\n| data | stage | core hours | cores for {hours:g} h |")
    print("|---|---|---|---|")
    for data in SETS:
        total = data.train + data.evaluated
        images = {TRAINING: data.train * epochs, EVALUATION: data.evaluated}
        for name, cost in costs.items():
            whole = images.get(name, total) * data.megapixels
            spent = cost.of(whole) / 3600
            title = f"{epochs} epochs of ENet" if name == TRAINING else name
            cores = max(1, math.ceil(spent / hours))
            print(f"| {data.name} | {title} | {spent:,.1f} | {cores:,} |")
    print("\n| data | records | manifest | memory that lists it |")
    print("|---|---|---|---|")
    for data in SETS:
        total = data.train + data.evaluated
        memory, line = (total * each / 1e9 for each in listing)
        print(
            f"| {data.name} | {total * data.megabytes / 1e3:,.0f} GB | "
            f"{line:,.2f} GB | {memory:,.2f} GB |"
        )


def main() -> None:
    """Measures if asked to, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args()
    costs, listing = calibrate() if options.measure else (COSTS, LISTING)
    show(costs, listing, options.hours, options.epochs)


if __name__ == "__main__":
    main()
