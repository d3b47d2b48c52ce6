"""What makes a training this one: its recipe, its data and its code."""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path
from typing import Any

import keras
import yaml

import wseg_tf
from wseg_tf import configuration
from wseg_tf.classes import ClassSet
from wseg_tf.training.recipe import Recipe

# What is drawn afterwards decides no weight.
LEFT_OUT = ("plots",)


def identity(recipe: Recipe, classes: ClassSet, data: str) -> dict[str, Any]:
    """Returns everything that must be the same for a training to go on.

    Args:
        recipe: The recipe; how it is executed does not count.
        classes: The class set of the labels.
        data: What changes with the training data, e.g. `Survey.digest`.

    Returns:
        Plain values.

    Example:

    >>> from wseg_tf.classes import CAMVID
    >>> identity(Recipe(batch=4), CAMVID, "5f2a")["recipe"]["batch"]
    4
    """
    chosen = yaml.safe_load(configuration.dump(recipe))
    del chosen["execution"]
    return {
        "recipe": chosen,
        "classes": {
            "names": [*classes.names],
            "groups": [*classes.groups],
            "void": classes.void,
        },
        "data": data,
        "keras": keras.__version__.partition(".")[0],
    }


@functools.cache
def code_digest() -> str:
    """Returns a text that changes with the code that decides a training.

    Comments, docstrings and layout do not count.

    Returns:
        Sixteen hexadecimal digits.

    Example:

    >>> len(code_digest())
    16
    """
    root = Path(wseg_tf.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        if place.parts[0] not in LEFT_OUT:
            digest.update(str(place).encode())
            digest.update(meaning(path.read_text()).encode())
    return digest.hexdigest()[:16]


def meaning(source: str) -> str:
    """Returns what a module says to Python, as text.

    Args:
        source: Python source.

    Example:

    >>> meaning("x = 1  # One.") == meaning("x  =  1")
    True
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body[:] = body[1:] or [ast.Pass()]
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
