"""An early word where a critical class is never predicted."""

from __future__ import annotations

import logging

from wseg_tf.classes import ClassSet
from wseg_tf.training.observers import Epoch, Observer

LOG = logging.getLogger(__name__)
EVALUATIONS = 3


class Warner(Observer):
    """Warns of critical classes that a training gives up.

    A class is given up that is there, and for three evaluations in a row is
    predicted for no pixel at all; it is told of once, until it comes back.
    Stages are counted through; a training that goes on counts anew.

    Args:
        classes: The class set.
    """

    def __init__(self, classes: ClassSet) -> None:
        self.classes = classes
        self._blind = dict.fromkeys(classes.critical, 0)

    def epoch(self, epoch: Epoch) -> None:
        """Says which classes are given up, in a sentence."""
        if epoch.counts is None:
            return
        for name in self._blind:
            place = self.classes.index(name)
            is_there = epoch.counts[place].any()
            is_blind = is_there and not epoch.counts[:, place].any()
            self._blind[name] = self._blind[name] + 1 if is_blind else 0
        given_up = [
            n for n, times in self._blind.items() if times == EVALUATIONS
        ]
        if given_up:
            LOG.warning(
                "Careful: in %d evaluations in a row no pixel was taken for "
                "%s; `balance`, a larger cost in `ground` or more epochs of "
                "cross-entropy first may bring it back.",
                EVALUATIONS,
                " or ".join(given_up),
            )
