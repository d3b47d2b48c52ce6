"""Critical misses of a comparison's methods, per 100 images.

They are of regions, so no confusion count tells them: each model looks at the
frames again, once; what it missed lies beside its weights.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.experiments import keys, run
from pipeline.experiments.frames import Frames, digest, layout_of
from pipeline.experiments.plan import START, Experiment
from pipeline.experiments.run import Outcome
from wseg_tf.classes import ClassSet
from wseg_tf.code import code_digest
from wseg_tf.data.inspection import read_checked
from wseg_tf.data.records import decode, parse, serialise
from wseg_tf.filesystems import read_bytes, write_whole
from wseg_tf.metrics.misses import MEANING, SMALLEST, critical_misses
from wseg_tf.training.warm_start import weights_digest

WORST = 3  # Confusions that are named.

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Missed:
    """What one run missed on one evaluation set.

    Args:
        regions: Critical regions by image and class `[images, N]`.
        missed: Those missed, by what they were given `[images, N, N]`.
    """

    regions: Counts
    missed: Counts

    @property
    def per_100(self) -> float:
        """Missed regions of 100 images."""
        return 100 * float(self.missed.sum()) / len(self.missed)


# By evaluation set and method, a run a seed.
Found = Mapping[str, Mapping[str, Sequence[Missed]]]


def count(
    plan: Experiment, frames: Frames, outcomes: Sequence[Outcome]
) -> Found:
    """Counts what every run missed; goes on where it was.

    Args:
        plan: The experiment.
        frames: What `find_frames` returned.
        outcomes: What `run` returned of them.
    """
    found: dict[str, dict[str, list[Missed]]] = {}
    digests = {
        name: digest(pairs, layout_of(plan, name))
        for name, pairs in frames.reported.items()
    }
    for outcome in outcomes:
        recipe = run.recipe_of(plan, outcome)
        weights = weights_digest(outcome.weights)
        classes = plan.data.class_set
        for name in frames.reported:
            key = keys.counts_key(recipe, classes, weights, digests[name])
            own = keys.short(
                {
                    **key,
                    "critical": classes.as_dict(),
                    "misses": code_digest("wseg_tf.metrics.misses"),
                }
            )
            folder = os.path.dirname(outcome.weights)
            path = os.path.join(folder, f"misses-{own}.npz")
            if not tf.io.gfile.exists(path):
                _write(path, _look(plan, frames, outcome, name))
            with np.load(io.BytesIO(read_bytes(path))) as arrays:
                missed = Missed(arrays["regions"], arrays["missed"])
            methods = found.setdefault(name, {})
            methods.setdefault(outcome.method, []).append(missed)
    return found


def _look(
    plan: Experiment, frames: Frames, outcome: Outcome, name: str
) -> Missed:
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
    return Missed(
        np.stack([row.regions for row in rows]),
        np.stack([row.missed for row in rows]),
    )


def _write(path: str, missed: Missed) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, **vars(missed))
    write_whole(path, content.getvalue())


def as_markdown(found: Found, classes: ClassSet, reference: str) -> str:
    """Returns a table for each evaluation set: misses, and what was seen.

    Args:
        found: What `count` returned.
        classes: The class set.
        reference: The method that others are compared with.
    """
    parts = []
    for name, methods in found.items():
        base = np.mean([each.per_100 for each in methods[reference]])
        lines = [
            f"### {name}: critical misses per 100 images",
            "",
            "| method | misses | of regions | most often |",
            "|---|---|---|---|",
        ]
        for method, runs in methods.items():
            value = np.mean([each.per_100 for each in runs])
            text = f"{value:.1f}"
            if method not in (reference, START) and base > 0:
                text += f" ({100 * (value / base - 1):+.0f} %)"
            regions = 100 * runs[0].regions.sum() / len(runs[0].regions)
            lines.append(
                f"| {method} | {text} | {regions:.1f} | "
                f"{', '.join(_worst(runs, classes))} |"
            )
        parts.append("\n".join(lines))
    parts.append(
        f"{MEANING.format(smallest=SMALLEST)}; in brackets, the change from "
        f"{reference}."
    )
    return "\n\n".join(parts) + "\n"


def _worst(runs: Sequence[Missed], classes: ClassSet) -> list[str]:
    total = np.sum([each.missed.sum(axis=0) for each in runs], axis=0)
    order = np.argsort(-total, axis=None, kind="stable")[:WORST]
    images = sum(len(each.missed) for each in runs)
    return [
        f"{classes.names[true]} as {classes.names[given]} "
        f"{100 * total[true, given] / images:.1f}"
        for true, given in zip(
            *np.unravel_index(order, total.shape), strict=True
        )
        if total[true, given]
    ]


def as_text(found: Found) -> str:
    """Returns JSON: by set and method, a run a seed.

    Args:
        found: What `count` returned.
    """

    def plain(missed: Missed) -> dict[str, Any]:
        return {
            "per_100": missed.per_100,
            "images": len(missed.missed),
            "regions": missed.regions.sum(axis=0).tolist(),
            "missed": missed.missed.sum(axis=0).tolist(),
        }

    content = {
        name: {
            method: [plain(each) for each in runs]
            for method, runs in methods.items()
        }
        for name, methods in found.items()
    }
    return json.dumps(content, indent=1) + "\n"
