"""Who looks on while a model is fitted: logs, files, progress bars."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from wseg_tf.metrics.confusion import Counts

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What is about to run.

    Args:
        title: Name of the stage, for people.
        loss: Name of the loss.
        epochs: Epochs in all.
        steps: Steps of an epoch.
        epoch: Epochs that were done before, by an earlier run.
        step: Steps of the next epoch that were done before.
        rows: The history so far.
    """

    title: str
    loss: str
    epochs: int
    steps: int
    epoch: int
    step: int
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Epoch:
    """An epoch that has ended.

    Args:
        plan: What runs.
        number: The epoch, from 1.
        row: Its line in the history: stage, epoch, loss, metrics, ...
        rows: The history so far, this line included.
        counts: Confusion count `[N, N]`; None if it was not evaluated.
        model: The model, with the weights that were evaluated.
        is_best: Whether it is the best of the stage so far.
    """

    plan: Plan
    number: int
    row: Mapping[str, Any]
    rows: list[dict[str, Any]]
    counts: Counts | None
    model: keras.Model
    is_best: bool


class Observer:
    """Does nothing; subclasses override what they want to see."""

    def begin(self, plan: Plan) -> None:
        """Called before the first step of a stage."""

    def step(self, number: int, loss: float) -> None:
        """Called after each step.

        Args:
            number: The step in its epoch, from 1.
            loss: The batch's loss.
        """

    def epoch(self, epoch: Epoch) -> None:
        """Called after each epoch and its evaluation."""

    def end(self) -> None:
        """Called when the stage is over, whatever ended it."""


class LogLines(Observer):
    """Says each epoch in a line of the log."""

    def begin(self, plan: Plan) -> None:
        """Says what begins, or where it goes on."""
        if plan.epoch or plan.step:
            LOG.info(
                "%s: going on after epoch %d, step %d",
                plan.title,
                plan.epoch,
                plan.step,
            )
        else:
            LOG.info("%s: %s for %d epochs", plan.title, plan.loss, plan.epochs)

    def epoch(self, epoch: Epoch) -> None:
        """Says the epoch's figures."""
        figures = describe_row(epoch.row)
        if epoch.is_best:
            figures += ", the best so far"
        LOG.info(
            "%s: epoch %d/%d, %s, %.0f s",
            epoch.plan.title,
            epoch.number,
            epoch.plan.epochs,
            figures,
            epoch.row["seconds"],
        )


def describe_row(row: Mapping[str, Any]) -> str:
    """Returns the figures of an epoch that people watch.

    Args:
        row: A line of the history.

    Example:

    >>> describe_row({"loss": 0.25, "mean_iou": 0.5, "critical_iou": None})
    'loss 0.2500, mIoU 0.500, critical nan'
    """
    figures = [f"loss {row['loss']:.4f}"]
    for caption, name in (("mIoU", "mean_iou"), ("critical", "critical_iou")):
        if name in row:
            value = float("nan") if row[name] is None else row[name]
            figures.append(f"{caption} {value:.3f}")
    return ", ".join(figures)
