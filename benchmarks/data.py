"""Ingest and input: DeepLab2's converter, a bare loop, a step fed from memory.

python -m benchmarks.data [--deeplab2 FOLDER] [--only PART] [--json FILE]

FOLDER holds a checkout of google-research/deeplab2 in a folder of that name,
whose `build_cityscapes_data.py` is run as it is (semantic labels).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import resource
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks import harness
from wseg_tf import models
from wseg_tf.classes import CAMVID, CITYSCAPES
from wseg_tf.data.augmentation import Augmentation
from wseg_tf.data.checks import check_pair
from wseg_tf.data.input import read_pairs, read_records, training_batches
from wseg_tf.data.layouts import find_pairs, layout
from wseg_tf.data.pairs import Pair
from wseg_tf.data.records import serialise
from wseg_tf.data.streets import draw_scene, write_streets

CITY = "madeup"
BARE = "bare loop, same checks"
BEAM, BEAM_ONE_CORE = "ours, Beam", "ours, Beam on one core"
BEAM_WORKERS = "ours, Beam, `workers: 2`"
DEEPLAB2 = "DeepLab2, build_cityscapes_data"
AUGMENTATION = Augmentation(
    flip=0.5, scale=(0.75, 1.5), brightness=0.1, contrast=0.2, saturation=0.2
)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write results here")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--deeplab2", metavar="FOLDER")
    parts = {each.__name__: each for each in (memory, ingest, feeding)}
    parser.add_argument("--only", choices=parts, help="one part, not all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reports = []
        # Memory first: its peak only rises.
        for name, measure in parts.items():
            if options.only not in (None, name):
                continue
            reports.append(measure(folder, options))
            harness.show(reports[-1])
    harness.write(reports, options.json)


def ingest(folder: str, options: argparse.Namespace) -> harness.Report:
    """Images a second from a Cityscapes tree of real size to records."""
    root = os.path.join(folder, "cityscapes")
    draw_tree(root, options.images)
    pairs = find_pairs("cityscapes_train_ids", root, "train")
    size = sum(os.path.getsize(pair.image) for pair in pairs) / len(pairs)
    report = harness.Report(
        f"Ingest of {len(pairs)} pairs of 2048x1024 (train ids), each"
    )
    report.facts["megabytes per image"] = size / 1e6
    out = os.path.join(folder, "records")
    tf.io.gfile.makedirs(out)
    count = len(pairs)
    report.add(BARE, lambda: write_bare(pairs, out), count)
    through_beam(report, pairs, folder)
    if options.deeplab2:
        convert = deeplab2(options.deeplab2, root, out, count)
        report.add(DEEPLAB2, convert, count)
    else:
        report.absent[DEEPLAB2] = "give its folder with --deeplab2"
    for text, case, against, limit in (
        ("DeepLab2's time by ours, Beam", DEEPLAB2, BEAM, 1.5),
        ("DeepLab2's time by ours, Beam on one core", DEEPLAB2, BEAM_ONE_CORE,
         1.5),
        ("bare loop's time by ours, Beam on one core", BARE, BEAM_ONE_CORE,
         0.9),
    ):  # fmt: skip
        goal = harness.Goal(text, case, against, limit, at_least=True)
        report.goals.append(goal)
    report.run(options.rounds)
    return report


def draw_tree(root: str, count: int) -> None:
    """Draws streets in Cityscapes' layout, size and train ids.

    Six are drawn, and linked under as many names as are asked for.
    """
    table = np.full(256, CITYSCAPES.void, np.uint8)
    names = {"tree": "vegetation", "sign": "traffic sign"}
    names.update({"pedestrian": "person", "bicyclist": "rider"})
    for index, name in enumerate(CAMVID.names):
        table[index] = CITYSCAPES.index(names.get(name, name))
    drawn = min(count, 6)
    for index in range(drawn):
        image, labels = draw_scene(index, 1024, 2048)
        for top, pixels, suffix in (
            ("leftImg8bit", image, "leftImg8bit"),
            ("gtFine", table[labels], "gtFine_labelTrainIds"),
        ):
            folder = os.path.join(root, top, "train", CITY)
            os.makedirs(folder, exist_ok=True)
            paths = [
                os.path.join(folder, f"{CITY}_{k:06d}_000019_{suffix}.png")
                for k in range(index, count, drawn)
            ]
            Image.fromarray(pixels).save(paths[0])
            for path in paths[1:]:
                os.link(paths[0], path)


def read(path: str) -> bytes:
    """Reads a file as the others do."""
    with tf.io.gfile.GFile(path, "rb") as file:
        contents: bytes = file.read()
    return contents


def write_bare(pairs: Iterable[Pair], out: str) -> None:
    """The least that can be done: the same checks, with nothing around."""
    allowed = {*range(len(CITYSCAPES)), CITYSCAPES.void}
    with tf.io.TFRecordWriter(os.path.join(out, "bare")) as writer:
        for pair in pairs:
            image, label = read(pair.image), read(pair.label)
            pictures = [Image.open(io.BytesIO(each)) for each in (image, label)]
            for picture in pictures:
                picture.load()
            assert pictures[0].size == pictures[1].size
            histogram = pictures[1].histogram()
            assert all(k in allowed for k in range(256) if histogram[k])
            digest = hashlib.sha256(image)
            digest.update(label)
            values = (image, label, digest.digest())
            features = {
                str(key): tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[value])
                )
                for key, value in enumerate(values)
            }
            record = tf.train.Example(
                features=tf.train.Features(feature=features)
            )
            writer.write(record.SerializeToString())


def through_beam(
    report: harness.Report, pairs: Sequence[Pair], folder: str
) -> None:
    """Adds `wseg data convert`, which the pipeline's Ingest step shares."""
    try:
        from pipeline.config.beam_options import on_cores
        from pipeline.ingest.convert import convert
    except ImportError as error:
        cases = BEAM, BEAM_ONE_CORE, BEAM_WORKERS
        report.absent.update(dict.fromkeys(cases, str(error)))
        return
    out = os.path.join(folder, "converted")

    def run(options: str) -> None:
        shutil.rmtree(out, ignore_errors=True)
        convert(
            {"train": pairs},
            layout("cityscapes_train_ids"),
            out,
            beam_options=options,
            shard_megabytes=8,  # Workers share the work by file.
        )

    one = "--direct_running_mode=multi_threading --direct_num_workers=1"
    report.add(BEAM, lambda: run(""), len(pairs))
    report.add(BEAM_ONE_CORE, lambda: run(one), len(pairs))
    two = shlex.join(on_cores(2))
    report.add(BEAM_WORKERS, lambda: run(two), len(pairs))


