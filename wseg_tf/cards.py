"""The card of an exported model: what it says of itself, and of which files.

The graph knows no names: that its third channel is a pedestrian is said by the
card alone. So a card is of one graph and one set of weights, by their digest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from wseg_tf import saved_models
from wseg_tf.classes import ClassSet, class_set
from wseg_tf.file_digests import file_digests
from wseg_tf.filesystems import write_whole
from wseg_tf.ground import GroundMatrix
from wseg_tf.json_files import read_json

# Beside a SavedModel, where serving leaves files alone.
CARD = os.path.join("assets.extra", "wseg_tf.json")
# Of the card and what it speaks of; cards of earlier versions have none.
DIGEST = "sha256"
_SPOKEN_OF = ("saved_model.pb", "variables", "assets")


class CardError(ValueError):
    """A model that is not the one its card was written for."""


def write_card(folder: str, card: Mapping[str, Any]) -> None:
    """Writes what a SavedModel says of itself; its files must be there.

    Args:
        folder: The SavedModel.
        card: Plain values: `classes`, `ground`, and whatever else.
    """
    content = {**card, DIGEST: _digest(folder, card)}
    write_whole(os.path.join(folder, CARD), json.dumps(content))


def read_card(folder: str) -> tuple[ClassSet, GroundMatrix | None]:
    """Returns what an exported model says of itself, its classes and D.

    Args:
        folder: The SavedModel.

    Raises:
        ValueError: If it says nothing, is damaged or another's, or card,
            graph or weights were changed since they were written.
    """
    card = whole_card(folder)
    return card["classes"], card["ground"]


def model_digest(folder: str) -> str | None:
    """Returns what tells an exported model, its card included, from others.

    Args:
        folder: The SavedModel.

    Returns:
        SHA-256, hexadecimal; None for a model of an earlier version.

    Raises:
        ValueError: As `read_card` raises it.
    """
    found: str | None = whole_card(folder).get(DIGEST)
    return found


def whole_card(folder: str) -> dict[str, Any]:
    """Returns all that a model says of itself, with its classes and D.

    Args:
        folder: The SavedModel.

    Raises:
        ValueError: As `read_card` raises it.
    """
    try:
        card: dict[str, Any] = read_json(
            os.path.join(folder, CARD), dict[str, Any]
        )
        noted = card.get(DIGEST)
        found = None if noted is None else _digest(folder, card)
        if noted != found:
            raise CardError(
                f"Invalid model {folder}. Expected the graph, the weights and "
                f"the card that were exported together (sha256 "
                f"{str(noted)[:12]}). Received: others (sha256 "
                f"{str(found)[:12]}); somebody changed one."
            )
        card["classes"] = class_set(card["classes"])
        if card["ground"] is not None:
            card["ground"] = GroundMatrix(**card["ground"])
        return card
    except CardError:
        raise
    # What is raised differs with what is missing, damaged or another's.
    except Exception as error:
        raise ValueError(
            "Invalid model. Expected the folder of a SavedModel that wseg_tf "
            f"exported. Received: {folder}{saved_models.held_in(folder)}."
        ) from error


def _digest(folder: str, card: Mapping[str, Any]) -> str:
    said = {name: value for name, value in card.items() if name != DIGEST}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, own in file_digests(folder).items():
        if name.partition(os.sep)[0] in _SPOKEN_OF:
            digest.update(f"{name}\0{own}\n".encode())
    return digest.hexdigest()
