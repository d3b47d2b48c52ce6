"""Fits one model to given batches, and can be killed at any step.

What every training of this package is made of: a recipe's stages, a round of
self-training, a variant of an experiment.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import tensorflow as tf

from wseg_tf.classes import ClassSet
from wseg_tf.decisions import LIKELIEST, ground_of
from wseg_tf.ground import GroundMatrix
from wseg_tf.metrics import summary
from wseg_tf.metrics.confusion import Counts
from wseg_tf.metrics.table import check_score
from wseg_tf.training import guard
from wseg_tf.training.batch_norm import renew_statistics
from wseg_tf.training.checkpoints import (
    Checkpoints,
    Progress,
    restore,
    snapshot,
)
from wseg_tf.training.evaluation import counter
from wseg_tf.training.interruption import Interrupted, Requests, watched
from wseg_tf.training.observers import Epoch, LogLines, Observer, Plan
from wseg_tf.training.optimizers import (
    assign_average,
    averaged_weights,
    has_average,
    is_snapshot_average,
    learning_rate,
    prepare,
)
from wseg_tf.training.selection import Selection
from wseg_tf.training.step import Step, compile_step

LOG = logging.getLogger(__name__)

Batches = Callable[[int, int], Iterable[Any]]


@dataclass(frozen=True)
class Judge:
    """How a model is judged while it is fitted.

    Args:
        batches: Images and class ids to evaluate on.
        classes: The class set.
        ground: The ground matrix, for the expected severity.
        every: Epochs between two evaluations; the last is always evaluated.
        decision: How the model decides, one of `wseg_tf.decisions.DECISIONS`.
    """

    batches: tf.data.Dataset
    classes: ClassSet
    ground: GroundMatrix | None = None
    every: int = 1
    decision: str = LIKELIEST


def fit(
    model: keras.Model,
    batches: Batches,
    loss: keras.losses.Loss,
    optimizer: Any,
    *,
    epochs: int,
    steps: int,
    title: str = "train",
    stage: int = 0,
    judge: Judge | None = None,
    selection: Selection | None = None,
    checkpoints: Checkpoints | None = None,
    observers: Sequence[Observer] = (LogLines(),),
    strategy: tf.distribute.Strategy | None = None,
    xla: bool | str = False,
    history: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Fits a model to batches; goes on from the last checkpoint, if any.

    On one device, in float32 and with deterministic operations, a fit that was
    killed and called again ends with the weights of one that was not, bit for
    bit, if `batches` gives the same batches again.

    Args:
        model: Maps images `[B, H, W, 3]` to logits `[B, H, W, N]`; it is
            changed in place. It need not be compiled.
        batches: Given an epoch, from 0, and a step of it, returns tuples of
            images and labels (class ids or distributions) whose first pass is
            that epoch from that step on. If the step is 0, each further pass is
            the next epoch.
        loss: A loss of this package, over logits.
        optimizer: What `build_optimizer` returns, or any optimiser of Keras;
            see `precision.scaled` for float16.
        epochs: Epochs in all.
        steps: Steps of an epoch.
        title: Name of the fit, for people and the history.
        stage: Its place among the fits that share the checkpoints, from 0. A
            fit that an earlier run has finished is left out: where the next
            one has not begun, the model gets the weights it ended with.
        judge: What it is evaluated on. Defaults to None: not at all.
        selection: The metric that chooses the weights the fit ends with, and
            the patience; from the second stage on, the weights that it begins
            with are one of the choices. Defaults to None: the last weights,
            averaged if the optimiser averages.
        checkpoints: Where it is kept. Defaults to None: nowhere.
        observers: Who looks on. Defaults to lines in the log.
        strategy: Where the model's variables were made. Defaults to one
            device.
        xla: Whether XLA compiles the step; `"auto"`: if there is a GPU.
        history: Lines of the fits before.

    Returns:
        The history: `history` and a line for each epoch.

    Raises:
        ValueError: If a selection has no judge, or its metric is unknown.
        DivergedError: If the loss or the weights become NaN or infinite.
        Interrupted: On Ctrl-C or SIGTERM, once a checkpoint is written.

    Example:

    >>> from wseg_tf import CAMVID, WassersteinLoss, GroundMatrix
    >>> image, label = tf.zeros([4, 8, 8, 3]), tf.ones([4, 8, 8], tf.int32)
    >>> data = tf.data.Dataset.from_tensor_slices((image, label)).batch(2)
    >>> model = keras.Sequential([keras.layers.Conv2D(11, 1)])
    >>> model.build([None, None, None, 3])
    >>> loss = WassersteinLoss(GroundMatrix.severity_aware(CAMVID), True, 11)
    >>> history = fit(
    ...     model, lambda epoch, step: data.skip(step), loss,
    ...     keras.optimizers.SGD(0.1), epochs=2, steps=2)
    >>> [(line["epoch"], line["steps"]) for line in history]
    [(1, 2), (2, 4)]
    """
    if selection is not None and judge is None:
        raise ValueError(
            "Invalid value for argument `judge`. Expected data to evaluate "
            f"`{selection.metric}` on. Received: judge=None."
        )
    if selection is not None and judge is not None:
        check_score(selection.metric, judge.classes, "selection.metric")
    strategy = strategy or tf.distribute.get_strategy()
    found = None if checkpoints is None else checkpoints.latest()
    if found is not None and found.progress.stage > stage:
        return list(found.progress.rows)
    with strategy.scope():
        prepare(optimizer, model.trainable_variables)
    progress = Progress(stage, rows=[dict(line) for line in history])
    if found is not None and found.progress.stage == stage:
        progress = found.progress
        # What has finished needs no optimiser any more.
        own = None if progress.done else optimizer
        restore(found.arrays, model, own, with_random=True)
        if selection is not None and progress.selection:
            selection = Selection(**progress.selection)
    running = _Fit(
        model=model,
        loss=loss,
        optimizer=optimizer,
        plan=Plan(
            title,
            loss.name,
            epochs,
            steps,
            progress.epoch,
            progress.step,
            progress.rows,
        ),
        progress=progress,
        judge=judge,
        selection=selection,
        checkpoints=checkpoints,
        observers=tuple(observers),
        batches=batches,
    )
    if progress.done:
        with running.observed():  # They look on from other folders, perhaps.
            return progress.rows
    with watched() as requests, running.observed():
        if stage > 0 and running.steps_done == 0:
            running.judge_start()
        step: Step | None = None
        data: Iterable[Any] | None = None
        while not running.finished:
            partial = progress.step > 0
            if data is None:
                data = batches(progress.epoch, progress.step)
            if step is None:
                signature = None
                if strategy.num_replicas_in_sync == 1:
                    signature = getattr(data, "element_spec", None)
                step = compile_step(
                    model, loss, optimizer, strategy, signature, xla
                )
            running.run_epoch(data, step, requests)
            running.end_epoch()
            running.stop_if_asked(requests)
            data = None if partial else data
        running.end_stage()
    return progress.rows