def deeplab2(
    folder: str, root: str, out: str, count: int
) -> Callable[[], None]:
    """Returns DeepLab2's own converter over the tree."""
    sys.path.insert(0, folder)
    from absl import flags
    from deeplab2.data import build_cityscapes_data as converter

    flags.FLAGS(["converter", "--nocreate_panoptic_data"])
    converter._SPLITS_TO_SIZES = {"train_fine": count}

    def convert() -> None:
        converter._convert_dataset(root, "train", out)

    return convert


def feeding(folder: str, options: argparse.Namespace) -> harness.Report:
    """A training step of ENet on 360x480: fed from records, from memory."""
    size, batch, frames = (360, 480), 4, 64
    root = os.path.join(folder, "streets")
    write_streets(root, {"train": frames}, size)
    pairs = find_pairs("streets", root)
    path = os.path.join(folder, "streets.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for pair in pairs:
            checked = check_pair(read(pair.image), read(pair.label), CAMVID)
            writer.write(serialise(pair, checked))
    model = models.build("enet", len(CAMVID))
    optimizer = keras.optimizers.SGD(1e-3)

    @tf.function(reduce_retracing=True)
    def step(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            )
        variables = model.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        return loss

    def fed(cache: bool) -> Iterable[Any]:
        return training_batches(
            read_records(path, compression=""),
            size,
            batch,
            CAMVID.void,
            augmentation=AUGMENTATION,
            cache=cache,
            count=frames,
        )

    in_memory = [
        (images, tf.minimum(labels, len(CAMVID) - 1))
        for images, labels in fed(cache=False)
    ]
    sources: dict[str, Iterable[Any]] = {
        "a step fed from memory": in_memory,
        "a step fed from records, cached": fed(cache=True),
        "a step fed from records, decoded again": fed(cache=False),
    }
    report = harness.Report(
        f"A training step of ENet, batches of {batch} at 360x480, augmented"
    )
    for name, source in sources.items():

        def epoch(name: str = name, source: Iterable[Any] = source) -> None:
            start = time.process_time()
            for images, labels in source:
                step(images, tf.minimum(labels, len(CAMVID) - 1))
            # Other programs swell this least of all.
            used = 1e3 * (time.process_time() - start) / len(in_memory)
            report.facts[f"{name}, ms of all cores"] = used

        report.add(name, epoch, len(in_memory))
    for name in list(sources)[1:]:
        report.goals.append(
            harness.Goal(
                f"time from memory by {name[7:]}",
                "a step fed from memory",
                name,
                0.95,
                at_least=True,
            )
        )
    report.run(options.rounds)
    return report


def memory(folder: str, options: argparse.Namespace) -> harness.Report:
    """Peak memory after a tenth of the images, and after all of them."""
    images = options.many
    root = os.path.join(folder, "small")
    write_streets(root, {"train": 64}, (96, 128))
    pairs = find_pairs("streets", root)
    report = harness.Report(f"Memory over {images} images")
    try:
        from pipeline.ingest.convert import convert
    except ImportError as error:
        report.absent["memory"] = str(error)
        return report

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def repeated(count: int) -> list[Pair]:
        return [pairs[k % len(pairs)] for k in range(count)]

    for count in (images // 10, images):
        out = os.path.join(folder, f"many-{count}")
        convert({"train": repeated(count)}, layout("streets"), out)
        report.facts[f"ingest, MB after {count}"] = peak()
    for count in (images // 10, images):
        batches = training_batches(
            read_pairs(repeated(count), layout("streets")),
            (96, 128),
            16,
            CAMVID.void,
            augmentation=AUGMENTATION,
            cache=False,
            shuffle_buffer=256,
        )
        for _ in batches:
            pass
        report.facts[f"input, MB after {count}"] = peak()
    return report


if __name__ == "__main__":
    main()
