r"""What each loss does to the critical classes while it trains.

    python -m benchmarks.training_study \
        configs/tables/camvid_strong_start_large.yaml 'seeds=[0]' --data PATH \
        --on held-out\ drives --picture docs/images/training.png

The methods go on from the first seed's start, once more, and are looked at
before the first epoch and after each. *Pull*: the share of the gradient that
missed pixels of a critical class have, as in `ground_study`. *Mass*: where the
pixels of a class have their probability: on the class, on another critical
one, or on a class that is not critical, which is what D calls severe.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, product

import keras
import numpy as np

from benchmarks.ground_study import (
    Labels,
    Logits,
    outputs,
    pull_shares,
    reported,
    table,
)
from pipeline.experiments.frames import Frames, find_frames
from pipeline.experiments.plan import Experiment, Method, load
from pipeline.experiments.run import alone, start
from wseg_tf.classes import ClassSet
from wseg_tf.data.input import read_pairs
from wseg_tf.plots.style import CRITICAL, FAINT, INK, SERIES_COLOURS, new_figure
from wseg_tf.training.loop import build_model, train
from wseg_tf.training.objectives import build_ground, build_loss
from wseg_tf.training.observers import Epoch, Observer

TRUTH, CRITICAL_MASS, LOST = "itself", "another critical", "not critical"
PLACES = (TRUTH, CRITICAL_MASS, LOST)
LINES = ("-", "--", ":")
COLOURS = (*SERIES_COLOURS[1:4], CRITICAL, SERIES_COLOURS[4], "#3f8f8b")


@dataclasses.dataclass(frozen=True)
class Look:
    """What was seen at one moment of a training.

    Args:
        pull: Share of all pull, by critical class.
        mass: Share of the probability, by critical class and where it is.
    """

    pull: Mapping[str, float]
    mass: Mapping[str, Mapping[str, float]]


class Watcher(Observer):
    """Looks at a model after each epoch."""

    def __init__(self, look: Callable[[keras.Model], Look]) -> None:
        self.look = look
        self.found: list[Look] = []

    def epoch(self, epoch: Epoch) -> None:
        """Looks."""
        self.found.append(self.look(epoch.model))


def masses(
    logits: Logits, labels: Labels, classes: ClassSet
) -> dict[str, dict[str, float]]:
    """Returns where the pixels of each critical class have their probability.

    Args:
        logits: `[P, N]`.
        labels: `[P]`.
        classes: The class set.

    Returns:
        Shares by class and place; NaN for a class without pixels.

    Example: A car that is a half on itself, the rest on all others alike.

    >>> from wseg_tf.classes import CAMVID
    >>> car = CAMVID.index("car")
    >>> logits = np.zeros([1, 11], np.float32)
    >>> logits[0, car] = np.log(10)
    >>> found = masses(logits, np.array([car]), CAMVID)["car"]
    >>> [round(each, 2) for each in found.values()]
    [0.5, 0.1, 0.4]
    """
    critical = [classes.index(name) for name in classes.critical]
    found = {}
    for name in classes.critical:
        own = classes.index(name)
        seen = logits[labels == own].astype(np.float64)
        p = np.exp(seen - seen.max(axis=1, keepdims=True, initial=-np.inf))
        p = (p / p.sum(axis=1, keepdims=True)).sum(axis=0)
        p = p / p.sum() if len(seen) else np.full_like(p, np.nan)
        among = p[critical].sum()
        found[name] = {
            TRUTH: float(p[own]),
            CRITICAL_MASS: float(among - p[own]),
            LOST: float(1 - among),
        }
    return found


def study(plan: Experiment, on: str) -> dict[str, list[Look]]:
    """Trains each method of the first seed, and looks.

    Args:
        plan: The experiment.
        on: The evaluation set.

    Returns:
        By method: before the first epoch, and after each.
    """
    with alone(plan):
        frames = find_frames(plan)
        reported(frames, on)
        weights = start(plan, frames).weights
        return {
            method.name: _follow(plan, frames, method, weights, on)
            for method in plan.methods
            if method.decides is None and not method.adaptation
        }


def _follow(
    plan: Experiment, frames: Frames, method: Method, weights: str, on: str
) -> list[Look]:
    classes = plan.data.class_set
    recipe = plan.recipe(method, plan.seeds[0], weights)
    ground = build_ground(recipe.ground, classes)
    loss = build_loss(recipe.stages[0], ground, classes)

    def look(model: keras.Model) -> Look:
        logits, labels = outputs(plan, frames, model, on)
        return Look(
            pull_shares(loss, logits, labels, classes),
            masses(logits, labels, classes),
        )

    watcher = Watcher(look)
    keras.backend.clear_session()
    before = look(build_model(recipe, classes))
    pairs = read_pairs(frames.training, plan.data.layout)
    train(recipe, classes, pairs, observers=[watcher])
    return [before, *watcher.found]


def draw(
    found: Mapping[str, Sequence[Look]], critical: Sequence[str], path: str
) -> None:
    """Draws pull and mass over epochs, a column for each critical class.

    Args:
        found: What `study` returned.
        critical: The critical classes.
        path: Of the picture.
    """
    figure = new_figure(3.4 * len(critical), 5.4)
    rows = figure.subplots(2, len(critical), sharex=True, squeeze=False)
    for column, name in enumerate(critical):
        pull, mass = rows[0][column], rows[1][column]
        looked = zip(found.items(), cycle(product(LINES, COLOURS)))
        for (method, looks), (line, colour) in looked:
            for axes, values in (
                (pull, [100 * look.pull[name] for look in looks]),
                (mass, [100 * look.mass[name][LOST] for look in looks]),
            ):
                axes.plot(
                    values, line, color=colour, linewidth=1.6, label=method
                )
                axes.grid(color=FAINT, linewidth=0.5)
                axes.tick_params(labelsize=8)
                axes.spines[["top", "right"]].set_visible(False)
        pull.set_title(name, fontsize=10, color=INK)
        mass.set_xlabel("epochs", fontsize=8)
    rows[0][0].set_ylabel("share of the pull on missed pixels, %", fontsize=8)
    rows[1][0].set_ylabel("probability on no critical class, %", fontsize=8)
    handles, labels = rows[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="lower center", ncol=3, fontsize=8, frameon=False
    )
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    figure.savefig(path)


def main() -> None:
    """Prints a table of pull and one of mass, and draws."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--data", help="folder of the data set")
    parser.add_argument("--on", default="val", help="set that is looked at")
    parser.add_argument(
        "--picture", metavar="FILE", help="draw all epochs here"
    )
    chosen = parser.parse_intermixed_args()
    plan = load(chosen.config, chosen.overrides, chosen.data)
    critical = plan.data.class_set.critical
    found = study(plan, chosen.on)
    ends = {
        f"{name}, {moment}": looks[place]
        for name, looks in found.items()
        for moment, place in (("start", 0), ("end", -1))
    }
    print("Share of the pull that missed pixels have\n")
    pulls = {name: dict(look.pull) for name, look in ends.items()}
    print(table(pulls, critical, critical))
    for each in critical:
        print(f"\nWhere pixels of {each} have their probability\n")
        mass = {name: dict(look.mass[each]) for name, look in ends.items()}
        print(table(mass, PLACES, PLACES))
    if chosen.picture:
        draw(found, critical, chosen.picture)


if __name__ == "__main__":
    main()
