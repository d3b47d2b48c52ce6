"""Critical misses of a comparison's methods, per 100 images.

They are of regions, so no confusion count tells them: each model looks at the
frames again, once; what it missed lies beside its weights.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.experiments import keys, run
from pipeline.experiments.counted import once
from pipeline.experiments.frames import Frames, layout_of
from pipeline.experiments.plan import START, Experiment
from pipeline.experiments.results import Results
from pipeline.experiments.run import Outcome
from wseg_tf.classes import ClassSet
from wseg_tf.code import code_digest
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.records import decode, parse, serialise
from wseg_tf.metrics.confusion import Counts
from wseg_tf.metrics.misses import (
    MEANING,
    SMALLEST,
    Misses,
    critical_misses,
)
from wseg_tf.training.warm_start import weights_digest

WORST = 3  # Confusions that are named.


def count(
    plan: Experiment, frames: Frames, outcomes: Sequence[Outcome]
) -> list[Outcome]:
    """Returns outcomes with what they missed; goes on where it was.

    Args:
        plan: The experiment.
        frames: What `find_frames` returned.
        outcomes: What `run` returned of them.
    """
    return [
        dataclasses.replace(
            outcome,
            missed={
                name: _once(plan, frames, outcome, name)
                for name in frames.reported
            },
        )
        for outcome in outcomes
    ]


def _once(
    plan: Experiment, frames: Frames, outcome: Outcome, name: str
) -> Misses:
    """Returns what an outcome missed; looks if nobody did."""
    recipe, classes = run.recipe_of(plan, outcome), plan.data.class_set
    weights = weights_digest(outcome.weights)
    key = {
        **keys.counts_key(recipe, classes, weights, outcome.frames[name]),
        "critical": classes.as_dict(),
        "misses": code_digest("wseg_tf.metrics.misses"),
    }

    def look() -> dict[str, Counts]:
        found = _look(plan, frames, outcome, name)
        frames.refuse_changed()
        return found._asdict()

    return Misses(**once(os.path.dirname(outcome.weights), "misses", key, look))


def _look(
    plan: Experiment, frames: Frames, outcome: Outcome, name: str
) -> Misses:
    service, described = run.restore(plan, outcome), layout_of(plan, name)
    rows = []
    for pair in frames.reported[name]:
        record = serialise(pair, read_checked(pair, described))
        image, label = decode(parse(tf.constant(record)))
        predicted = service.predict(image).numpy()
        rows.append(
            critical_misses(
                label.numpy().reshape(predicted.shape),
                predicted,
                plan.data.class_set,
            )
        )
    return Misses(*(np.stack(each) for each in zip(*rows, strict=True)))


def as_markdown(results: Results) -> str:
    """Returns a table for each evaluation set: misses, and what was seen.

    Args:
        results: The results; empty where they tell no misses.
    """
    parts = []
    for name, own in results.sets.items():
        if not all(each.missed for each in results.outcomes):
            return ""
        share = 100 / len(own.images)

        def total(method: str, name: str = name) -> tuple[Any, Any]:
            runs = [
                o.missed[name] for o in results.outcomes if o.method == method
            ]
            regions, missed = (
                np.mean([each[place].sum(axis=0) for each in runs], axis=0)
                for place in (0, 1)
            )
            return regions, missed

        base = total(results.reference)[1].sum()
        lines = [
            f"### {name}: critical misses per 100 images",
            "",
            "| method | misses | of regions | most often |",
            "|---|---|---|---|",
        ]
        for method in results.methods:
            regions, missed = total(method)
            text = f"{share * missed.sum():.1f}"
            if method not in (results.reference, START) and base > 0:
                text += f" ({100 * (missed.sum() / base - 1):+.0f} %)"
            worst = ", ".join(_worst(share * missed, results.classes))
            lines.append(
                f"| {method} | {text} | {share * regions.sum():.1f} | {worst} |"
            )
        parts.append("\n".join(lines))
    parts.append(
        f"{MEANING.format(smallest=SMALLEST)}; in brackets, the change from "
        f"{results.reference}."
    )
    return "\n\n".join(parts) + "\n"


def _worst(missed: npt.NDArray[Any], classes: ClassSet) -> list[str]:
    order = np.argsort(-missed, axis=None, kind="stable")[:WORST]
    return [
        f"{classes.names[true]} as {classes.names[given]} "
        f"{missed[true, given]:.1f}"
        for true, given in zip(
            *np.unravel_index(order, missed.shape), strict=True
        )
        if missed[true, given]
    ]
