"""From a recipe's words to the ground matrix and the loss they name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from wseg_tf import losses
from wseg_tf.classes import ClassSet
from wseg_tf.ground import GroundMatrix
from wseg_tf.training.recipe import GroundOptions, Stage


def build_ground(options: GroundOptions, classes: ClassSet) -> GroundMatrix:
    """Returns the mapped ground matrix f(D) of a recipe.

    Args:
        options: The recipe's words.
        classes: The class set; a matrix from a file is reordered to it.

    Returns:
        The matrix, with the class set's names.

    Raises:
        ValueError: If a file holds no ground matrix, or one of other classes.
    """
    return _mapped(_predefined(options, classes), options)


def _predefined(options: GroundOptions, classes: ClassSet) -> GroundMatrix:
    if options.file is not None:
        return _from_file(options.file, classes)
    severities = dict(enumerate(options.severities, start=1))
    if options.preset == "importance_aware":
        return GroundMatrix.importance_aware(classes, severities)
    return GroundMatrix.severity_aware(classes, severities, options.within)


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
    if ground.classes is None:
        return GroundMatrix(ground.values, classes)
    unknown = sorted(set(ground.classes) ^ set(classes.names))
    if unknown:
        raise ValueError(
            f"Invalid ground matrix {path}. Expected the classes of "
            f"`{classes.name}`. Received others or lacks some: {unknown}."
        )
    return ground.subset(classes)


def _mapped(ground: GroundMatrix, options: GroundOptions) -> GroundMatrix:
    if options.map == "power":
        return ground.power(options.exponent)
    if options.map == "huber":
        return ground.huber(options.tau)
    return ground.step() if options.map == "step" else ground.linear()


def build_loss(
    stage: Stage, ground: GroundMatrix, classes: ClassSet
) -> keras.losses.Loss:
    """Returns the loss of a stage, over logits, blind to void.

    Args:
        stage: The stage.
        ground: The mapped ground matrix of the recipe.
        classes: The class set.

    Returns:
        A Keras loss.
    """
    options: dict[str, Any] = {
        "from_logits": True,
        "ignore_class": classes.void,
    }
    # What losing a class costs at most weighs its cross-entropy.
    weights = ground.values.max(axis=1).tolist()

    def wasserstein() -> keras.losses.Loss:
        return losses.WassersteinLoss(ground, link=stage.link, **options)

    def mixture() -> keras.losses.Loss:
        terms = (
            (1.0, losses.CrossEntropyLoss(**options)),
            (stage.weight, wasserstein()),
        )
        return losses.MixtureLoss(terms)

    builders: Mapping[str, Callable[[], keras.losses.Loss]] = {
        "cross_entropy": lambda: losses.CrossEntropyLoss(**options),
        "weighted_cross_entropy": lambda: losses.CrossEntropyLoss(
            weights, **options
        ),
        "focal": lambda: losses.FocalLoss(**options),
        "importance_aware": lambda: losses.ImportanceAwareLoss(
            classes, **options
        ),
        "wasserstein_dice": lambda: losses.WassersteinDiceLoss(
            ground, **options
        ),
        "wasserstein": wasserstein,
        "mixture": mixture,
    }
    return builders[stage.loss]()
