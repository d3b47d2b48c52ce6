"""The serving check: a model answers as it was evaluated, served for real.

The model is loaded in a fresh process that has TensorFlow alone; what its
signature answers to a few of the evaluated images is counted against their
labels and must give the counts that the Evaluator found.
"""

# TFX reads the annotations of components as they stand: none may be a string.

import json
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
from tfx import v1 as tfx
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils, path_utils

from pipeline.gate.digests import WARMED, WARMUP, record, verify
from pipeline.gate.evaluation import read_evaluation
from pipeline.gate.evaluator import EVALUATED, JUDGED, ON
from pipeline.gate.image_counts import TOLERANCE, ImageCounts
from pipeline.release.serving_probe import FAULT
from wseg_tf.classes import ClassSet, class_set
from wseg_tf.data.checks import DataError
from wseg_tf.data.input import read_records
from wseg_tf.data.records import decode
from wseg_tf.metrics import confusion_count
from wseg_tf.metrics.confusion import Counts
from wseg_tf.saved_models import OperationError, check_operations
from wseg_tf.serving import SERVING

PROBE = os.path.join(os.path.dirname(__file__), "serving_probe.py")
REQUESTS = 8

# What TFX's Pusher reads: its own InfraValidator, which needs a model server
# in a container, writes the same.
IS_BLESSED = "blessed"
HAS_MODEL = "has_model"
REASON = "reason"

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
    for each in examples:
        name = each["name"].numpy().decode()
        index = wanted.get((name, each["drive"].numpy().decode()))
        if index is not None:
            requests[index] = Request(
                name,
                each["image/encoded"].numpy(),
                decode(each)[1].numpy(),
                images.candidate[index],
            )
    return [requests[index] for index in sorted(requests)]


def refuse_missing(
    examples: Iterable[dict[str, tf.Tensor]], images: ImageCounts
) -> None:
    """Refuses an evaluation of other images than there are records.

    Args:
        examples: The records, parsed.
        images: The counts of their evaluation.

    Raises:
        DataError: If one was not evaluated, or was evaluated twice.
    """
    there = sorted(
        (each["name"].numpy().decode(), each["drive"].numpy().decode())
        for each in examples
    )
    judged = sorted(zip(images.names, images.drives, strict=True))
    if there != judged:
        raise DataError(
            f"The evaluation: expected the {len(there)} images of the records, "
            f"each once. Found: {len(judged)}, others or fewer."
        )


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


def operations_fault(model: str) -> str:
    """Says which operation of a model does more than compute.

    Args:
        model: Folder of the SavedModel.

    Returns:
        A sentence, or nothing; a damaged model is the server's to judge.
    """
    try:
        check_operations(model)
    except OperationError as error:
        return f"it is not to be served ({error})"
    except ValueError:
        return ""
    return ""


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
        RuntimeError: If the process ended by something else than the model,
            such as a kill or a full disk: nothing is known, nothing is kept.
    """
    if not requests:
        return "there is no evaluated image to ask it about"
    with tempfile.TemporaryDirectory() as folder:
        asked = os.path.join(folder, "requests.tfrecord")
        answers = os.path.join(folder, "answers.npz")
        with tf.io.TFRecordWriter(asked) as writer:
            for each in requests:
                writer.write(each.encoded)
        done = subprocess.run(
            [sys.executable, PROBE, model, asked, answers],
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        if done.returncode < 0:
            said = f"killed by signal {-done.returncode}"
        if done.returncode == FAULT:
            return f"it cannot be served ({said})"
        if done.returncode:
            raise RuntimeError(
                f"The process that served {model} ended early, which says "
                f"nothing about the model: {said}. Run again to check it."
            )
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


@tfx.dsl.components.component
def ServingCheck(  # noqa: N802
    model: tfx.dsl.components.InputArtifact[standard_artifacts.Model],
    examples: tfx.dsl.components.InputArtifact[standard_artifacts.Examples],
    evaluation: tfx.dsl.components.InputArtifact[
        standard_artifacts.ModelEvaluation
    ],
    model_blessing: tfx.dsl.components.InputArtifact[
        standard_artifacts.ModelBlessing
    ],
    infra_blessing: tfx.dsl.components.OutputArtifact[
        standard_artifacts.InfraBlessing
    ],
    classes: tfx.dsl.components.Parameter[str],
    code: tfx.dsl.components.Parameter[str],
) -> None:
    """Serves a model that passed the gate, and blesses what it served.

    Args:
        model: The candidate.
        examples: The evaluated records.
        evaluation: What the Evaluator found.
        model_blessing: The gate's verdict; a refused model is not served.
        infra_blessing: The verdict and, if good, the model with requests to
            warm up with: the very files the Pusher pushes.
        classes: The class set as JSON.
        code: Digest of the code that checks, part of the key.
    """
    fault = "not served: the gate refused the model"
    if model_blessing.get_int_custom_property(IS_BLESSED):
        served = path_utils.stamped_model_path(infra_blessing.uri)
        io_utils.copy_dir(path_utils.serving_model_path(model.uri), served)
        records = artifact_utils.get_split_uri([examples], EVALUATED)
        verify(model_blessing, served, JUDGED)
        verify(model_blessing, records, ON)
        verify(evaluation, evaluation.uri)
        files = os.path.join(records, "*")
        images = read_evaluation(evaluation.uri).images
        refuse_missing(read_records(files, ""), images)
        requests = choose_requests(read_records(files, ""), images)
        write_warmup(requests, served)
        record(infra_blessing, served)
        record(infra_blessing, os.path.join(served, WARMUP), WARMED)
        fault = operations_fault(served) or serving_fault(
            served, requests, class_set(json.loads(classes))
        )
        infra_blessing.set_int_custom_property(HAS_MODEL, 1)
    infra_blessing.set_int_custom_property(IS_BLESSED, int(not fault))
    infra_blessing.set_string_custom_property(REASON, fault)
