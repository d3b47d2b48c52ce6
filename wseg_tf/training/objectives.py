"""From a recipe's words to the ground matrix and the loss they name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from wseg_tf import losses
from wseg_tf.classes import ClassSet
from wseg_tf.configuration import ConfigurationError
from wseg_tf.data.statistics import PixelStatistics, Weights, class_weights
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics.table import check_score
from wseg_tf.models.registry import check_network
from wseg_tf.training.optimizers import check_optimizer
from wseg_tf.training.recipe import GroundOptions, Recipe, Stage


def build_ground(options: GroundOptions, classes: ClassSet) -> GroundMatrix:
    """Returns the mapped ground matrix f(D) of a recipe.

    Args:
        options: The recipe's words.
        classes: The class set; a matrix from a file is reordered to it.

    Returns:
        The matrix, with the class set's names.

    Raises:
        ValueError: If a file holds no ground matrix, or one of other classes,
            a factor names none of the classes, or there is not one severity
            for each importance group.
    """
    return _mapped(_scaled(_predefined(options, classes), options), options)


def check(
    recipe: Recipe, classes: ClassSet, is_judged: bool = True
) -> GroundMatrix:
    """Refuses a recipe whose training could not start.

    Args:
        recipe: The recipe.
        classes: The class set of the labels.
        is_judged: Whether there are data to judge on, as `select` needs.

    Returns:
        The mapped ground matrix.

    Raises:
        ConfigurationError: If the network or the metric is unknown, the
            ground matrix does not fit the classes, or this version of Keras
            lacks an optimiser.
    """
    try:
        check_network(recipe.model, len(classes))
        for stage in recipe.stages:
            check_optimizer(stage)
        if recipe.select is not None:
            check_score(recipe.select, classes, "select")
            if not is_judged:
                raise ValueError(
                    "Invalid value for argument `select`. Expected none "
                    "without validation data. Received: "
                    f"select={recipe.select!r}."
                )
        return build_ground(recipe.ground, classes)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def resolve(recipe: Recipe, classes: ClassSet) -> Recipe:
    """Returns a recipe whose ground matrix is its numbers, not its words.

    So a file that changes afterwards, or a preset, changes nothing any more,
    and the recipe's text tells one D from another.

    Args:
        recipe: The recipe.
        classes: The class set; the numbers are in its order.

    Raises:
        ValueError: As `build_ground` raises it.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> words = Recipe(ground=GroundOptions(map="step"))
    >>> resolve(words, CAMVID).ground.matrix[0][:3]
    [0.0, 1.0, 1.0]
    """
    ground = build_ground(recipe.ground, classes)
    numbers = GroundOptions(matrix=ground.values.tolist())
    return dataclasses.replace(recipe, ground=numbers)


def _predefined(options: GroundOptions, classes: ClassSet) -> GroundMatrix:
    if options.matrix is not None:
        if len(options.matrix) != len(classes):
            raise ValueError(
                "Invalid value for argument `ground.matrix`. Expected "
                f"{len(classes)} rows, the classes of `{classes.name}`. "
                f"Received: {len(options.matrix)}."
            )
        return GroundMatrix(options.matrix, classes)
    if options.file is not None:
        return _from_file(options.file, classes)
    severities = _severities(options, classes)
    if options.preset == "importance_aware":
        return GroundMatrix.importance_aware(classes, severities)
    return GroundMatrix.severity_aware(classes, severities, options.within)


def _severities(
    options: GroundOptions, classes: ClassSet
) -> dict[int, float] | None:
    if not options.severities:
        return None  # The group's number.
    levels = classes.levels
    if len(options.severities) != len(levels):
        raise ValueError(
            "Invalid value for argument `ground.severities`. Expected a cost "
            f"for each importance group of `{classes.name}`, {[*levels]}, or "
            f"none at all. Received: {[*options.severities]}."
        )
    return dict(zip(levels, options.severities, strict=True))


def _from_file(path: str, classes: ClassSet) -> GroundMatrix:
    read = (
        GroundMatrix.from_csv
        if path.endswith(".csv")
        else GroundMatrix.from_yaml
    )
    try:
        ground = read(path)
    except OSError as error:
        raise ValueError(
            "Invalid value for argument `ground.file`. Expected a ground "
            f"matrix in YAML or CSV. Received: {path} ({error.strerror})."
        ) from error
    if len(ground) != len(classes):
        raise ValueError(
            f"Invalid ground matrix {path}. Expected {len(classes)} classes, "
            f"those of `{classes.name}`. Received: {len(ground)}."
        )
    try:
        return GroundMatrix.of(ground, classes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _scaled(ground: GroundMatrix, options: GroundOptions) -> GroundMatrix:
    if not options.factors:
        return ground
    names = list(ground.classes or ())
    if unknown := sorted(set(options.factors) - set(names)):
        raise ValueError(
            "Invalid value for argument `ground.factors`. Expected some of "
            f"{names}. Received: {unknown}."
        )
    factors = [options.factors.get(name, 1.0) for name in names]
    scaled = ground.values * np.array(factors)[:, None]
    return GroundMatrix(scaled, ground.classes)


def _mapped(ground: GroundMatrix, options: GroundOptions) -> GroundMatrix:
    if options.map == "power":
        return ground.power(options.exponent)
    if options.map == "huber":
        return ground.huber(options.tau)
    return ground.step() if options.map == "step" else ground.linear()


def balance(statistics: PixelStatistics, weighting: str) -> Weights:
    """Returns class weights whose mean over the labelled pixels is 1.

    So a balanced loss has the size of an unbalanced one, and learning rates
    carry over.

    Args:
        statistics: Of the training labels.
        weighting: One of `wseg_tf.data.statistics.WEIGHTINGS`.

    Returns:
        Weights `[N]`; 0 for a class without a pixel.

    Example:

    >>> frame = PixelStatistics.of_frame([60, 30, 10, 5], size=(7, 15))
    >>> balance(frame, "median_frequency").round(3).tolist()
    [0.556, 1.111, 3.333]
    """
    weights = class_weights(statistics, weighting)
    pixels = statistics.pixels[:-1]
    balanced: Weights = weights * (pixels.sum() / (weights @ pixels))
    return balanced


def build_loss(
    stage: Stage,
    ground: GroundMatrix,
    classes: ClassSet,
    weights: Weights | None = None,
) -> keras.losses.Loss:
    """Returns the loss of a stage, over logits, blind to void.

    Args:
        stage: The stage.
        ground: The mapped ground matrix of the recipe.
        classes: The class set.
        weights: What `balance` returned; every class weighs 1 by default.

    Returns:
        A Keras loss.
    """
    if weights is None:
        weights = np.ones(len(classes))
    ground = GroundMatrix.of(ground, classes)
    # D[true, predicted]: a row is what its class costs, so it takes the weight.
    ground = GroundMatrix(ground.values * weights[:, None], ground.classes)
    # What losing a pixel of a class costs at most.
    importance = ground.values.max(axis=1).tolist()
    by_class = weights.tolist()
    options: dict[str, Any] = {
        "from_logits": True,
        "ignore_class": classes.void,
    }

    def cross_entropy() -> keras.losses.Loss:
        return losses.CrossEntropyLoss(by_class, **options)

    def wasserstein() -> keras.losses.Loss:
        return losses.WassersteinLoss(ground, link=stage.link, **options)

    def weighted_lovasz() -> keras.losses.Loss:
        return losses.LovaszSoftmaxLoss(importance, **options)

    def mixture() -> keras.losses.Loss:
        terms = ((1.0, cross_entropy()), (stage.weight, wasserstein()))
        return losses.MixtureLoss(terms)

    builders: Mapping[str, Callable[[], keras.losses.Loss]] = {
        "cross_entropy": cross_entropy,
        "weighted_cross_entropy": lambda: losses.CrossEntropyLoss(
            importance, **options
        ),
        "focal": lambda: losses.FocalLoss(class_weights=by_class, **options),
        "importance_aware": lambda: losses.ImportanceAwareLoss(
            classes, by_class, **options
        ),
        "wasserstein_dice": lambda: losses.WassersteinDiceLoss(
            ground, **options
        ),
        "lovasz": lambda: losses.LovaszSoftmaxLoss(by_class, **options),
        "weighted_lovasz": weighted_lovasz,
        "lovasz_mixture": lambda: losses.MixtureLoss(
            ((1.0, weighted_lovasz()), (stage.weight, wasserstein()))
        ),
        "wasserstein": wasserstein,
        "mixture": mixture,
    }
    return builders[stage.loss]()
