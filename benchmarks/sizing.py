"""What a data set costs: core hours, disk and memory, stage by stage.

python -m benchmarks.sizing [--measure [--photographs FOLDER]]
    [--hours 24] [--epochs 60]

The model: a stage takes `start + megapixels * rate` core seconds, of all images
together. `--measure` fits both to two runs of each stage and holds the model to
others; otherwise the figures below are used, which it printed. Core seconds
and not seconds, since other programs swell them least. The photographs are the
split `val` of a folder in CamVid's layout, of one size, such as
`benchmarks.photographs` makes; each is taken as often as it takes. Without them
streets are drawn.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

Size = tuple[int, int]
Run = tuple[int, Size]
FITTED: tuple[Run, Run] = ((4, (480, 640)), (16, (720, 960)))
CHECKED: tuple[Run, ...] = ((8, (720, 960)), (12, (480, 640)))
TRAINING, EVALUATION = "an epoch of ENet", "evaluation"
SHOWN = ("ingest", "statistics", TRAINING, EVALUATION, "pseudo-labelling")
# Photographs to fit to and to check, of the size they have: few suffice for
# stages in which a network sees them.
COUNTS = {SHOWN[:2]: ((8, 48), 24), SHOWN[2:]: ((2, 6), 4)}


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
    "ingest": Cost(0.526, 0.026),
    "statistics": Cost(2.899, 0.0064),
    TRAINING: Cost(42.483, 0.9854),
    EVALUATION: Cost(13.933, 0.4417),
    "pseudo-labelling": Cost(17.936, 1.5719),
}
# Bytes of a pair's line in the manifest, see `benchmarks.listing`.
LINE = 295


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


def stages(
    folder: Path, run: Run, photographs: str | None = None
) -> dict[str, Callable[[], Any]]:
    """Returns the work of each stage, in order.

    Args:
        folder: An empty one.
        run: Images and their height and width.
        photographs: The folder they are in. Drawn by default.
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
    data = photographs or str(folder / "streets")
    if photographs is None:
        write_streets(data, {"val": count}, size)
    examples, model = folder / "examples", folder / "model"
    files = str(examples / "Split-eval" / "*")
    network = models.build("enet", len(CAMVID))
    served = str(model / "Format-Serving")
    export(network, served, CAMVID, *size, GROUND)
    step = training_step(network)

    def ingest() -> None:
        found = cycle(find_pairs("camvid", data, "val"))
        pairs = [
            replace(pair, name=f"{number}_{pair.name}")
            for number, pair in enumerate(islice(found, count))
        ]
        convert({"eval": pairs}, layout("camvid"), str(examples))

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
            json.dumps(CAMVID.as_dict()),
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


def measure(
    run: Run, photographs: str | None = None, names: Sequence[str] = SHOWN
) -> dict[str, float]:
    """Returns the core seconds of each stage of a run.

    Args:
        run: Images and their height and width.
        photographs: The folder they are in. Drawn by default.
        names: Stages to measure. Defaults to all.
    """
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, work in stages(Path(folder), run, photographs).items():
            if name in names or name == SHOWN[0]:  # It makes the records.
                start = time.process_time()
                work()
                found[name] = time.process_time() - start
    return found


def size_of(photographs: str) -> Size:
    """Returns the height and width of photographs.

    Args:
        photographs: The folder they are in.

    Raises:
        ValueError: If they are of several sizes.
    """
    from PIL import Image

    from wseg_tf.data.layouts import find_pairs

    sizes = set()
    for pair in find_pairs("camvid", photographs, "val"):
        with Image.open(pair.image) as image:
            sizes.add((image.height, image.width))
    if len(sizes) > 1:
        raise ValueError(
            "Invalid value for argument `photographs`. Expected images of one "
            f"size in `val`. Received: {sorted(sizes)} in {photographs!r}."
        )
    return sizes.pop()


def calibrate(photographs: str | None = None) -> dict[str, Cost]:
    """Fits every stage's cost, and prints how it predicts other runs.

    Args:
        photographs: The folder they are in. Drawn by default.
    """
    measure((2, (240, 320)))  # What loads once does not count.
    if photographs is None:
        return held_to(FITTED, CHECKED)
    size, costs = size_of(photographs), {}
    for names, ((few, many), checked) in COUNTS.items():
        fitted = (few, size), (many, size)
        costs.update(held_to(fitted, [(checked, size)], photographs, names))
    return costs


def held_to(
    fitted: tuple[Run, Run],
    checked: Sequence[Run],
    photographs: str | None = None,
    names: Sequence[str] = SHOWN,
) -> dict[str, Cost]:
    """Fits the cost of stages and prints it, and how it predicts other runs.

    Args:
        fitted: The runs it is fitted to.
        checked: The others.
        photographs: The folder they are in. Drawn by default.
        names: The stages. Defaults to all.
    """
    first, second = (measure(run, photographs, names) for run in fitted)
    costs = {name: fit(fitted, (first[name], second[name])) for name in names}
    for name, cost in costs.items():
        print(f'    "{name}": {cost},', flush=True)
    print("\n| run | stage | model | measured |\n|---|---|---|---|")
    for run in checked:
        count, (height, width) = run
        found = measure(run, photographs, names)
        for name, cost in costs.items():
            predicted = cost.of(megapixels(run))
            print(
                f"| {count} images of {width}x{height} | {name} | "
                f"{predicted:.1f} | {found[name]:.1f} |",
                flush=True,
            )
    return costs


def show(costs: dict[str, Cost], hours: float, epochs: int) -> None:
    """Prints the tables.

    Args:
        costs: Of each stage.
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
    print("\n| data | records | manifest |\n|---|---|---|")
    for data in SETS:
        total = data.train + data.evaluated
        print(
            f"| {data.name} | {total * data.megabytes / 1e3:,.0f} GB | "
            f"{total * LINE / 1e9:,.2f} GB |"
        )


def main() -> None:
    """Measures if asked to, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--photographs", metavar="FOLDER")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args()
    costs = calibrate(options.photographs) if options.measure else COSTS
    show(costs, options.hours, options.epochs)


if __name__ == "__main__":
    main()
