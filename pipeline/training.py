"""The TFX Trainer's entry point: the recipe over the ingested records."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from typing import Any

import tensorflow as tf
from tfx import v1 as tfx
from tfx.components.trainer.executor import GenericExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import artifact_utils
from tfx.types.standard_component_specs import (
    BASE_MODEL_KEY,
    EXAMPLES_KEY,
    MODEL_KEY,
    MODEL_RUN_KEY,
)
from tfx.utils import path_utils

from pipeline.gate.digests import record, verify
from pipeline.ingest import pixel_counts
from pipeline.ingest.verifying import verify_records
from pipeline.machines import hand_over, note_machine
from wseg_tf import configuration
from wseg_tf.classes import ClassSet, class_set
from wseg_tf.code import code_digest, foreign_digest
from wseg_tf.data.checks import DataError
from wseg_tf.data.damage import naming_damage
from wseg_tf.data.input import read_records
from wseg_tf.serving import export
from wseg_tf.training.checkpoints import Checkpoints
from wseg_tf.training.identity import identity
from wseg_tf.training.loop import train
from wseg_tf.training.objectives import build_ground
from wseg_tf.training.recipe import BLESSED, Recipe
from wseg_tf.training.strategy import choose, workers
from wseg_tf.training.warm_start import weights_digest

LOG = logging.getLogger("wseg_tf.training")

# Key of the Trainer's `custom_config`.
SETTINGS = "settings"
# What is drawn, or noted beside it, decides no weight.
PICTURES = ("wseg_tf.plots", "pipeline.machines")


def training_settings(
    recipe: Recipe, classes: ClassSet, checkpoints: str
) -> str:
    """Returns what the Trainer is told, all of it by value, as JSON.

    Args:
        recipe: The recipe, with D as numbers.
        classes: The class set.
        checkpoints: Folder below which trainings keep their checkpoints; not
            of one execution, so that the next one goes on.

    Returns:
        A text; other code that decides weights gives another one.
    """
    return json.dumps(
        {
            "recipe": configuration.dump(recipe),
            "classes": classes.as_dict(),
            "checkpoints": checkpoints,
            "code": _code(recipe),
            "start": _start_digest(recipe),
        }
    )


def _code(recipe: Recipe) -> str:
    """Returns the digest of the code that trains, a user's network too."""
    own = code_digest("pipeline.training", without=PICTURES)
    module, is_own, _ = recipe.model.partition(":")
    return f"{own} {foreign_digest(module)}" if is_own else own


def _start_digest(recipe: Recipe) -> str:
    """Returns the digest of the weights to start from, if they are a file."""
    if recipe.initial in (None, BLESSED):
        return ""
    return weights_digest(recipe.initial)


def run_fn(arguments: Any) -> None:
    """Trains and exports a model; TFX's Trainer calls it.

    An execution that was killed left its checkpoints, and the next one of the
    same recipe, data and code goes on from them.

    Args:
        arguments: TFX's `FnArgs`; `custom_config` names the file of
            `training_settings`.
    """
    custom = json.loads(
        configuration.kept_text(arguments.custom_config[SETTINGS])
    )
    recipe = configuration.load(Recipe, custom["recipe"], "the recipe")
    if recipe.initial == BLESSED:
        recipe = dataclasses.replace(recipe, initial=_start(arguments))
    elif _start_digest(recipe) != custom["start"]:
        raise DataError(
            f"{recipe.initial}: expected the weights that the run was to "
            f"start from (sha256 {custom['start']}). Found: others; run again "
            "to copy them anew."
        )
    classes = class_set(custom["classes"])
    strategy = choose(recipe.execution.distribute)
    folder = os.path.join(
        custom["checkpoints"],
        _key(recipe, classes, custom["code"], arguments.train_files),
    )
    with naming_damage([*arguments.train_files, *arguments.eval_files]):
        if workers(strategy)[1] == 0:
            note_machine(folder)
        model = train(
            recipe,
            classes,
            read_records(arguments.train_files, compression=""),
            read_records(arguments.eval_files, compression=""),
            checkpoints=folder,
            logs=arguments.model_run_dir,
            # What ingest counted; by hand only where they are not its own.
            counted=pixel_counts.of_records(arguments.train_files),
        )
    if workers(strategy)[1] > 0:
        return  # The first worker writes the model.
    export(
        model,
        arguments.serving_model_dir,
        classes,
        recipe.height,
        recipe.width,
        build_ground(recipe.ground, classes),
        recipe.decision,
        recipe.max_pixels,
        recipe.views,
    )
    hand_over(folder, arguments.model_run_dir)
    Checkpoints(folder).remove()


def _start(arguments: Any) -> str | None:
    """Returns the blessed model to start from, if there is one."""
    model: str | None = arguments.base_model
    if model is None:
        return None
    if tf.io.gfile.exists(os.path.join(model, "saved_model.pb")):
        return model
    LOG.info("%s is gone (moved or deleted): weights start at random.", model)
    return None


def _key(recipe: Recipe, classes: ClassSet, code: str, files: list[str]) -> str:
    """Returns the name of a training: its recipe, records and code."""
    own = identity(recipe, classes, code) | {"files": sorted(files)}
    text = json.dumps(own, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class RecordingExecutor(GenericExecutor):
    """TFX's, but it reads what was written, and says what it wrote."""

    def Do(self, input_dict, output_dict, exec_properties):  # type: ignore[no-untyped-def]  # noqa: N802
        """Verifies records and start; notes the digests of what is new."""
        for examples in input_dict.get(EXAMPLES_KEY) or []:
            verify_records(examples)
        for start in input_dict.get(BASE_MODEL_KEY) or []:
            folder = path_utils.serving_model_path(start.uri)
            if tf.io.gfile.exists(folder):
                verify(start, folder)
        super().Do(input_dict, output_dict, exec_properties)
        model = artifact_utils.get_single_instance(output_dict[MODEL_KEY])
        record(model, path_utils.serving_model_path(model.uri))
        for run in output_dict.get(MODEL_RUN_KEY) or []:
            record(run, run.uri)


class Trainer(tfx.components.Trainer):
    """TFX's Trainer with `RecordingExecutor`."""

    EXECUTOR_SPEC = ExecutorClassSpec(RecordingExecutor)
