"""The Evaluator end to end against plain inference and a NumPy count.

python -m benchmarks.evaluation [--json FILE] [--model enet] [--images 233]
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from tfx import v1 as tfx
from tfx.components.evaluator.executor import Executor
from tfx.types import standard_artifacts
from tfx.types.standard_component_specs import (
    BASELINE_MODEL_KEY,
    BLESSING_KEY,
    EVAL_CONFIG_KEY,
    EVALUATION_KEY,
    EXAMPLES_KEY,
    MODEL_KEY,
)
from tfx.utils import proto_utils

from benchmarks import harness
from pipeline.config.beam_options import IN_MEMORY
from pipeline.gate.bootstrap import interval, replicate
from pipeline.gate.evaluation import eval_config, read_evaluation
from pipeline.gate.image_counts import ImageCounts
from pipeline.gate.judge import judge
from pipeline.gate.rules import Gate, Rule
from wseg_tf import models
from wseg_tf.classes import CAMVID
from wseg_tf.data.checks import check_pair, encode_labels
from wseg_tf.data.input import read_records
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise
from wseg_tf.data.streets import draw_scene
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics import confusion_count, mean_iou
from wseg_tf.serving import SERVING, export

SIZE = (360, 480)
GROUND = GroundMatrix.severity_aware(CAMVID)
PLAIN = [Rule("critical_minimum_iou", floor=0.1), Rule("mean_iou", floor=0.1)]
STATISTICAL = [
    Rule("iou/critical", floor=0.1, confidence=0.95),
    Rule("mean_iou", floor=0.1, confidence=0.95),
]
BATCH = 4


def write_records(folder: Path, images: int) -> Path:
    """Writes drawn streets as the records of split `eval`."""
    path = folder / "examples" / "Split-eval" / "data_tfrecord-00000-of-00001"
    path.parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for index in range(images):
            image, label = draw_scene(index, *SIZE)
            encoded = tf.io.encode_png(image).numpy()
            checked = check_pair(encoded, encode_labels(label), CAMVID)
            name, drive = f"{index:05d}", f"D{index // 8:03d}"
            pair = Pair(name, "image", "label", "eval", drive, "streets")
            writer.write(serialise(pair, checked))
    return folder / "examples"


def artifact(kind: Any, uri: Path) -> Any:
    """Returns an artifact that lies in a folder."""
    found = kind()
    found.uri = str(uri)
    return found


def evaluator(
    folder: Path,
    examples: Path,
    model: Path,
    gate: Gate,
    baseline: bool,
    beam: Sequence[str] = IN_MEMORY,
) -> Callable[[], ImageCounts]:
    """Returns TFX's Evaluator, from records to its blessing."""
    config = eval_config(gate, CAMVID, GROUND, str(folder))
    runs = iter(range(1000))

    def run() -> ImageCounts:
        own = folder / f"evaluation-{next(runs)}"
        records = artifact(standard_artifacts.Examples, examples)
        records.split_names = '["eval"]'
        inputs = {
            EXAMPLES_KEY: [records],
            MODEL_KEY: [artifact(standard_artifacts.Model, model)],
        }
        if baseline:
            inputs[BASELINE_MODEL_KEY] = inputs[MODEL_KEY]
        evaluation = artifact(standard_artifacts.ModelEvaluation, own)
        blessing = artifact(standard_artifacts.ModelBlessing, own / "blessing")
        executor = Executor(
            Executor.Context(
                beam_pipeline_args=list(beam),
                tmp_dir=str(own / "tmp"),
                unique_id="0",
            )
        )
        executor.Do(
            inputs,
            {EVALUATION_KEY: [evaluation], BLESSING_KEY: [blessing]},
            {
                EVAL_CONFIG_KEY: proto_utils.proto_to_json(config),
                "example_splits": "null",
            },
        )
        return read_evaluation(str(own)).images

    return run