class _Fit:
    """What `fit` is made of, around one progress."""

    def __init__(
        self,
        model: keras.Model,
        loss: keras.losses.Loss,
        optimizer: Any,
        plan: Plan,
        progress: Progress,
        judge: Judge | None,
        selection: Selection | None,
        checkpoints: Checkpoints | None,
        observers: tuple[Observer, ...],
        batches: Batches,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.plan = plan
        self.progress = progress
        self.judge = judge
        self.selection = selection
        self.checkpoints = checkpoints
        self.observers = observers
        self.batches = batches
        self._started = time.monotonic() - progress.seconds
        self._best: dict[str, Any] | None = None
        self._count: Callable[..., tuple[Counts, float]] | None = None
        if judge is not None:
            decides_by = ground_of(judge.decision, judge.ground)
            self._count = counter(model, judge.classes, decides_by, loss)

    @property
    def finished(self) -> bool:
        stopped = self.selection is not None and self.selection.exhausted
        return self.progress.epoch >= self.plan.epochs or stopped

    @property
    def steps_done(self) -> int:
        return self.progress.epoch * self.plan.steps + self.progress.step

    @contextlib.contextmanager
    def observed(self) -> Iterator[None]:
        for observer in self.observers:
            observer.begin(self.plan)
        try:
            yield
        finally:
            for observer in self.observers:
                observer.end()

    def judge_start(self) -> None:
        """Makes the weights that the stage begins with the first choice."""
        if self._count is None or self.judge is None or self.selection is None:
            return
        counts, _ = self._count(self.judge.batches)
        row = summary(counts, self.judge.classes, self.judge.ground)
        if row[self.selection.metric] is not None:
            self.selection.better(row, 0)
            self.progress.selection = asdict(self.selection)
            self._keep_best()

    def run_epoch(
        self, data: Iterable[Any], step: Step, requests: Requests
    ) -> None:
        """Runs the steps of an epoch that are left."""
        every = 0 if self.checkpoints is None else self.checkpoints.steps
        pending = None
        for images, labels in data:
            value = step(images, labels)
            # A device works on this step while the last one is looked at.
            if pending is not None:
                self._note(*pending)
            pending = value, _count_images(images)
            is_last = self.progress.step + 1 >= self.plan.steps
            due = every and (self.progress.step + 1) % every == 0
            if (due or requests.number) and not is_last:
                self._note(*pending)
                pending = None
                self._save()
                self.stop_if_asked(requests)
        if pending is not None:
            self._note(*pending)

    def _note(self, value: tf.Tensor, images: int) -> None:
        progress, loss = self.progress, float(value)
        progress.step += 1
        guard.check_loss(loss, self.steps_done, self._place(), self._kept())
        progress.loss += loss * images
        progress.images += images
        for observer in self.observers:
            observer.step(progress.step, loss)

    def end_epoch(self) -> None:
        """Evaluates, selects, tells and keeps."""
        progress = self.progress
        progress.seconds = time.monotonic() - self._started
        row: dict[str, Any] = {
            "stage": self.plan.title,
            "epoch": progress.epoch + 1,
            "steps": self.steps_done,
            "learning_rate": learning_rate(self.optimizer),
            "loss": progress.loss / max(progress.images, 1),
            "seconds": round(progress.seconds, 3),
        }
        place = self._place()
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.loss, progress.images = 0.0, 0
        self._guard_weights(place)
        with averaged_weights(self.model, self.optimizer):
            counts, is_best = self._evaluate(row), False
            if counts is not None and self.selection is not None:
                is_best = self.selection.better(row, progress.epoch)
                progress.selection = asdict(self.selection)
                if is_best:
                    self._keep_best()
            progress.rows.append(row)
            ended = Epoch(
                self.plan,
                progress.epoch,
                row,
                progress.rows,
                counts,
                self.model,
                is_best,
            )
            for observer in self.observers:
                observer.epoch(ended)
        if self.checkpoints is not None:
            self.checkpoints.save(progress, self.model, self.optimizer)

    def _evaluate(self, row: dict[str, Any]) -> Counts | None:
        if self.judge is None or self._count is None:
            return None
        epoch = self.progress.epoch
        if epoch % self.judge.every and epoch < self.plan.epochs:
            return None
        self._renew_statistics()
        counts, loss = self._count(self.judge.batches)
        row["validation_loss"] = loss if math.isfinite(loss) else None
        row |= summary(counts, self.judge.classes, self.judge.ground)
        return counts

    def _renew_statistics(self) -> None:
        """After snapshots were averaged, batch normalisation is renewed."""
        if is_snapshot_average(self.optimizer):
            last = self.progress.epoch - 1
            renew_statistics(self.model, self.batches(last, 0))

    def _keep_best(self) -> None:
        if self.checkpoints is None:
            self._best = snapshot(self.model)
        else:
            self.checkpoints.save_best(self.progress, self.model)

    def end_stage(self) -> None:
        """Gives the model the weights that the stage ends with."""
        selection = self.selection
        if selection is not None and selection.best is not None:
            if selection.epoch == 0:
                LOG.warning(
                    "%s: ends with the weights that it began with, since no "
                    "evaluation had a better %s than their %.4f.",
                    self.plan.title,
                    selection.metric,
                    selection.best,
                )
            if self.checkpoints is not None:
                self.checkpoints.restore_best(self.progress, self.model)
            elif self._best is not None:
                restore(self._best, self.model)
        elif has_average(self.optimizer):
            assign_average(self.model, self.optimizer)
            self._renew_statistics()
        self.progress.done = True
        if self.checkpoints is not None:
            self.checkpoints.save(self.progress, self.model, self.optimizer)

    def stop_if_asked(self, requests: Requests) -> None:
        """Stops where somebody asked for it and there is more to do."""
        if not requests.number or self.finished:
            return
        kept = "Nothing was kept."
        if self.checkpoints is not None:
            kept = f"Kept in {self.checkpoints.newest}: run it again to go on."
        epoch, step = self.progress.epoch, self.progress.step
        place = (
            f"step {step} of epoch {epoch + 1}" if step else f"epoch {epoch}"
        )
        raise Interrupted(
            f"Interrupted after {place} of {self.plan.title}. {kept}",
            requests.number,
        )

    def _save(self) -> None:
        self.progress.seconds = time.monotonic() - self._started
        self._guard_weights(self._place())
        if self.checkpoints is not None:
            self.checkpoints.save(self.progress, self.model, self.optimizer)

    def _guard_weights(self, place: str) -> None:
        guard.check_weights(
            self.model.variables, self.steps_done, place, self._kept()
        )

    def _place(self) -> str:
        return f"{self.plan.title}, epoch {self.progress.epoch + 1}"

    def _kept(self) -> str | None:
        return None if self.checkpoints is None else self.checkpoints.newest


def _count_images(images: Any) -> int:
    # Replicas have batches of one size, so that each counts the same.
    shape = getattr(images, "shape", None)
    return 1 if shape is None else int(shape[0])
