"""The training loop: stages in order, each from the weights of the last."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from wseg_tf import models
from wseg_tf.classes import ClassSet
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data import input
from wseg_tf.data.statistics import PixelStatistics
from wseg_tf.decisions import ground_of
from wseg_tf.models.finetuning import (
    freeze_batch_norm,
    freeze_encoder,
    own_multipliers,
    unfreeze,
)
from wseg_tf.training.board import Board
from wseg_tf.training.checkpoints import Checkpoints, restore, snapshot
from wseg_tf.training.fit import Judge, fit
from wseg_tf.training.history import History
from wseg_tf.training.identity import identity
from wseg_tf.training.objectives import (
    balance,
    build_loss,
    check,
    resolve,
)
from wseg_tf.training.observers import LogLines, Observer
from wseg_tf.training.optimizers import build_optimizer
from wseg_tf.training.precision import policy, scaled
from wseg_tf.training.recipe import Recipe, Stage, hyperparameters
from wseg_tf.training.selection import Selection
from wseg_tf.training.strategy import (
    check_batch,
    choose,
    missing_gpu,
    share,
    workers,
)
from wseg_tf.training.survey import Survey, examples_digest, survey
from wseg_tf.training.warm_start import start_from
from wseg_tf.training.warner import Warner

LOG = logging.getLogger(__name__)
HISTORY = "history.csv"
BOARD = "tensorboard"


def train(
    recipe: Recipe,
    classes: ClassSet,
    training: tf.data.Dataset,
    validation: tf.data.Dataset | None = None,
    *,
    checkpoints: str | None = None,
    logs: str | None = None,
    observers: Sequence[Observer] = (LogLines(),),
    counted: PixelStatistics | None = None,
) -> keras.Model:
    """Trains a model as a recipe says; goes on where it was killed.

    Args:
        recipe: The recipe.
        classes: The class set of the labels.
        training: Examples of `wseg_tf.data.input`, a finite data set; one pass
            is one epoch.
        validation: The same, to judge the model on while it trains. None by
            default: it is not judged.
        checkpoints: Folder of the checkpoints; a training that was killed goes
            on from the last one there. Nothing is kept by default.
        logs: Folder for `history.csv` and `tensorboard/`. None by default.
        observers: Who else looks on. Lines in the log by default.
        counted: Pixel statistics of `training`, from which class weights
            follow. Counted here by default.

    Returns:
        The trained Keras model, on one device.

    Raises:
        ConfigurationError: If the recipe does not fit the classes or the
            data, the weights to start from are another network's, or the
            checkpoints another training's: before anything is trained.
        DivergedError: If the loss or the weights become NaN or infinite.
        Interrupted: On Ctrl-C or SIGTERM, once a checkpoint is written.
    """
    execution = recipe.execution
    strategy = choose(execution.distribute)
    is_chief = workers(strategy)[1] == 0
    said = missing_gpu(execution.distribute, recipe.precision)
    if said is not None:
        LOG.warning("%s", said)
    ground = check(recipe, classes, is_judged=validation is not None)
    kept = None
    recipe = resolve(recipe, classes)
    try:
        check_batch(recipe.batch, strategy)
        surveyed = survey(training, classes, counted)
        check_size(recipe, surveyed)
        model = build_model(recipe, classes)
        for stage in recipe.stages:
            check_parts(model, stage)
        # Last: a folder is claimed by what can be trained.
        if checkpoints is not None:
            often = execution.checkpoint_steps
            kept = Checkpoints(checkpoints, often, is_chief)
            own = identity(recipe, classes, surveyed.digest)
            if recipe.select is not None and validation is not None:
                own["validation"] = examples_digest(validation)
            kept.claim(own)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    steps = _steps(recipe, surveyed, strategy)
    judge = None
    if validation is not None:
        size = (recipe.height, recipe.width)
        judge = Judge(
            input.evaluation_batches(validation, size, recipe.batch),
            classes,
            ground,
            recipe.evaluate_every,
            recipe.decision,
        )
    watching = [*observers, *([Warner(classes)] if is_chief else [])]
    if logs is not None and is_chief:
        watching += _writers(logs, recipe, classes, judge)
    history: list[dict[str, Any]] = []
    epochs_before = 0
    for place, stage in enumerate(recipe.stages):
        freeze(model, stage.freeze)
        weights = None
        if stage.balance != "none":
            weights = balance(surveyed.statistics, stage.balance)
        with strategy.scope():
            optimizer = build_optimizer(stage, steps, model)
            optimizer = scaled(optimizer, recipe.precision)
        selection = None
        if recipe.select is not None:
            selection = Selection(recipe.select, stage.patience)
        history = fit(
            model,
            _batches(recipe, classes, training, surveyed, epochs_before),
            build_loss(stage, ground, classes, weights),
            optimizer,
            epochs=stage.epochs,
            steps=steps,
            title=f"{stage.name} ({place + 1}/{len(recipe.stages)})",
            stage=place,
            judge=judge,
            selection=selection,
            checkpoints=kept,
            observers=watching,
            strategy=strategy,
            xla=execution.xla,
            history=history,
        )
        epochs_before += stage.epochs
    if strategy.num_replicas_in_sync > 1:
        return _on_one_device(model, recipe, classes)
    return model


def build_model(recipe: Recipe, classes: ClassSet) -> keras.Model:
    """Builds the network of a recipe, with the weights it starts from.

    Args:
        recipe: The recipe; its seed decides random weights.
        classes: The class set.

    Returns:
        A Keras model.

    Raises:
        ValueError: If the weights to start from are another network's.
    """
    if recipe.execution.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(recipe.seed)
    strategy = choose(recipe.execution.distribute)
    with strategy.scope(), policy(recipe.precision):
        model = _network(recipe, classes)
        if recipe.initial is not None:
            start_from(model, recipe.initial, classes)
    return model


def _on_one_device(
    model: keras.Model, recipe: Recipe, classes: ClassSet
) -> keras.Model:
    """Returns a copy that one worker can read and save without the others."""
    arrays = snapshot(model)
    with policy(recipe.precision):
        alone = _network(recipe, classes)
    restore(arrays, alone)
    return alone


def _network(recipe: Recipe, classes: ClassSet) -> keras.Model:
    options: dict[str, Any] = {}
    if recipe.channel_factor != 1.0:
        options["width"] = recipe.channel_factor
    return models.build(recipe.model, len(classes), **options)


def check_size(recipe: Recipe, surveyed: Survey) -> None:
    """Refuses a batch that the data cannot fill.

    Args:
        recipe: The recipe.
        surveyed: What was found of the training examples.

    Raises:
        ValueError: If the batch is larger than the data.
    """
    images = surveyed.statistics.images
    if recipe.batch > images:
        raise ValueError(
            "Invalid value for argument `batch`. Expected at most the "
            f"{images} training images. Received: batch={recipe.batch}."
        )


def freeze(model: keras.Model, parts: Sequence[str]) -> None:
    """Makes parts of a network untrainable, and all others trainable.

    Args:
        model: A model from `wseg_tf.models.build`.
        parts: Some of `"encoder"` and `"batch_norm"`. A network without batch
            normalisation has nothing that could change: it is taken as it is.

    Raises:
        ValueError: If the network has no encoder to freeze.
    """
    unfreeze(model)
    if "encoder" in parts and not freeze_encoder(model):
        raise ValueError(
            "Invalid value for argument `freeze`. Expected parts that the "
            f"network has. Received: 'encoder', of which {model.name} has "
            "none."
        )
    if "batch_norm" in parts:
        freeze_batch_norm(model)


def check_parts(model: keras.Model, stage: Stage) -> None:
    """Refuses a stage that names parts which its network does not have.

    Args:
        model: The network.
        stage: The stage; the model is frozen as it says.

    Raises:
        ValueError: If what it freezes or multiplies fits nothing.
    """
    freeze(model, stage.freeze)
    own_multipliers(model, stage.multipliers)


def _steps(
    recipe: Recipe, surveyed: Survey, strategy: tf.distribute.Strategy
) -> int:
    """Returns the steps of an epoch; replicas leave a smaller last batch."""
    several = strategy.num_replicas_in_sync > 1
    return input.steps(surveyed.statistics.images, recipe.batch, several)


def _batches(
    recipe: Recipe,
    classes: ClassSet,
    training: tf.data.Dataset,
    surveyed: Survey,
    epochs_before: int,
) -> Callable[[int, int], Iterable[Any]]:
    strategy = choose(recipe.execution.distribute)
    several = strategy.num_replicas_in_sync > 1
    images = surveyed.statistics.images

    def from_epoch(epoch: int, skipped: int) -> Iterable[Any]:
        def prepared(batch: int, shard: tuple[int, int]) -> tf.data.Dataset:
            return input.training_batches(
                training,
                (recipe.height, recipe.width),
                batch,
                classes.void,
                crop=recipe.crop,
                augmentation=recipe.augmentation,
                seed=recipe.seed,
                first_epoch=epochs_before + epoch,
                count=images,
                drop_remainder=several,
                shard=shard,
            )

        steps = _steps(recipe, surveyed, strategy)
        return share(strategy, prepared, recipe.batch, steps, skipped)

    return from_epoch


def _writers(
    logs: str, recipe: Recipe, classes: ClassSet, judge: Judge | None
) -> list[Observer]:
    samples = None if judge is None else judge.batches
    if workers(choose(recipe.execution.distribute))[0] > 1:
        # Reading batch normalisation takes all workers; this is the first.
        samples = None
    return [
        History(os.path.join(logs, HISTORY), classes),
        Board(
            os.path.join(logs, BOARD),
            classes,
            samples,
            recipe.execution.overlays_every,
            None if judge is None else ground_of(judge.decision, judge.ground),
            hyperparameters(recipe),
        ),
    ]