def plain(examples: Path, model: Path) -> Callable[[], np.ndarray]:
    """Returns inference by the same signature and NumPy's count."""

    def run() -> np.ndarray:
        served = tf.saved_model.load(str(model / "Format-Serving"))
        segment = served.signatures[SERVING]
        total = np.zeros([11, 11], np.int64)
        records = read_records(str(examples / "Split-eval" / "*"), "")
        for batch in records.batch(BATCH).prefetch(tf.data.AUTOTUNE):
            found = segment(batch["image/encoded"])["classes"].numpy()
            for encoded, ids in zip(batch["label/encoded"], found, strict=True):
                label = tf.io.decode_png(encoded, channels=1)[..., 0].numpy()
                total += confusion_count(label, ids, 11, CAMVID.void)
        return total

    return run


def bootstrap_alone(images: int, classes: int, replicates: int) -> Any:
    """Returns the bootstrap of one score over random counts."""
    random = np.random.default_rng(0)
    counts = random.integers(0, 10_000, (images, classes, classes))

    def run() -> tuple[float, float]:
        drawn = replicate(counts, replicates, seed=0)
        return interval(mean_iou(drawn), 0.95, images)

    return run


def main() -> None:
    """Measures, prints and writes."""
    parser = harness.parser(__doc__ or "", rounds=3)
    parser.add_argument("--model", default="enet")
    parser.add_argument("--images", type=int, default=233)
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as name:
        report = measure(Path(name), options)
    harness.show(report, "ms an image")
    harness.write([report], options.json)


def measure(folder: Path, options: Any) -> harness.Report:
    """Times every case on the same records and model."""
    examples = write_records(folder, options.images)
    model = folder / "model"
    network = models.build(options.model, 11, (*SIZE, 3))
    export(network, str(model / "Format-Serving"), CAMVID, *SIZE, GROUND)
    report = harness.Report(
        f"{options.images} images of {SIZE[1]}x{SIZE[0]}, {options.model}"
    )
    cases: dict[str, Any] = {
        "plain inference and NumPy counts": plain(examples, model),
        "Evaluator": evaluator(folder, examples, model, Gate(PLAIN), False),
        "Evaluator, model and baseline": evaluator(
            folder, examples, model, Gate(PLAIN), True
        ),
    }
    for case, work in cases.items():
        # A minute each: what loads once does not matter.
        report.cases[case] = harness.stopwatch(work)
        report.units[case] = options.images
    counts = cases["Evaluator"]()
    expected = cases["plain inference and NumPy counts"]()
    same = np.abs(counts.candidate.sum(axis=0) - expected).sum() / 2
    report.facts["pixels counted elsewhere than by plain inference"] = int(same)
    for case, rules in (("judged", PLAIN), ("judged by bounds", STATISTICAL)):
        report.add(
            f"{case}, 1,000 replicates",
            lambda rules=rules: judge(Gate(rules), counts, CAMVID, GROUND),
            options.images,
        )
    report.add(
        "1,000 replicates of 5,000 images of 19 classes, one score",
        bootstrap_alone(5000, 19, 1000),
        options.images,
    )
    report.goals += [
        harness.Goal(
            "Evaluator at least 0.8x the images a second of plain inference",
            "plain inference and NumPy counts",
            "Evaluator",
            0.8,
            at_least=True,
        ),
        harness.Goal(
            "with a baseline, of plain inference (two models: 0.4)",
            "plain inference and NumPy counts",
            "Evaluator, model and baseline",
            0.4,
            at_least=True,
        ),
        harness.Goal(
            "1,000 bootstrap replicates add less than 10 % to the Evaluator",
            "judged by bounds, 1,000 replicates",
            "Evaluator",
            0.1,
        ),
    ]
    report.run(options.rounds)
    report.facts |= {
        "tensorflow": tf.__version__,
        "tfx": tfx.__version__,
        "keras": keras.__version__,
        "bootstrap over": f"{len(counts)} images, 4 rules with confidence",
    }
    return report


if __name__ == "__main__":
    main()
