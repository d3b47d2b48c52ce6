"""Comparisons whose trainings take no time: one convolution, never trained."""

from __future__ import annotations

import dataclasses
import os
import time
from typing import Any

import keras
import tensorflow as tf

from pipeline.experiments import run
from wseg_tf.classes import ClassSet
from wseg_tf.training.recipe import Recipe


def build(recipe: Recipe, classes: ClassSet) -> keras.Model:
    """Returns the convolution, with the weights that the recipe names."""
    keras.utils.set_random_seed(recipe.seed)
    image = keras.Input([None, None, 3])
    logits = keras.layers.Conv2D(len(classes), 1, name="head")(
        keras.layers.Rescaling(1 / 255)(image)
    )
    model = keras.Model(image, logits)
    if recipe.initial is not None:
        model.load_weights(recipe.initial)
    return model


def train(
    recipe: Recipe, classes: ClassSet, training: Any, **folders: Any
) -> keras.Model:
    """Returns the convolution of the recipe's seed; focal takes a minute."""
    tf.io.gfile.makedirs(folders["checkpoints"])
    if recipe.stages[0].loss == "focal" and "SLOW" in os.environ:
        time.sleep(60)
    return build(dataclasses.replace(recipe, initial=None), classes)


def main() -> None:
    """Runs `wseg` with it."""
    from pipeline.cli import main as wseg

    run.build_model, run.train = build, train
    wseg()


if __name__ == "__main__":
    main()
