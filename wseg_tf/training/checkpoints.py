"""Checkpoints: whole files, written aside and renamed, of one training each.

A checkpoint is one `.npz` file: the model's variables, the optimiser's, the
states of its random generators, and where the training stood, in JSON.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from wseg_tf.array_files import parse_arrays
from wseg_tf.filesystems import write_whole
from wseg_tf.json_files import parse_json, read_json, typed
from wseg_tf.models.dropout import generators
from wseg_tf.ranges import bounded
from wseg_tf.training.optimizers import optimizer_variables
from wseg_tf.training.selection import Selection

LOG = logging.getLogger(__name__)

Arrays = Mapping[str, npt.NDArray[Any]]

IDENTITY = "identity.json"
PROGRESS = "progress"
KEPT = 2  # the newest, and one more should a disk fail


@dataclass
class Progress:
    """Where a training stands.

    Args:
        stage: Place of the stage, from 0.
        epoch: Finished epochs of the stage.
        step: Finished steps of the epoch that runs.
        done: Whether the stage is finished.
        loss: Sum of the losses of this epoch's images.
        images: Their number.
        seconds: Spent on the stage.
        selection: What `Selection` remembers.
        rows: The history so far, of all stages.
    """

    stage: int = bounded(0, 0)
    epoch: int = bounded(0, 0)
    step: int = bounded(0, 0)
    done: bool = False
    loss: float = bounded(0.0, -1e300, 1e300)
    images: int = bounded(0, 0)
    seconds: float = bounded(0.0, 0)
    selection: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read.

    Args:
        path: Its file.
        progress: Where the training stood.
        arrays: All values by name.
    """

    path: str
    progress: Progress
    arrays: Arrays


class Checkpoints:
    """A folder of checkpoints of one training.

    Args:
        folder: The folder; it is made when something is saved.
        steps: Steps between two checkpoints within an epoch; 0 for one after
            each epoch alone.
        writes: Whether this process writes; of several workers, one does.
    """

    def __init__(
        self, folder: str, steps: int = 0, writes: bool = True
    ) -> None:
        self.folder = folder
        self.steps = steps
        self.writes = writes
        self.newest: str | None = None
        # Best weights that the kept checkpoints speak of.
        self._needed: list[str] = []

    def claim(self, identity: Mapping[str, Any]) -> None:
        """Says which training this folder is of, or refuses another's.

        Args:
            identity: Everything that must be the same to go on.

        Raises:
            ValueError: If the folder is of another training; names the first
                thing that differs.
        """
        path = os.path.join(self.folder, IDENTITY)
        try:
            found = read_json(path)
        except FileNotFoundError:
            if self.writes:
                text = json.dumps(identity, indent=1, sort_keys=True)
                write_whole(path, text.encode())
            return
        difference = first_difference(found, json.loads(json.dumps(identity)))
        if difference is not None:
            raise ValueError(
                f"Invalid folder {self.folder}. Expected checkpoints of this "
                f"training. Received those of another: {difference}."
            )

    def latest(self) -> Checkpoint | None:
        """Returns the newest whole checkpoint, or None."""
        for path in reversed(self._paths("checkpoint")):
            try:
                arrays = _read(path)
                text = bytes(arrays.pop(PROGRESS))
                progress: Progress = parse_json(text, path, Progress)
                if progress.selection:
                    typed(Selection, progress.selection, path, "selection")
            except (KeyError, ValueError):
                LOG.warning("%s is damaged and left out.", path)
                continue
            self._note(path, progress)
            return Checkpoint(path, progress, arrays)
        return None

    def save(
        self, progress: Progress, model: keras.Model, optimizer: Any
    ) -> str:
        """Writes a checkpoint; older ones but one are deleted.

        Args:
            progress: Where the training stands.
            model: The model.
            optimizer: Its optimiser.

        Returns:
            The file's path.
        """
        # Reading the variables of several workers needs all of them.
        arrays = snapshot(model, optimizer, with_random=True)
        place = f"{progress.epoch:05d}-{progress.step:07d}"
        name = f"checkpoint-{progress.stage:03d}-{place}.npz"
        path = os.path.join(self.folder, name)
        self._note(path, progress)
        if self.writes:
            text = json.dumps(asdict(progress)).encode()
            packed = {**arrays, PROGRESS: np.frombuffer(text, np.uint8)}
            write_whole(path, packed_bytes(packed))
            needless = self._paths("checkpoint")[:-KEPT]
            needless += set(self._paths("best")) - set(self._needed)
            for old in needless:
                tf.io.gfile.remove(old)
        return path

    def save_best(self, progress: Progress, model: keras.Model) -> None:
        """Writes the weights that the stage may end with.

        Args:
            progress: Where the training stands; a checkpoint must follow.
            model: The model.
        """
        arrays = snapshot(model)
        if self.writes:
            path = self._best(progress.stage, progress.selection["epoch"])
            write_whole(path, packed_bytes(arrays))

    def restore_best(self, progress: Progress, model: keras.Model) -> None:
        """Gives a model the weights that `save_best` kept."""
        path = self._best(progress.stage, progress.selection["epoch"])
        restore(_read(path), model)

    def remove(self) -> None:
        """Deletes the folder: the training has come to its end."""
        if self.writes and tf.io.gfile.exists(self.folder):
            tf.io.gfile.rmtree(self.folder)

    def _note(self, path: str, progress: Progress) -> None:
        self.newest = path
        best = self._best(progress.stage, progress.selection.get("epoch", 0))
        self._needed = [*self._needed, best][-KEPT:]

    def _best(self, stage: int, epoch: int) -> str:
        return os.path.join(self.folder, f"best-{stage:03d}-{epoch:05d}.npz")

    def _paths(self, kind: str) -> list[str]:
        folder = self.folder
        if not tf.io.gfile.isdir(folder):
            return []
        names = [
            name
            for name in tf.io.gfile.listdir(folder)
            if name.startswith(f"{kind}-") and name.endswith(".npz")
        ]
        return [os.path.join(folder, name) for name in sorted(names)]


