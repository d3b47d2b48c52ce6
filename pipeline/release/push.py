"""The serving check and the push, as TFX components."""

# TFX reads the annotations of components as they stand: none may be a string.

import os
import time

import tensorflow as tf
from google.protobuf import json_format
from tfx import v1 as tfx
from tfx.components.pusher.executor import Executor as PusherExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.standard_component_specs import (
    PUSH_DESTINATION_KEY,
    PUSHED_MODEL_KEY,
)
from tfx.utils import io_utils, path_utils

from pipeline.gate.evaluation import read_evaluation
from pipeline.release.model_files import digest, move, versions
from pipeline.release.serving_check import (
    choose_requests,
    serving_fault,
    write_warmup,
)
from wseg_tf.classes import class_set
from wseg_tf.data.input import read_records

# What TFX's Pusher reads: its own InfraValidator, which needs a model server
# in a container, writes the same.
BLESSED = "blessed"
HAS_MODEL = "has_model"
REASON = "reason"


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
) -> None:
    """Serves a model that passed the gate, and blesses what it served.

    Args:
        model: The candidate.
        examples: The evaluated records.
        evaluation: What the Evaluator found.
        model_blessing: The gate's verdict; a refused model is not served.
        infra_blessing: The verdict and, if good, the model with requests to
            warm up with: the very files the Pusher pushes.
        classes: Name of the class set.
    """
    fault = "not served: the gate refused the model"
    if model_blessing.get_int_custom_property(BLESSED):
        served = path_utils.stamped_model_path(infra_blessing.uri)
        io_utils.copy_dir(path_utils.serving_model_path(model.uri), served)
        requests = choose_requests(
            read_records(os.path.join(examples.uri, "Split-eval", "*"), ""),
            read_evaluation(evaluation.uri).images,
        )
        write_warmup(requests, served)
        fault = serving_fault(served, requests, class_set(classes))
        infra_blessing.set_int_custom_property(HAS_MODEL, 1)
    infra_blessing.set_int_custom_property(BLESSED, int(not fault))
    infra_blessing.set_string_custom_property(REASON, fault)


class AtomicExecutor(PusherExecutor):
    """TFX's Pusher, but a version appears whole, once, or not at all.

    TFX copies file by file into the folder that a server watches, names
    versions by the second and skips one that exists, and pushes a model again
    when it is blessed again.
    """

    def Do(self, input_dict, output_dict, exec_properties):  # type: ignore[no-untyped-def]  # noqa: N802
        """Pushes beside the serving folder, then renames."""
        destination = pusher_pb2.PushDestination()
        json_format.Parse(exec_properties[PUSH_DESTINATION_KEY], destination)
        serving = destination.filesystem.base_directory.rstrip("/")
        pushed = artifact_utils.get_single_instance(
            output_dict[PUSHED_MODEL_KEY]
        )
        there = versions(serving)
        if self.CheckBlessing(input_dict) and there:
            latest = os.path.join(serving, str(there[-1]))
            if digest(latest) == digest(self.GetModelPath(input_dict)):
                self._MarkPushed(pushed, latest, str(there[-1]))
                return
        unfinished = f"{serving}.unfinished"
        if tf.io.gfile.exists(unfinished):  # Of a push that was killed.
            tf.io.gfile.rmtree(unfinished)
        destination.filesystem.base_directory = unfinished
        super().Do(
            input_dict,
            output_dict,
            {
                **exec_properties,
                PUSH_DESTINATION_KEY: json_format.MessageToJson(destination),
            },
        )
        partial = pushed.get_string_custom_property("pushed_destination")
        if not partial:
            return
        version = max(int(time.time()), *(each + 1 for each in there), 1)
        tf.io.gfile.makedirs(serving)
        move(partial, os.path.join(serving, str(version)))
        if tf.io.gfile.exists(unfinished):  # An object store has no folders.
            tf.io.gfile.rmtree(unfinished)
        self._MarkPushed(
            pushed, os.path.join(serving, str(version)), str(version)
        )


class Pusher(tfx.components.Pusher):
    """TFX's Pusher with `AtomicExecutor`."""

    EXECUTOR_SPEC = ExecutorClassSpec(AtomicExecutor)
