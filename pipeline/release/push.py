"""The push: a version appears whole where a server looks, or not at all."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import tensorflow as tf
from google.protobuf import json_format
from tfx import v1 as tfx
from tfx.components.pusher.executor import Executor as PusherExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils
from tfx.types.standard_component_specs import (
    CUSTOM_CONFIG_KEY,
    INFRA_BLESSING_KEY,
    MODEL_BLESSING_KEY,
    PUSH_DESTINATION_KEY,
    PUSHED_MODEL_KEY,
)

from pipeline.gate.digests import WARMED, WARMUP, digest, verify
from pipeline.gate.evaluator import AGAINST, JUDGED, ON
from pipeline.release.decisions import withdrawals
from pipeline.release.model_files import move, versions
from pipeline.release.statement import is_stated, state
from wseg_tf.filesystems import folder_aside

# Of the push's `custom_config`: the file of the key that signs.
SIGNING_KEY = "signing_key"


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
        root = os.path.dirname(serving)
        name = os.path.basename(root)
        taken = [*there, *versions(os.path.join(root, "withdrawn"))]
        key = json.loads(exec_properties.get(CUSTOM_CONFIG_KEY) or "{}").get(
            SIGNING_KEY
        )
        judged = _judged(input_dict)
        if self.CheckBlessing(input_dict):
            # The files that were served, not others put in their place.
            served = artifact_utils.get_single_instance(
                input_dict[INFRA_BLESSING_KEY]
            )
            model = self.GetModelPath(input_dict)
            own = verify(served, model)
            asked = os.path.join(model, WARMUP)
            if tf.io.gfile.exists(asked):
                verify(served, asked, WARMED)
            if there:
                latest = os.path.join(serving, str(there[-1]))
                known = digest(os.path.join(latest, WARMUP))
                if (digest(latest), known) == (own, digest(asked)):
                    if not is_stated(latest, key):
                        state(latest, name, there[-1], judged, key)
                    self._MarkPushed(pushed, latest, str(there[-1]))
                    return
            if own in withdrawals(root):
                self._MarkNotPushed(pushed)
                return
        with folder_aside(serving) as unfinished:
            destination.filesystem.base_directory = unfinished
            text = json_format.MessageToJson(destination)
            given = {**exec_properties, PUSH_DESTINATION_KEY: text}
            super().Do(input_dict, output_dict, given)
            partial = pushed.get_string_custom_property("pushed_destination")
            if not partial:
                return
            # A number is given once: one that was withdrawn may come back.
            version = max(int(time.time()), *(each + 1 for each in taken), 1)
            state(partial, name, version, judged, key)
            tf.io.gfile.makedirs(serving)
            target = os.path.join(serving, str(version))
            move(partial, target)
        self._MarkPushed(pushed, target, str(version))


def _judged(given: dict[str, list[Any]]) -> dict[str, str]:
    """Returns the digests of what the gate judged."""
    blessing = artifact_utils.get_single_instance(given[MODEL_BLESSING_KEY])
    named = {"model": JUDGED, "baseline": AGAINST, "records": ON}
    found = {
        name: blessing.get_string_custom_property(key)
        for name, key in named.items()
    }
    return {name: digest for name, digest in found.items() if digest}


class Pusher(tfx.components.Pusher):
    """TFX's Pusher with `AtomicExecutor`."""

    EXECUTOR_SPEC = ExecutorClassSpec(AtomicExecutor)
