"""What makes a training this one: its recipe, its data and its code."""

from __future__ import annotations

from typing import Any

import keras
import yaml

from wseg_tf import code, configuration
from wseg_tf.classes import ClassSet
from wseg_tf.training.objectives import resolve
from wseg_tf.training.recipe import Recipe
from wseg_tf.training.warm_start import weights_digest


def identity(recipe: Recipe, classes: ClassSet, data: str) -> dict[str, Any]:
    """Returns everything that must be the same for a training to go on.

    All of it by value: D as numbers, the weights to start from by their
    content.

    Args:
        recipe: The recipe; how it is executed does not count.
        classes: The class set of the labels.
        data: What changes with the training data, e.g. `Survey.digest`.

    Returns:
        Plain values; the code that decides a training is among them.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> identity(Recipe(batch=4), CAMVID, "5f2a")["recipe"]["batch"]
    4
    """
    chosen = yaml.safe_load(configuration.dump(resolve(recipe, classes)))
    del chosen["execution"]
    if ":" in recipe.model:
        module = recipe.model.partition(":")[0]
        chosen["model"] += f" {code.foreign_digest(module)}"
    if recipe.initial is not None:
        # Weights are what they hold, wherever they lie.
        chosen["initial"] = weights_digest(recipe.initial)
    meant: dict[str, Any] = {
        "names": [*classes.names],
        "groups": [*classes.groups],
        "void": classes.void,
    }
    if recipe.select is not None:  # Perhaps a score of theirs.
        meant["critical"] = [*classes.critical]
    return {
        "recipe": chosen,
        "classes": meant,
        "data": data,
        "code": code_digest(),
        "keras": keras.__version__.partition(".")[0],
    }


def code_digest() -> str:
    """Returns a text that changes with the code that decides a training.

    Example:

    >>> len(code_digest())
    16
    """
    # What is drawn while it trains decides no weight.
    return code.code_digest("wseg_tf.training.loop", without=("wseg_tf.plots",))
