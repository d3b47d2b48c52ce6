"""What is said of a critical class that a training gives up."""

import logging
from typing import Any

import keras
import numpy as np
import pytest

from wseg_tf.classes import ClassSet, class_set
from wseg_tf.training.observers import Epoch, Plan
from wseg_tf.training.warner import Warner

CLASSES = class_set(
    {
        "classes": [
            {"name": "road", "group": 1},
            {"name": "rider", "group": 2},
            {"name": "dog", "group": 2},
        ]
    }
)
PLAN = Plan("one", "loss", 9, 1, 0, 0, [])
FINE = [[9, 0, 0], [0, 3, 0], [0, 0, 3]]
# No pixel is taken for a rider, though some are there.
BLIND = [[9, 0, 0], [3, 0, 0], [0, 0, 3]]
# Riders are found where none are: another fault.
WRONG = [[8, 1, 0], [3, 0, 0], [0, 0, 3]]
# Nobody is there to be found.
EMPTY = [[9, 0, 0], [0, 0, 0], [0, 0, 3]]
BOTH = [[9, 0, 0], [3, 0, 0], [3, 0, 0]]


def told(
    caplog: pytest.LogCaptureFixture, *counts: Any, classes: ClassSet = CLASSES
) -> list[int]:
    """After which epochs, from 0, something was said."""
    warner, found = Warner(classes), []
    for number, each in enumerate(counts):
        caplog.clear()
        matrix = None if each is None else np.array(each)
        row: dict[str, Any] = {}
        model = keras.Sequential()
        warner.epoch(Epoch(PLAN, number, row, [], matrix, model, False))
        if caplog.messages:
            [line] = caplog.messages
            assert "\n" not in line
            assert caplog.records[0].levelno == logging.WARNING
            found.append(number)
    return found


def test_three_blind_evaluations_in_a_row_are_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert told(caplog, BLIND, BLIND) == []
    assert told(caplog, BLIND, BLIND, BLIND, BLIND, BLIND) == [2]
    assert told(caplog, BLIND, BLIND, FINE, BLIND, BLIND) == []
    again = [BLIND] * 3 + [FINE] + [BLIND] * 3
    assert told(caplog, *again) == [2, 6]
    # Epochs without an evaluation do not count, and break no row.
    assert told(caplog, BLIND, None, BLIND, None, BLIND) == [4]


def test_what_is_predicted_wrongly_or_not_there_is_not_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert told(caplog, WRONG, WRONG, WRONG) == []
    assert told(caplog, EMPTY, EMPTY, EMPTY) == []
    assert told(caplog, BLIND, EMPTY, BLIND, BLIND) == []


def test_several_classes_are_one_sentence_and_others_are_not_watched(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert told(caplog, BOTH, BOTH, BOTH) == [2]
    plain = class_set(["road", "rider", "dog"])
    assert told(caplog, BOTH, BOTH, BOTH, classes=plain) == []
    warner = Warner(CLASSES)
    caplog.clear()
    for _ in range(3):
        model = keras.Sequential()
        warner.epoch(Epoch(PLAN, 1, {}, [], np.array(BOTH), model, False))
    [line] = caplog.messages
    assert "3 evaluations" in line
    assert "rider or dog" in line
