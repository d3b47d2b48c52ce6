"""A bar that shows how a training goes, where somebody looks on."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from wseg_tf.training.observers import Epoch, Observer, Plan, describe_row


class ProgressBar(Observer):
    """One bar a stage: steps, epoch, loss, mean and critical IoU.

    Args:
        console: Where it is drawn; a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._judged = ""

    def begin(self, plan: Plan) -> None:
        """Draws the bar, where an earlier run left it."""
        self._plan, self._epoch = plan, plan.epoch
        self._judged = ""
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task(
            plan.title,
            total=plan.epochs * plan.steps,
            completed=plan.epoch * plan.steps + plan.step,
            figures="",
        )
        self._bar.start()

    def step(self, number: int, loss: float) -> None:
        """Moves the bar by a step."""
        if self._bar is not None:
            plan = self._plan
            figures = (
                f"epoch {self._epoch + 1}/{plan.epochs} loss {loss:.4f}"
                f"{self._judged}"
            )
            done = self._epoch * plan.steps + number
            self._bar.update(self._task, completed=done, figures=figures)

    def epoch(self, epoch: Epoch) -> None:
        """Shows the epoch's figures; the IoUs stay until the next ones."""
        self._epoch = epoch.number
        figures = describe_row(epoch.row)
        if epoch.counts is not None:
            self._judged = "," + figures.partition(",")[2]
        else:
            figures += self._judged
        if self._bar is not None:
            self._bar.update(
                self._task,
                figures=f"epoch {epoch.number}/{epoch.plan.epochs} {figures}",
            )

    def end(self) -> None:
        """Leaves the bar as it stands."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
