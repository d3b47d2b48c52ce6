"""What a run is: values alone, so that no figure is of something else.

Names, paths and dates are in no key: whoever moves the data or the results,
or gives a method another name, has the same run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import keras

from pipeline.experiments.frames import Frames, digest, layout_of
from pipeline.experiments.plan import Experiment, Method
from wseg_tf import configuration
from wseg_tf.classes import ClassSet
from wseg_tf.code import code_digest
from wseg_tf.decisions import LEAST_RISK
from wseg_tf.training.identity import identity
from wseg_tf.training.objectives import resolve
from wseg_tf.training.recipe import Recipe

# What decides the counts of a model, beside its weights and its decision.
SERVED = ("model", "channel_factor", "height", "width", "precision")
PICTURES = ("wseg_tf.plots",)
# Beside the names of evaluation sets.
TRAINING, ADAPTED = "what is trained on", "what is adapted to"


def frame_digests(plan: Experiment, frames: Frames) -> dict[str, str]:
    """Returns what tells each set of frames from others.

    Args:
        plan: The experiment.
        frames: What `find_frames` returned.

    Returns:
        Digests by the name of the evaluation set, of what is trained on under
        `TRAINING`, of what is adapted to under `ADAPTED`.

    Raises:
        DataError: If a file cannot be read.
    """
    found = {
        name: digest(pairs, layout_of(plan, name))
        for name, pairs in frames.reported.items()
    }
    found[TRAINING] = digest(frames.training, plan.data.layout)
    if plan.target is not None:
        found[ADAPTED] = digest(frames.target, plan.target.data.layout)
    return found


def weights_key(
    plan: Experiment,
    method: Method,
    recipe: Recipe,
    digests: Mapping[str, str],
) -> dict[str, Any]:
    """Returns everything that decides the weights of a training.

    Args:
        plan: The experiment.
        method: What is trained.
        recipe: Its recipe.
        digests: What `frame_digests` returned.

    Returns:
        Plain values: the recipe with D as numbers and the weights it starts
        from by content, the classes, the frames, the code, Keras' version.
    """
    key = identity(recipe, plan.data.class_set, digests[TRAINING])
    if method.adaptation:
        key["rounds"] = dataclasses.asdict(plan.rounds(method))
        key["target"] = digests[ADAPTED]
        key["code"] = code_digest(
            "wseg_tf.adaptation.rounds",
            "pipeline.adaptation.rounds",
            without=PICTURES,
        )
    return key


def counts_key(
    recipe: Recipe, classes: ClassSet, weights: str, frames: str
) -> dict[str, Any]:
    """Returns everything that decides the counts of one evaluation set.

    Args:
        recipe: The recipe of the model.
        classes: The class set.
        weights: The digest of its weights.
        frames: The digest of the evaluation set.

    Returns:
        Plain values.
    """
    decides = recipe.decision == LEAST_RISK
    return {
        **{name: getattr(recipe, name) for name in SERVED},
        "ground": resolve(recipe, classes).ground.matrix if decides else None,
        "weights": weights,
        "frames": frames,
        "classes": [*classes.names, classes.void],
        "code": code_digest(
            "wseg_tf.serving", "pipeline.gate.counting", without=PICTURES
        ),
        "keras": keras.__version__.partition(".")[0],
    }


def short(key: Mapping[str, Any]) -> str:
    """Returns twelve hexadecimal digits that change with a key.

    Args:
        key: Plain values.

    Example:

    >>> short({"a": 1, "b": 2}) == short({"b": 2, "a": 1})
    True
    """
    text = json.dumps(key, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def said(recipe: Recipe, classes: ClassSet, initial: str | None) -> str:
    """Returns a recipe as YAML that names no place.

    Args:
        recipe: The recipe.
        classes: The class set.
        initial: The digest of the weights it starts from.
    """
    if recipe.ground.file is not None:
        recipe = resolve(recipe, classes)
    return configuration.dump(dataclasses.replace(recipe, initial=initial))
