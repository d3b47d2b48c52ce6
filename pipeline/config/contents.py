"""From words and paths to values: what a run depends on, kept by content.

A file that a configuration names may change while a run goes on, or before the
next one. So what decides a run is copied below its root, under a name that
changes with the content, or becomes numbers in the configuration itself.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TypeVar

import tensorflow as tf

from pipeline.config.adaptation_config import DOMAINS, AdaptationConfig
from pipeline.config.loading import parts
from pipeline.config.pipeline_config import PipelineConfig, RunConfig
from wseg_tf import configuration
from wseg_tf.configuration import ConfigurationError
from wseg_tf.filesystems import keep, whole_file
from wseg_tf.training.objectives import resolve
from wseg_tf.training.recipe import BLESSED, Recipe
from wseg_tf.training.warm_start import (
    newest_version,
    weight_files,
    weights_digest,
)

SCHEMA = "schema.pbtxt"

AnyConfig = TypeVar("AnyConfig", PipelineConfig, AdaptationConfig)


def resolved(config: AnyConfig) -> AnyConfig:
    """Returns a configuration whose words and paths have become values.

    D is numbers, the classes are themselves, the schema and the weights to
    start from are copies that nobody edits.

    Args:
        config: What `load` returned.

    Returns:
        The same, by value; its text tells one run from another.

    Raises:
        ConfigurationError: If a file is not there, or does not fit.
    """
    classes = parts(config)[-1].data.class_set
    try:
        training = _resolved_recipe(config, resolve(config.training, classes))
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    found = dataclasses.replace(
        config,
        training=training,
        schema=_kept(config, "schema", schema_file(config)),
    )
    if isinstance(found, AdaptationConfig):
        own = {
            domain: dataclasses.replace(
                getattr(config, domain),
                classes=getattr(config, domain).data.class_set.as_dict(),
            )
            for domain in DOMAINS
        }
        return dataclasses.replace(found, **own)
    data = dataclasses.replace(found.data, classes=classes.as_dict())
    if data.drift_reference is not None:
        name = "data.drift_reference"
        data.drift_reference = _kept(config, name, data.drift_reference)
    return dataclasses.replace(found, data=data)


def schema_file(config: RunConfig) -> str:
    """Returns the file of the schema that records are held to.

    Args:
        config: The configuration.
    """
    return config.schema or os.path.join(os.path.dirname(__file__), SCHEMA)


def keep_config(config: RunConfig) -> str:
    """Writes a configuration where every step finds it, by content.

    Args:
        config: The configuration.

    Returns:
        The path.
    """
    text = configuration.dump(config)
    return keep(config.folder("configs"), "config.yaml", text)


def _resolved_recipe(config: RunConfig, recipe: Recipe) -> Recipe:
    initial = recipe.initial
    if initial is None or initial == BLESSED:
        return recipe
    folder = config.folder("start", weights_digest(initial))
    files = weight_files(initial)
    if files == [initial]:
        target = os.path.join(folder, os.path.basename(initial))
        copies = {initial: target}
    else:  # An exported model: its variables, and what makes it one.
        source, target = newest_version(initial), os.path.join(folder, "model")
        copies = {
            file: os.path.join(target, os.path.relpath(file, source))
            for file in [*files, os.path.join(source, "saved_model.pb")]
        }
    if not _holds(target, os.path.basename(folder)):
        for file, copy in copies.items():
            with whole_file(copy) as place:
                tf.io.gfile.copy(file, place, overwrite=True)
    return dataclasses.replace(recipe, initial=target)


def _holds(path: str, digest: str) -> bool:
    """Whether weights are there, and those of a digest."""
    try:
        return weights_digest(path) == digest
    except (ValueError, tf.errors.NotFoundError):
        return False


def _reason(error: tf.errors.OpError | UnicodeDecodeError) -> str:
    if isinstance(error, tf.errors.NotFoundError):
        return "no such file"
    if isinstance(error, UnicodeDecodeError):
        return "it is no text"
    message: str = error.message
    return message.partition("\n")[0]


def _kept(config: RunConfig, argument: str, path: str) -> str:
    """Copies a text that a field names below the root, by content."""
    try:
        with tf.io.gfile.GFile(path) as file:
            text: str = file.read()
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"Invalid value for argument `{argument}`. Expected a text file, "
            f"or none. Received: {path} ({_reason(error)})."
        ) from error
    name = argument.rpartition(".")[2]
    ending = os.path.splitext(path)[1]
    return keep(config.folder(name), f"{name}{ending}", text)
