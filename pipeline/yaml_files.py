"""Reads the text of a configuration, or says in a sentence why it cannot."""

from __future__ import annotations

import tensorflow as tf

from wseg_tf.configuration import ConfigurationError


def read_yaml(path: str) -> str:
    """Returns the text of a YAML file.

    Args:
        path: A file; remote paths TensorFlow can read are allowed.

    Returns:
        The text, not parsed.

    Raises:
        ConfigurationError: If it cannot be read, or is no text.
    """
    try:
        with tf.io.gfile.GFile(path) as file:
            text: str = file.read()
            return text
    except tf.errors.NotFoundError:
        reason = "no such file"
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        reason = type(error).__name__
    raise ConfigurationError(
        "Invalid configuration file. Expected a YAML file. Received: "
        f"{path} ({reason})."
    )