def snapshot(
    model: keras.Model, optimizer: Any = None, with_random: bool = False
) -> dict[str, Any]:
    """Returns the values of a model, and of what moves it.

    Args:
        model: The model.
        optimizer: Its optimiser, prepared; left out by default.
        with_random: Whether the states of its dropout are among them.

    Returns:
        Arrays by name.
    """
    return {
        name: np.array(_value(variable))
        for name, variable in _variables(model, optimizer, with_random)
    }


def restore(
    arrays: Arrays,
    model: keras.Model,
    optimizer: Any = None,
    with_random: bool = False,
) -> None:
    """Gives a model, and what moves it, the values of a snapshot.

    Args:
        arrays: What `snapshot` returned.
        model: The model.
        optimizer: Its optimiser, prepared; left alone by default.
        with_random: Whether the states of its dropout are restored, too.

    Raises:
        ValueError: If they are of another model or optimiser.
    """
    variables = list(_variables(model, optimizer, with_random))
    wanted = {name: tuple(variable.shape) for name, variable in variables}
    groups = {name.partition("/")[0] for name in wanted}
    held = {
        name: array.shape
        for name, array in arrays.items()
        if name.partition("/")[0] in groups
    }
    if held != wanted:
        raise ValueError(
            "Invalid checkpoint. Expected the variables of this model and "
            "optimizer. Received: those of others."
        )
    for name, variable in variables:
        variable.assign(arrays[name])


def _variables(
    model: keras.Model, optimizer: Any, with_random: bool
) -> Iterator[tuple[str, Any]]:
    groups = {"model": list(model.variables)}
    if optimizer is not None:
        groups["optimizer"] = optimizer_variables(optimizer)
    if with_random:
        groups["random"] = [each.state for each in generators(model)]
    for group, variables in groups.items():
        for place, variable in enumerate(variables):
            yield f"{group}/{place:05d}", variable


def _value(variable: Any) -> Any:
    return variable.numpy() if hasattr(variable, "numpy") else variable


def packed_bytes(arrays: Arrays) -> bytes:
    """Returns arrays as the bytes of an `.npz` file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _read(path: str) -> dict[str, npt.NDArray[Any]]:
    with tf.io.gfile.GFile(path, "rb") as file:
        return parse_arrays(file.read(), path)


def first_difference(found: Any, wanted: Any, key: str = "") -> str | None:
    """Says where two nested values differ first.

    Args:
        found: Dictionaries, lists and plain values.
        wanted: The same.
        key: Put before each name.

    Returns:
        A clause, or None where nothing differs.

    Example:

    >>> first_difference({"recipe": {"batch": 2}}, {"recipe": {"batch": 4}})
    'recipe.batch was 2, now 4'
    """
    if isinstance(found, dict) and isinstance(wanted, dict):
        pairs = [(k, found.get(k), wanted.get(k)) for k in {**found, **wanted}]
    elif (
        isinstance(found, list)
        and isinstance(wanted, list)
        and len(found) == len(wanted)
    ):
        pairs = [
            (str(place), old, new)
            for place, (old, new) in enumerate(zip(found, wanted, strict=True))
        ]
    else:
        return (
            None if found == wanted else f"{key} was {found!r}, now {wanted!r}"
        )
    for name, old, new in pairs:
        clause = first_difference(old, new, f"{key}.{name}".lstrip("."))
        if clause is not None:
            return clause
    return None
