"""The serving check: a model answers as it was evaluated, served for real.

The model is loaded in a fresh process that has TensorFlow alone; what its
signature answers to a few of the evaluated images is counted against their
labels and must give the counts that the Evaluator found.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from pipeline.gate.image_counts import ImageCounts
from wseg_tf.classes import ClassSet
from wseg_tf.data.records import decode
from wseg_tf.metrics import confusion_count
from wseg_tf.metrics.confusion import Counts
from wseg_tf.serving import SERVING

PROBE = os.path.join(os.path.dirname(__file__), "serving_probe.py")
REQUESTS = 8
# Where TensorFlow Serving looks for requests to warm up with.
WARMUP = os.path.join("assets.extra", "tf_serving_warmup_requests")
# Share of an image's pixels that another processor may round another way.
TOLERANCE = 0.001

Ids = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Request:
    """An evaluated image, and what it should count to.

    Args:
        name: Name of the image.
        encoded: Its PNG or JPEG file.
        label: True class ids `[H, W]`.
        counts: The counts `[N, N]` of its evaluation.
    """

    name: str
    encoded: bytes
    label: Ids
    counts: Counts


def choose_requests(
    examples: Iterable[dict[str, tf.Tensor]], images: ImageCounts
) -> list[Request]:
    """Chooses images to ask the served model about, spread over the set.

    Args:
        examples: The evaluated records, parsed.
        images: The counts of their evaluation.

    Returns:
        At most eight requests.
    """
    count = min(REQUESTS, len(images))
    chosen = np.linspace(0, len(images) - 1, count).round().astype(int)
    wanted = {(images.names[i], images.drives[i]): i for i in chosen}
    requests = {}
    for record in examples:
        name = record["name"].numpy().decode()
        index = wanted.get((name, record["drive"].numpy().decode()))
        if index is not None:
            requests[index] = Request(
                name,
                record["image/encoded"].numpy(),
                decode(record)[1].numpy(),
                images.candidate[index],
            )
    return [requests[index] for index in sorted(requests)]


def write_warmup(requests: Sequence[Request], model: str) -> None:
    """Saves requests where TensorFlow Serving warms a model up with them.

    Args:
        requests: The requests.
        model: Folder of the SavedModel.
    """
    path = os.path.join(model, WARMUP)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.TFRecordWriter(path) as writer:
        for each in requests:
            predict = predict_pb2.PredictRequest(
                model_spec=model_pb2.ModelSpec(signature_name=SERVING),
                inputs={"images": tf.make_tensor_proto([each.encoded])},
            )
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=predict)
            )
            writer.write(log.SerializeToString(deterministic=True))


def serving_fault(
    model: str, requests: Sequence[Request], classes: ClassSet
) -> str:
    """Serves a model in a fresh process and says what is wrong with it.

    Args:
        model: Folder of the SavedModel.
        requests: What it is asked.
        classes: The class set.

    Returns:
        A sentence, or nothing if it answers as it was evaluated.

    Raises:
        RuntimeError: If the process was killed: that says nothing about the
            model.
    """
    if not requests:
        return "there is no evaluated image to ask it about"
    with tempfile.TemporaryDirectory() as folder:
        asked = os.path.join(folder, "requests.tfrecord")
        answers = os.path.join(folder, "answers.npz")
        with tf.io.TFRecordWriter(asked) as writer:
            for each in requests:
                writer.write(each.encoded)
        probe = [sys.executable, "-I", PROBE]
        done = subprocess.run(
            [*probe, model, asked, answers],
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        if done.returncode < 0:
            raise RuntimeError(
                f"The process that served {model} was killed by signal "
                f"{-done.returncode}; run again to check the model."
            )
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["nothing was said"]
            return f"it cannot be served ({said[-1]})"
        with np.load(answers) as archive:
            found = [archive[str(i)] for i in range(len(requests))]
    for request, ids in zip(requests, found, strict=True):
        fault = answer_fault(request, ids, classes)
        if fault:
            return f"{request.name}: {fault}"
    return ""


def answer_fault(
    request: Request, ids: npt.NDArray[Any], classes: ClassSet
) -> str:
    """Says how an answer differs from what was evaluated.

    Args:
        request: What was asked.
        ids: The class ids that were answered.
        classes: The class set.

    Returns:
        A sentence, or nothing.
    """
    if ids.shape != request.label.shape or ids.dtype.kind not in "ui":
        return (
            f"expected class ids of shape {request.label.shape}, got "
            f"{ids.dtype} of shape {ids.shape}"
        )
    try:
        served = confusion_count(request.label, ids, len(classes), classes.void)
    except ValueError as error:
        return str(error)
    # A pixel counted elsewhere is missing in one cell and too much in another.
    elsewhere = np.abs(served - request.counts).sum() / 2
    share = elsewhere / max(request.counts.sum(), 1)
    if share > TOLERANCE:
        return (
            f"{share:.2%} of its pixels are served as they were not evaluated"
        )
    return ""
