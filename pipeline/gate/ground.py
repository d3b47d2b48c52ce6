"""The ground matrix that the expected severity of a judged model is by."""

from __future__ import annotations

import os
from typing import Any

from wseg_tf import configuration
from wseg_tf.classes import ClassSet
from wseg_tf.configuration import ConfigurationError
from wseg_tf.filesystems import is_remote
from wseg_tf.ground import GroundMatrix
from wseg_tf.training.objectives import build_ground
from wseg_tf.training.recipe import GroundOptions


def find_ground(
    path: str | None,
    own: GroundMatrix | None,
    rules: str,
    classes: ClassSet,
) -> GroundMatrix:
    """Returns D: of a file, of the model, or of the rules' configuration.

    Args:
        path: A YAML or CSV matrix, or None.
        own: What the model was exported with, or None.
        rules: The file of the gate; a whole configuration says its D.
        classes: The class set; a matrix with names is reordered to it.

    Raises:
        ConfigurationError: If there is none, or it does not fit the classes.
    """
    if path is None and own is not None:
        return own.subset(classes) if own.classes else own
    options: Any = GroundOptions(file=path)
    if path is None:
        values = configuration.parse(configuration.text_of(rules), rules)
        training = values.get("training")
        if "gate" not in values or not isinstance(training, dict):
            raise ConfigurationError(
                "Invalid value for argument `--ground`. Expected a ground "
                "matrix, by which the expected severity is measured, since "
                f"neither the model nor {rules} has one. Received: none."
            )
        words = {**(training.get("ground") or {})}
        file = words.get("file")
        if isinstance(file, str) and not is_remote(file):
            # Of the folder of the rules, as in a run.
            words["file"] = os.path.join(os.path.dirname(rules), file)
        options = configuration.fill(GroundOptions, words, rules)
    try:
        return build_ground(options, classes)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
