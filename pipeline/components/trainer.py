"""The TFX Trainer's entry point: the recipe over the ingested records."""

from __future__ import annotations

from typing import Any

from wseg_tf import configuration
from wseg_tf.classes import class_set
from wseg_tf.data.input import read_records
from wseg_tf.serving import export
from wseg_tf.training.loop import train
from wseg_tf.training.objectives import build_ground
from wseg_tf.training.recipe import Recipe


def run_fn(arguments: Any) -> None:
    """Trains and exports a model; TFX's Trainer calls it.

    Args:
        arguments: TFX's `FnArgs`; `custom_config` holds `recipe` (YAML) and
            `classes` (name of the class set).
    """
    custom = arguments.custom_config
    recipe = configuration.load(Recipe, custom["recipe"], "the recipe")
    classes = class_set(custom["classes"])
    model = train(
        recipe,
        classes,
        read_records(arguments.train_files, compression=""),
        read_records(arguments.eval_files, compression=""),
    )
    export(
        model,
        arguments.serving_model_dir,
        classes,
        recipe.height,
        recipe.width,
        build_ground(recipe.ground, classes),
    )
