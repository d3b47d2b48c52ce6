"""What a comparison came to, by value: written, and read again.

`results.json` holds each run's recipe and summed confusion, what the figures
are made of (classes, D, which metrics are tested) and the figures; beside it,
`results.npz` holds the confusion of each image. With both, every figure can be
computed anew, also of other metrics or resampled by drives. Without the second
(results of before it was written) the share of the images in a figure's error
is the one that was saved with the figure.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import wseg_tf
from pipeline.experiments.frames import Frames
from pipeline.experiments.plan import (
    START,
    Experiment,
    compared_metrics,
    metric_names,
)
from pipeline.experiments.run import Outcome
from wseg_tf.array_files import parse_arrays
from wseg_tf.classes import ClassSet, class_set
from wseg_tf.configuration import ConfigurationError
from wseg_tf.decisions import LEAST_RISK
from wseg_tf.filesystems import read_bytes, write_whole
from wseg_tf.json_files import read_json
from wseg_tf.metrics.confusion import Counts
from wseg_tf.metrics.misses import Misses
from wseg_tf.training.objectives import build_ground

RESULTS = "results.json"
COUNTS = "results.npz"
# Of a figure in results.json: the part of its variance that the units have.
OVER_UNITS = "over_units"


@dataclass(frozen=True)
class EvaluationSet:
    """Which images a set of figures is about.

    Args:
        images: Their names, in the order of the counts.
        drives: The drive of each.
        shared: What they have in common with what was trained on, in words.
    """

    images: tuple[str, ...]
    drives: tuple[str, ...]
    shared: str = ""

    def units(self, resample: str) -> list[list[int]]:
        """Returns the images of each unit that is drawn anew.

        Args:
            resample: `"images"` or `"drives"`.
        """
        if resample == "images":
            return [[place] for place in range(len(self.images))]
        return [
            [place for place, each in enumerate(self.drives) if each == drive]
            for drive in sorted(set(self.drives))
        ]


@dataclass(frozen=True)
class Results:
    """A comparison that has run, and all that its tables are made of.

    Args:
        experiment: Its name.
        reference: The method that others are compared with.
        classes: The class set.
        severity: D of the expected severity, as rows.
        metrics: Columns of the tables.
        tested: Those whose differences are tested.
        exploratory: Evaluation sets that were looked at before.
        resample: `"images"` or `"drives"`.
        published: Figures printed elsewhere, by method and metric, in percent.
        notes: What a reader of those should know.
        sets: The evaluation sets, by name.
        origin: Commit, version and hardware.
        outcomes: The runs: each start, then what goes on from it. Their
            counts are `[images, N, N]`, or `[1, N, N]`
            where `over_units` stands in for the images.
        over_units: By set, method and metric, the share of the units in the
            variance of a difference; None where the counts tell it.
    """

    experiment: str
    reference: str
    classes: ClassSet
    severity: list[list[float]]
    metrics: list[str]
    tested: list[str]
    exploratory: list[str]
    resample: str
    published: dict[str, dict[str, float]]
    notes: str | None
    sets: dict[str, EvaluationSet]
    origin: dict[str, Any]
    outcomes: list[Outcome] = field(repr=False)
    over_units: Mapping[str, Any] | None = None

    @property
    def methods(self) -> list[str]:
        """The start and the methods, in their order."""
        return list(dict.fromkeys(each.method for each in self.outcomes))

    @property
    def decided(self) -> list[str]:
        """Methods that decide by the least expected severity, unlike START."""
        by_severity = f"decision: {LEAST_RISK}\n"
        own = [o.method for o in self.outcomes if by_severity in o.recipe]
        return [] if START in own else list(dict.fromkeys(own))

    def starts_of(self, method: str) -> list[int]:
        """Returns the start of each run of a method, counted from 0.

        Args:
            method: One of `methods`.
        """
        place, found = -1, []
        for outcome in self.outcomes:
            # What goes on from a start comes after it.
            place += outcome.method == START
            if outcome.method == method:
                found.append(place)
        return found


def gather(
    plan: Experiment,
    frames: Frames,
    outcomes: Sequence[Outcome],
    hardware: str,
) -> Results:
    """Brings together what the tables of an experiment are made of.

    Args:
        plan: The experiment.
        frames: What `find_frames` returned.
        outcomes: What `run` returned.
        hardware: What it ran on.
    """
    classes = plan.data.class_set
    return Results(
        plan.name,
        plan.reference,
        classes,
        build_ground(plan.severity, classes).values.tolist(),
        metric_names(plan),
        compared_metrics(plan),
        list(plan.exploratory),
        plan.resample,
        {name: dict(row) for name, row in plan.published.items()},
        plan.notes,
        {
            name: EvaluationSet(
                tuple(pair.name for pair in pairs),
                tuple(pair.drive for pair in pairs),
                frames.shared[name].sentence,
            )
            for name, pairs in frames.reported.items()
        },
        {
            "commit": commit(),
            "version": wseg_tf.__version__,
            "hardware": hardware,
        },
        list(outcomes),
    )


def write(results: Results, figures: Mapping[str, Any], folder: str) -> None:
    """Writes results where `read` finds them.

    Args:
        results: The results.
        figures: By set, method and metric, as plain values.
        folder: Where.
    """
    write_whole(os.path.join(folder, COUNTS), _packed(results))
    content = {
        **asdict(results),
        "classes": results.classes.as_dict(),
        "outcomes": [
            {
                **{
                    name: value
                    for name, value in asdict(outcome).items()
                    # Where they lie is nobody's matter.
                    if name not in ("weights", "counts", "missed")
                },
                "counts": {
                    name: counts.sum(axis=0).tolist()
                    for name, counts in outcome.counts.items()
                },
                "missed": {
                    name: {
                        part: counts.sum(axis=0).tolist()
                        for part, counts in missed._asdict().items()
                    }
                    for name, missed in outcome.missed.items()
                },
            }
            for outcome in results.outcomes
        ],
        "figures": figures,
    }
    del content["over_units"]
    write_whole(os.path.join(folder, RESULTS), as_text(content))


def as_text(content: Mapping[str, Any]) -> str:
    """Returns JSON with a line for each entry, and one for each run.

    Args:
        content: Plain values.
    """
    lines = []
    for key, value in content.items():
        text = json.dumps(value)
        if key == "outcomes":
            runs = ",\n".join(f"  {json.dumps(run)}" for run in value)
            text = f"[\n{runs}\n ]"
        lines.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read(path: str) -> Results:
    """Reads what `write` wrote.

    Args:
        path: A `results.json`, of whatever name; the counts of each image are
            beside it under the same name, ending in `.npz`, or nowhere.

    Raises:
        ConfigurationError: If it cannot be read, is no such file, or the
            counts beside it are of other runs.
    """
    try:
        content: dict[str, Any] = read_json(path, dict[str, Any])
        figures = content.pop("figures")
        outcomes = [
            Outcome(
                **{
                    **run,
                    "weights": "",
                    "counts": _summed(run["counts"]),
                    "missed": {
                        name: Misses(**_summed(parts))
                        for name, parts in run.get("missed", {}).items()
                    },
                }
            )
            for run in content.pop("outcomes")
        ]
        results = Results(
            **{
                **content,
                "classes": class_set(content["classes"]),
                "sets": {
                    name: EvaluationSet(
                        tuple(each["images"]),
                        tuple(each["drives"]),
                        each["shared"],
                    )
                    for name, each in content["sets"].items()
                },
            },
            outcomes=outcomes,
            over_units={
                evaluation: {
                    method: {m: each[OVER_UNITS] for m, each in row.items()}
                    for method, row in methods.items()
                }
                for evaluation, methods in figures.items()
            },
        )
    except OSError as error:
        raise ConfigurationError(
            "Invalid results. Expected a file that `wseg experiment` wrote. "
            f"Received: {path} ({error.strerror})."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"Invalid results {path}. Expected what `wseg experiment` wrote. "
            f"Received: {type(error).__name__}: {error}."
        ) from error
    return _with_images(results, os.path.splitext(path)[0] + ".npz")


def _packed(results: Results) -> bytes:
    content = io.BytesIO()
    arrays = {
        f"{place}/{name}": _narrow(counts)
        for place, outcome in enumerate(results.outcomes)
        for name, counts in _arrays(outcome).items()
    }
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def _arrays(outcome: Outcome) -> dict[str, Counts]:
    """Returns all that was counted image by image, by name."""
    return {
        **outcome.counts,
        **{
            f"{name}/{part}": counts
            for name, missed in outcome.missed.items()
            for part, counts in missed._asdict().items()
        },
    }


def _narrow(counts: Counts) -> Any:
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))


def _summed(counts: Mapping[str, Any]) -> dict[str, Counts]:
    return {
        name: np.array(rows, np.int64)[None] for name, rows in counts.items()
    }


def _with_images(results: Results, path: str) -> Results:
    """Returns the same with the counts of each image, if they are there."""
    try:
        arrays = parse_arrays(read_bytes(path), path)
    except FileNotFoundError:
        return results
    outcomes = []
    for place, outcome in enumerate(results.outcomes):
        own = {}
        for name, total in _arrays(outcome).items():
            key = f"{place}/{name}"
            found = arrays[key].astype(np.int64) if key in arrays else None
            if found is None or (found.sum(axis=0) != total[0]).any():
                raise ConfigurationError(
                    f"Invalid counts {path}. Expected those of each image "
                    f"of {outcome.method!r}, seed {outcome.seed}, on "
                    f"{name!r}, which sum up to those in results.json. "
                    "Received: others."
                )
            own[name] = found
        outcomes.append(
            replace(
                outcome,
                counts={name: own[name] for name in outcome.counts},
                missed={
                    name: Misses(
                        *(own[f"{name}/{part}"] for part in Misses._fields)
                    )
                    for name in outcome.missed
                },
            )
        )
    return replace(results, outcomes=outcomes, over_units=None)


def commit() -> str | None:
    """Returns the commit of the code, where it lies in a git repository."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
