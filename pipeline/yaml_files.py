"""Reads the text of a configuration, or says in a sentence why it cannot."""

from __future__ import annotations

import tensorflow as tf

from wseg_tf.configuration import ConfigurationError
from wseg_tf.filesystems import prepare


def open_remote(*texts: str) -> None:
    """Makes TensorFlow open the remote paths in some texts.

    Args:
        texts: Paths, or texts with paths in them.

    Raises:
        ConfigurationError: If the package it takes is not installed.
    """
    try:
        prepare(*texts)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def read_yaml(path: str) -> str:
    """Returns the text of a YAML file.

    Args:
        path: A file; remote paths TensorFlow can read are allowed.

    Returns:
        The text, not parsed.

    Raises:
        ConfigurationError: If it cannot be read, or is no text.
    """
    open_remote(path)
    try:
        with tf.io.gfile.GFile(path) as file:
            text: str = file.read()
        # What it names is opened next.
        open_remote(text)
        return text
    except tf.errors.NotFoundError:
        reason = "no such file"
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        reason = type(error).__name__
    raise ConfigurationError(
        "Invalid configuration file. Expected a YAML file. Received: "
        f"{path} ({reason})."
    )
