"""The training loop: stages in order, each from the weights of the last."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from wseg_tf import metrics, models
from wseg_tf.classes import ClassSet
from wseg_tf.data import input
from wseg_tf.data.records import decode
from wseg_tf.data.statistics import PixelStatistics
from wseg_tf.training.evaluation import count_confusion
from wseg_tf.training.objectives import balance, build_ground, build_loss
from wseg_tf.training.recipe import Recipe, Stage

LOG = logging.getLogger(__name__)


def train(
    recipe: Recipe,
    classes: ClassSet,
    training: tf.data.Dataset,
    validation: tf.data.Dataset | None = None,
) -> keras.Model:
    """Trains a model as a recipe says.

    Args:
        recipe: The recipe.
        classes: The class set of the labels.
        training: Examples of `wseg_tf.data.input`, a finite data set; one pass
            is one epoch.
        validation: The same, for the figures shown while it trains; none by
            default.

    Returns:
        The trained Keras model.

    Raises:
        ValueError: If the ground matrix does not fit the class set, or there
            is no example.
    """
    ground = build_ground(recipe.ground, classes)
    keras.utils.set_random_seed(recipe.seed)
    model = _build_model(recipe, classes)
    size = (recipe.height, recipe.width)
    statistics = count_labels(training, classes)
    count = statistics.images
    steps = input.steps(count, recipe.batch)
    judge = None
    if validation is not None:
        judge = input.evaluation_batches(validation, size, recipe.batch)
    epochs_done = 0
    for position, stage in enumerate(recipe.stages, start=1):
        title = f"{stage.name} ({position}/{len(recipe.stages)})"
        LOG.info("%s: %s for %d epochs", title, stage.loss, stage.epochs)
        optimizer = build_optimizer(stage, steps)
        # Built now, or Keras would trace the whole step twice.
        optimizer.build(model.trainable_variables)
        weights = None
        if stage.balance != "none":
            weights = balance(statistics, stage.balance)
        model.compile(optimizer, build_loss(stage, ground, classes, weights))
        model.fit(
            input.training_batches(
                training,
                size,
                recipe.batch,
                classes.void,
                augmentation=recipe.augmentation,
                seed=recipe.seed,
                first_epoch=epochs_done,
                count=count,
            ),
            epochs=stage.epochs,
            verbose=0,
            callbacks=[_report(title, stage, model, judge, classes)],
        )
        epochs_done += stage.epochs
    return model


def _build_model(recipe: Recipe, classes: ClassSet) -> keras.Model:
    keras.mixed_precision.set_global_policy(recipe.precision)
    try:
        return models.build(recipe.model, len(classes))
    finally:
        keras.mixed_precision.set_global_policy("float32")


def count_labels(
    examples: tf.data.Dataset, classes: ClassSet
) -> PixelStatistics:
    """Counts the examples and the pixels of their classes.

    Args:
        examples: Examples of `wseg_tf.data.input`, a finite data set.
        classes: The class set of the labels.

    Returns:
        Exact statistics.

    Raises:
        ValueError: If there is no example.
    """
    bins = len(classes) + 1

    def count(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        _, label = decode(example)
        # Whatever is no class is void.
        label = tf.minimum(tf.cast(label, tf.int32), len(classes))
        counts = tf.math.bincount(label, minlength=bins, dtype=tf.int64)
        return counts, tf.shape(label)

    statistics = PixelStatistics.empty(len(classes))
    for counts, size in examples.map(count, tf.data.AUTOTUNE):
        height, width = size.numpy().tolist()
        statistics += PixelStatistics.of_frame(counts.numpy(), (height, width))
    if statistics.images == 0:
        raise ValueError(
            "Invalid value for argument `training`. Expected at least one "
            "example. Received: none."
        )
    return statistics


def build_optimizer(stage: Stage, steps: int) -> keras.optimizers.Optimizer:
    """Returns AdamW under the stage's schedule.

    Args:
        stage: The stage.
        steps: Batches of one epoch.

    Returns:
        A Keras optimiser.
    """
    return keras.optimizers.AdamW(
        learning_rate=_schedule(stage, stage.epochs * steps),
        weight_decay=stage.weight_decay,
    )


def _schedule(stage: Stage, steps: int) -> Any:
    if stage.schedule == "poly":
        return keras.optimizers.schedules.PolynomialDecay(
            stage.learning_rate, steps, end_learning_rate=0.0, power=0.9
        )
    if stage.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            stage.learning_rate, steps
        )
    return stage.learning_rate


def _report(
    title: str,
    stage: Stage,
    model: keras.Model,
    validation: tf.data.Dataset | None,
    classes: ClassSet,
) -> keras.callbacks.Callback:
    started = time.monotonic()

    def after_epoch(epoch: int, logs: dict[str, float]) -> None:
        figures = [f"loss {logs['loss']:.4f}"]
        last = epoch + 1 == stage.epochs
        if validation is not None and (last or epoch % 4 == 3):
            counts = count_confusion(model, validation, classes)
            found = metrics.summary(counts, classes)
            for name, key in (
                ("mIoU", "mean_iou"),
                ("critical", "critical_iou"),
            ):
                value = found[key]
                figures.append(
                    f"{name} {math.nan if value is None else value:.3f}"
                )
        LOG.info(
            "%s: epoch %d/%d, %s, %.0f s",
            title,
            epoch + 1,
            stage.epochs,
            ", ".join(figures),
            time.monotonic() - started,
        )

    report: Callable[[int, dict[str, float]], None] = after_epoch
    return keras.callbacks.LambdaCallback(on_epoch_end=report)
