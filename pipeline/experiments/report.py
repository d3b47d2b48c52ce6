"""What a comparison leaves in its folder: tables, counts and pictures."""

from __future__ import annotations

import io
import os
import platform
from collections.abc import Sequence

import tensorflow as tf
from matplotlib.figure import Figure

from pipeline.experiments import figures, misses, results, tables
from pipeline.experiments.frames import Frames
from pipeline.experiments.plan import Experiment, folder
from pipeline.experiments.results import Results
from pipeline.experiments.run import Outcome
from wseg_tf.filesystems import write_whole
from wseg_tf.plots import plot_methods, plot_rounds

TABLES = "results.md"
ACROSS = "mean_iou"


def write(
    plan: Experiment, frames: Frames, outcomes: Sequence[Outcome]
) -> Results:
    """Writes `results.md` and `.json`, and the pictures.

    Args:
        plan: The experiment.
        frames: What `find_frames` returned.
        outcomes: What `run` returned of them.

    Returns:
        What the tables are made of.
    """
    outcomes = misses.count(plan, frames, outcomes)
    found = results.gather(plan, frames, outcomes, _hardware())
    computed = tables.figures(found)
    own = folder(plan)
    results.write(found, tables.as_values(computed), own)
    write_whole(os.path.join(own, TABLES), page(found, computed))
    for name in frames.reported:
        contrasts = figures.find_contrasts(plan, outcomes, name)
        for kind, contrast in contrasts.items():
            pair = frames.reported[name][contrast.place]
            picture = figures.plot_contrast(plan, contrast, name, pair)
            _save(picture, own, f"{kind}-{name.replace(' ', '-')}.png")
    draw(found, computed, own)
    if rounds := figures.rounds_of(plan, outcomes):
        _save(plot_rounds(rounds), own, "rounds.png")
    return found


def page(found: Results, computed: tables.Figures) -> str:
    """Returns all tables: of figures, and of what was missed.

    Args:
        found: The results.
        computed: Their figures.
    """
    parts = tables.pages(found, computed), misses.as_markdown(found)
    return "\n".join(part for part in parts if part)


def draw(found: Results, computed: tables.Figures, own: str) -> None:
    """Draws, for each evaluation set, the methods by IoU: all and critical.

    Args:
        found: The results.
        computed: Their figures.
        own: The folder of the pictures.
    """
    group = found.classes.levels[-1]
    up = f"iou_group/{group}"
    if not {ACROSS, up} <= {*found.metrics}:
        return
    for name, methods in computed.items():
        points = {
            method: (_percent(row[ACROSS]), _percent(row[up]))
            for method, row in methods.items()
        }
        title = f"{name}: {len(found.sets[name].images)} images"
        picture = plot_methods(
            points,
            ("mean IoU, %", f"IoU of group {group}, %"),
            found.reference,
            found.decided,
            title,
        )
        _save(picture, own, f"methods-{name.replace(' ', '-')}.png")


def _percent(figure: tables.Figure) -> list[float]:
    return [100 * value for value in figure.values]


def _save(picture: Figure, own: str, name: str) -> None:
    content = io.BytesIO()
    picture.savefig(content, format="png")
    write_whole(os.path.join(own, name), content.getvalue())


def _hardware() -> str:
    text = f"{os.cpu_count()} cores, {platform.machine()}"
    if gpus := tf.config.list_physical_devices("GPU"):
        text += f", {len(gpus)} GPUs"
    return text
