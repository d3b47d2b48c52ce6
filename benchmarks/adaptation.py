"""Self-training's speed: its training step, and its labelling.

python -m benchmarks.adaptation [--json FILE]

A step of ENet on soft labels under the Wasserstein loss against the same step
under soft cross-entropy; the general solver, for a ground matrix without
structure, on fewer pixels. Labelling a file (both steps, files written and
all) against plain inference averaged over image and mirror, which throws its
probabilities away, by the clock and by the time of all cores, which other
programs change less.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks import harness
from wseg_tf import models
from wseg_tf.adaptation import pseudo_labels
from wseg_tf.adaptation.labelling import label_file, predict_file
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.adaptation.prediction import predictor
from wseg_tf.adaptation.target import prepare_image, read_images
from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.data.checks import check_pair, encode_labels
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise
from wseg_tf.data.streets import draw_scene
from wseg_tf.ground import GroundMatrix
from wseg_tf.losses import CrossEntropyLoss, WassersteinLoss
from wseg_tf.training.optimizers import prepare
from wseg_tf.training.step import compile_step
from wseg_tf.transport import Sinkhorn

SIZE, BATCH = (240, 320), 2
LABELLED_SIZE, IMAGES, LABELLED_BATCH = (360, 480), 40, 4
LEARNED_SIZE, LEARNED_STEPS = (120, 160), 120
FEW = 2048  # pixels of the comparison with the general solver


def soft_targets(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Returns LRENT-like labels: sharp distributions, and two thirds void."""
    random = np.random.default_rng(seed)
    classes = len(CITYSCAPES)
    levels = random.dirichlet(np.full(classes, 0.1), shape)
    sharp = levels**4
    soft = sharp / sharp.sum(axis=-1, keepdims=True)
    soft[random.random(shape) < 2 / 3] = 0
    return soft.astype(np.float32)


def step_of(loss: keras.losses.Loss) -> Any:
    """Returns a compiled training step of ENet."""
    keras.utils.set_random_seed(0)
    model = models.build("enet", len(CITYSCAPES))
    optimizer = keras.optimizers.SGD(1e-4)
    prepare(optimizer, model.trainable_variables)
    step = compile_step(model, loss, optimizer, tf.distribute.get_strategy())
    random = np.random.default_rng(0)
    images = tf.constant(
        random.uniform(0, 255, (BATCH, *SIZE, 3)).astype(np.float32)
    )
    labels = tf.constant(soft_targets((BATCH, *SIZE)))
    return lambda: step(images, labels).numpy()


def losses_of(void: int = CITYSCAPES.void) -> dict[str, keras.losses.Loss]:
    """Returns the losses of the rounds, by name."""
    severity = GroundMatrix.severity_aware(CITYSCAPES)
    options: dict[str, Any] = {"from_logits": True, "ignore_class": void}
    return {
        "soft cross-entropy": CrossEntropyLoss(**options),
        "W linear": WassersteinLoss(severity, **options),
        "W square": WassersteinLoss(severity.power(2), **options),
        "W Huber": WassersteinLoss(severity.huber(2), **options),
    }


def steps_report(rounds: int) -> harness.Report:
    """Measures the training steps."""
    report = harness.Report(
        f"ENet's training step, soft labels, {len(CITYSCAPES)} classes, "
        f"{BATCH} images of {SIZE[0]}x{SIZE[1]}"
    )
    found = losses_of()
    for name, loss in found.items():
        report.add(name, step_of(loss))
    for name in list(found)[1:]:
        report.goals.append(
            harness.Goal(
                f"{name}: at most 1.05x the soft cross-entropy step",
                name,
                "soft cross-entropy",
                1.05,
            )
        )
    report.run(rounds, warm=True)
    return report


def solver_report(rounds: int) -> harness.Report:
    """Measures what a ground matrix without structure costs."""
    report = harness.Report(
        f"Losses alone, value and gradient of {FEW} pixels, soft labels"
    )
    random = np.random.default_rng(1)
    classes = len(CITYSCAPES)
    costs = random.uniform(0.5, 4, (classes, classes))
    np.fill_diagonal(costs, 0)
    unstructured = GroundMatrix(costs)
    logits = tf.Variable(random.normal(size=(FEW, classes)).astype(np.float32))
    target = soft_targets((FEW,))
    target[target.sum(axis=-1) == 0] = 1 / classes
    labels = tf.constant(target)
    cases = losses_of()
    cases["W, no structure, exact"] = WassersteinLoss(unstructured, True)
    cases["W, no structure, Sinkhorn alone"] = WassersteinLoss(
        unstructured, True, sinkhorn=Sinkhorn(exchanges=0)
    )
    for name, loss in cases.items():

        @tf.function(autograph=False)
        def both(loss: Any = loss) -> Any:
            with tf.GradientTape() as tape:
                value = loss(labels, logits)
            return tape.gradient(value, logits)

        report.add(name, lambda both=both: both().numpy(), FEW)
    report.run(rounds, warm=True)
    for name in cases:
        if name in report.times:
            ratio = report.ratio(name, "soft cross-entropy")
            report.facts[f"{name}: times soft cross-entropy"] = ratio
    return report


