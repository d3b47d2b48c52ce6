"""Rounds of self-training: label the target, train on both domains."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
import yaml

from wseg_tf import configuration
from wseg_tf.adaptation.batches import mixed_batches, round_steps
from wseg_tf.adaptation.labelling import SPLIT, Summary, label_target
from wseg_tf.adaptation.objectives import RegularisedLoss
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.adaptation.target import find_files, read_images, survey_images
from wseg_tf.classes import ClassSet
from wseg_tf.configuration import ConfigurationError
from wseg_tf.training.checkpoints import Checkpoints
from wseg_tf.training.fit import Judge, fit
from wseg_tf.training.identity import identity
from wseg_tf.training.loop import check_parts
from wseg_tf.training.objectives import balance, build_ground, build_loss
from wseg_tf.training.observers import LogLines, Observer
from wseg_tf.training.optimizers import build_optimizer, check_optimizer
from wseg_tf.training.precision import scaled
from wseg_tf.training.recipe import Recipe
from wseg_tf.training.strategy import check_batch, choose
from wseg_tf.training.survey import Survey, survey
from wseg_tf.training.warm_start import model_digest


def adapt(
    model: keras.Model,
    recipe: Recipe,
    options: SelfTraining,
    classes: ClassSet,
    source: tf.data.Dataset,
    target: str | Sequence[str],
    folder: str,
    *,
    compression: str = "",
    judge: Judge | None = None,
    observers: Sequence[Observer] = (LogLines(),),
) -> list[Summary]:
    """Adapts a model to a target without labels; goes on where it was killed.

    Args:
        model: A model trained on the source; it is changed in place.
        recipe: Size, batch, seed, ground matrix, augmentation, precision and
            execution; its stages are not used.
        options: How the target is labelled and trained on.
        classes: The class set.
        source: Examples of `wseg_tf.data.input`.
        target: Record files of the target, or patterns; what they hold of
            labels is not read.
        folder: Where labels and checkpoints are kept: `round-1`, ...
        compression: Of the target's files.
        judge: What the model is judged on while it trains; it chooses
            nothing. Not at all by default.
        observers: Who else looks on. Lines in the log by default.

    Returns:
        What the labels of each round are.

    Raises:
        ConfigurationError: If the options do not fit the data, or the folder
            is of another adaptation: of other options, data or weights.
        DivergedError: If the loss or the weights become NaN or infinite.
        Interrupted: On Ctrl-C or SIGTERM, once a checkpoint is written.
    """
    files = find_files(target)
    surveyed = survey(source, classes)
    images = survey_images(read_images(files, compression))
    kept = Checkpoints(
        os.path.join(folder, "checkpoints"), recipe.execution.checkpoint_steps
    )
    try:
        own = round_identity(recipe, options, classes, surveyed.digest)
        own |= {"start": model_digest(model), "target": images.digest}
        kept.claim(own)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    summaries = []
    history: list[dict[str, Any]] = []
    for number in range(options.rounds):
        labels = os.path.join(folder, f"round-{number + 1}")
        summary = label_target(
            model,
            files,
            labels,
            options,
            classes,
            (recipe.height, recipe.width),
            number=number,
            batch=recipe.batch,
            compression=compression,
        )
        history = train_round(
            model,
            recipe,
            options,
            classes,
            source,
            surveyed,
            find_files(os.path.join(labels, SPLIT, "*")),
            summary,
            checkpoints=kept,
            stage=number,
            judge=judge,
            observers=observers,
            history=history,
        )
        summaries.append(summary)
    return summaries


def train_round(
    model: keras.Model,
    recipe: Recipe,
    options: SelfTraining,
    classes: ClassSet,
    source: tf.data.Dataset,
    surveyed: Survey,
    labelled: Sequence[str],
    summary: Summary,
    *,
    checkpoints: Checkpoints | None = None,
    stage: int = 0,
    judge: Judge | None = None,
    observers: Sequence[Observer] = (LogLines(),),
    history: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Trains a model on the source and one round's pseudo-labels.

    Args:
        model: The model that labelled; it is changed in place.
        recipe: See `adapt`.
        options: The options.
        classes: The class set.
        source: Examples of `wseg_tf.data.input`.
        surveyed: What `survey` found of them.
        labelled: Record files of the round's pseudo-labels.
        summary: What they are.
        checkpoints: Where the training is kept. Nowhere by default.
        stage: Its place among those that share the checkpoints.
        judge: See `adapt`.
        observers: See `adapt`.
        history: Lines of the rounds before.

    Returns:
        The history, with a line for each epoch.

    Raises:
        ConfigurationError: If the options do not fit the data.
        DivergedError: If the loss or the weights become NaN or infinite.
        Interrupted: On Ctrl-C or SIGTERM, once a checkpoint is written.
    """
    strategy = choose(recipe.execution.distribute)
    own = options.stage
    check_round(recipe, options, surveyed, summary)
    weights = None
    if own.balance != "none":
        weights = balance(surveyed.statistics, own.balance)
    ground = build_ground(recipe.ground, classes)
    loss = build_loss(own, ground, classes, weights)
    if options.method == "mrkld":
        loss = RegularisedLoss(loss, options.uniformity)
    check_parts(model, own)
    steps = round_steps(recipe, options, summary.images)
    with strategy.scope():
        optimizer = scaled(build_optimizer(own, steps, model), recipe.precision)
    return fit(
        model,
        mixed_batches(
            recipe,
            options,
            classes,
            source,
            surveyed.statistics.images,
            labelled,
            summary,
            epochs_before=(summary.round - 1) * own.epochs,
        ),
        loss,
        optimizer,
        epochs=own.epochs,
        steps=steps,
        title=f"{own.name} {summary.round} of {options.rounds}",
        stage=stage,
        judge=judge,
        checkpoints=checkpoints,
        observers=observers,
        strategy=strategy,
        xla=recipe.execution.xla,
        history=history,
    )


def check_round(
    recipe: Recipe, options: SelfTraining, surveyed: Survey, summary: Summary
) -> None:
    """Refuses a round that could not be trained.

    Args:
        recipe: The recipe.
        options: The options.
        surveyed: What was found of the source.
        summary: What the pseudo-labels are.

    Raises:
        ConfigurationError: If a batch cannot be filled, nothing was labelled,
            or this version of Keras lacks the optimiser.
    """
    try:
        check_batch(recipe.batch, choose(recipe.execution.distribute))
        check_optimizer(options.stage)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    images = {
        "source": surveyed.statistics.images,
        "target": summary.images,
    }
    for domain, number in images.items():
        if recipe.batch > number:
            raise ConfigurationError(
                "Invalid value for argument `batch`. Expected at most the "
                f"{number} images of the {domain}. Received: "
                f"batch={recipe.batch}."
            )
    if not any(summary.kept):
        raise ConfigurationError(
            "Invalid value for argument `portion`. Expected one that labels "
            f"a pixel. Received: portion={summary.portion:g} in round "
            f"{summary.round}, which labels none."
        )


def round_identity(
    recipe: Recipe, options: SelfTraining, classes: ClassSet, data: str
) -> dict[str, Any]:
    """Returns everything that must be the same for a round to go on.

    Args:
        recipe: The recipe.
        options: The options.
        classes: The class set.
        data: What changes with the data.

    Returns:
        Plain values.
    """
    return {
        **identity(recipe, classes, data),
        "self_training": yaml.safe_load(configuration.dump(options)),
    }