def write_streets(path: str) -> None:
    """Writes drawn streets as records."""
    with tf.io.TFRecordWriter(path) as writer:
        for seed in range(IMAGES):
            image, label = draw_scene(seed, *LABELLED_SIZE, look="dusk")
            encoded = tf.io.encode_png(image).numpy()
            checked = check_pair(encoded, encode_labels(label), CAMVID)
            pair = Pair(f"{seed}", "", "", "train", "drive", "streets")
            writer.write(serialise(pair, checked))


def brief_training() -> keras.Model:
    """Returns ENet after a minute of learning: sure of some, as others are.

    An untrained network is sure of nothing, so that nearly every pixel is
    kept, and labels are noise.
    """
    keras.utils.set_random_seed(0)
    model = models.build("enet", len(CAMVID))
    optimizer = keras.optimizers.Adam(2e-3)
    prepare(optimizer, model.trainable_variables)
    loss = CrossEntropyLoss(from_logits=True, ignore_class=CAMVID.void)
    step = compile_step(model, loss, optimizer, tf.distribute.get_strategy())
    scenes = [
        draw_scene(1000 + seed, *LEARNED_SIZE, look="dusk")
        for seed in range(32)
    ]
    images = np.stack([image for image, _ in scenes]).astype(np.float32)
    labels = np.stack([label for _, label in scenes]).astype(np.int32)
    for number in range(LEARNED_STEPS):
        own = slice(4 * (number % 8), 4 * (number % 8) + 4)
        step(tf.constant(images[own]), tf.constant(labels[own]))
    return model


def core_seconds(work: Callable[[], Any], rounds: int) -> float:
    """Returns the least seconds of all cores together that work takes."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def labelling_report(rounds: int, folder: str) -> harness.Report:
    """Measures labelling against inference."""
    report = harness.Report(
        f"ENet's labelling, {len(CAMVID)} classes, {IMAGES} images of "
        f"{LABELLED_SIZE[0]}x{LABELLED_SIZE[1]}, image and mirror"
    )
    streets = os.path.join(folder, "streets")
    write_streets(streets)
    model = brief_training()
    predict = predictor(model)

    @tf.function(reduce_retracing=True, autograph=False)
    def decide(images: tf.Tensor) -> tf.Tensor:
        straight = tf.nn.softmax(model(images, training=False))
        mirrored = tf.nn.softmax(model(tf.reverse(images, [2]), training=False))
        return tf.argmax((straight + tf.reverse(mirrored, [2])) / 2, axis=-1)

    def infer() -> Any:
        images = read_images(streets).map(
            lambda each: prepare_image(each, LABELLED_SIZE)["image"],
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return [
            decide(tf.cast(each, tf.float32)).numpy()
            for each in images.batch(LABELLED_BATCH).prefetch(1)
        ]

    def label(method: str) -> Any:
        options = SelfTraining(method=method)
        spilled = os.path.join(folder, f"{method}-predictions")
        counts = predict_file(
            streets, spilled, predict, LABELLED_SIZE, LABELLED_BATCH
        )
        limits = pseudo_labels.thresholds(counts, options.portion)
        out = os.path.join(folder, method)
        return label_file(spilled, out, limits, options, CAMVID)

    report.add("inference alone", infer, IMAGES)
    for method in ("cbst", "lrent"):
        name = f"labelling, {method}"
        report.add(name, lambda method=method: label(method), IMAGES)
        report.goals.append(
            harness.Goal(
                f"{name}: at least 0.9x the speed of inference alone",
                "inference alone",
                name,
                0.9,
                at_least=True,
            )
        )
    report.run(rounds, warm=True)
    plain = core_seconds(infer, rounds)
    for kind in ("cbst", "lrent"):
        own = core_seconds(lambda kind=kind: label(kind), rounds)
        report.facts[f"{kind}, by the time of all cores"] = plain / own
        pixels = label(kind)
        report.facts[f"{kind}, share kept"] = 1 - pixels[-1] / pixels.sum()
        kept = os.path.getsize(os.path.join(folder, kind)) / IMAGES
        report.facts[f"{kind}, KiB an image, the image with it"] = kept / 1024
        spilled = os.path.getsize(os.path.join(folder, f"{kind}-predictions"))
        report.facts[f"{kind}, KiB an image while it waits"] = (
            spilled / IMAGES / 1024
        )
    return report


def main() -> None:
    """Measures, prints and writes."""
    options = harness.arguments(__doc__, rounds=9)
    reports = [steps_report(options.rounds), solver_report(options.rounds)]
    with tempfile.TemporaryDirectory() as folder:
        reports.append(labelling_report(options.rounds, folder))
    for report in reports:
        report.facts |= {"tensorflow": tf.__version__}
        harness.show(report)
    harness.write(reports, options.json)


if __name__ == "__main__":
    main()
