"""`wseg data`: check, measure, look at and convert a folder of labels."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.table import Table

from pipeline.commands.arguments import JsonFile
from pipeline.commands.json_output import json_target, write_json
from pipeline.commands.screen import (
    ERRORS,
    SCREEN,
    USER_ERROR,
    refusals,
    refuse,
    say,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipeline.ingest.pixel_counts import StatisticsBySplit
    from wseg_tf.classes import ClassSet
    from wseg_tf.data.inspection import Inspection
    from wseg_tf.data.pairs import Pair
    from wseg_tf.data.statistics import PixelStatistics

# Everything heavy is imported inside the commands, as in pipeline.cli.

app = typer.Typer(
    help="Checks, measures, shows and converts images and their labels.",
    no_args_is_help=True,
)

_COLUMNS = 5  # drives side by side: a terminal is narrow

Folder = Annotated[str, typer.Argument(help="Folder of the data set.")]
Dataset = Annotated[
    str,
    typer.Option(
        help="How the folder is laid out: camvid, camvid_colours, cityscapes, "
        "cityscapes_train_ids, gta5, streets, or a YAML description."
    ),
]
Splits = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads it at run time)
    typer.Option("--split", help="A split; give it again for more. Else all."),
]


@app.command()
def check(
    path: Folder, dataset: Dataset = "camvid", split: Splits = None
) -> None:
    """Reads every image and label; lists those that cannot be used.

    Also says which images of two splits look alike.
    """
    with refusals():
        from wseg_tf.data.layouts import left_out

        pairs = _find(path, dataset, split)
        found = _inspect(pairs, dataset)
        skipped = left_out(dataset, path, split)
        if skipped:
            say(
                f"Left out, as `unlabelled: skip` says: {skipped} of "
                f"{skipped + len(pairs)} images, which have no label."
            )
        for problem in found.problems:
            say(problem.reason)
        if found.problems:
            ERRORS.print(
                f"{len(found.problems)} of {len(pairs)} pairs cannot be used.",
            )
            raise typer.Exit(USER_ERROR)
        splits = _by_split(pairs)
        counts = ", ".join(f"{name} {len(own)}" for name, own in splits.items())
        say(f"{len(pairs)} pairs, all fit to train on: {counts}.")
        _say_alike(splits)


@app.command()
def stats(
    path: Folder,
    dataset: Dataset = "camvid",
    split: Splits = None,
    drives: Annotated[
        bool, typer.Option("--drives", help="Each drive or city apart.")
    ] = False,
    plot: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Draw the class frequencies here (.png, .svg ...)."),
    ] = None,
    report: JsonFile = None,
) -> None:
    """Counts the pixels of each class; derives class weights."""
    with refusals():
        from pipeline.commands.outputs import check_outputs, files_of
        from wseg_tf.data.layouts import layout
        from wseg_tf.plots import plot_frequencies

        pairs = _find(path, dataset, split)
        outputs = json_target(report) + ([plot] if plot else [])
        check_outputs(outputs, [dataset, *files_of(pairs)])
        found = _inspect(pairs, dataset)
        classes = layout(dataset).classes
        counts = _counts(found)
        if not counts:
            refuse(found.problems[0].reason)
        totals = _totals(counts)
        # Weights are the training frames' own; a test split has no say.
        source = "train" if "train" in totals else next(iter(totals))
        weights = _weights(classes, totals[source])
        title = f"Share of labelled pixels, %; weights by {source}"
        _show_table(title, classes, totals, weights)
        shown = _drives(counts) if drives else totals
        plain = {name: _plain(each, classes) for name, each in shown.items()}
        by_name = {
            name: dict(zip(classes.names, map(float, each), strict=True))
            for name, each in weights.items()
        }
        write_json(report, {"statistics": plain, "weights": by_name})
        if drives:
            names = list(shown)
            for start in range(0, len(names), _COLUMNS):
                few = {n: shown[n] for n in names[start : start + _COLUMNS]}
                _show_table("By drive, %", classes, few, {})
        _say_drives(counts)
        if found.problems:
            ERRORS.print(
                f"{len(found.problems)} of {len(pairs)} pairs cannot be used "
                "and are not counted: `wseg data check` lists them."
            )
        if plot:
            _save(plot_frequencies(shown, classes), plot)
            say(f"Plot: {plot}")


@app.command()
def show(
    path: Folder,
    dataset: Dataset = "camvid",
    split: Splits = None,
    count: Annotated[
        int, typer.Option(min=1, max=64, help="Frames to show.")
    ] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the frames.")] = 0,
    out: Annotated[
        str, typer.Option(help="The picture (.png, .svg ...).")
    ] = "frames.png",
) -> None:
    """Draws frames, drawn by lot, with their labels painted over them."""
    with refusals():
        import numpy as np
        from PIL import Image

        from pipeline.commands.outputs import check_outputs, files_of
        from wseg_tf.data.inspection import read_checked
        from wseg_tf.data.layouts import layout
        from wseg_tf.plots import plot_frames

        pairs = _find(path, dataset, split)
        check_outputs([out], [dataset, *files_of(pairs)])
        count = min(count, len(pairs))
        random = np.random.default_rng(seed)
        chosen = sorted(random.choice(len(pairs), count, replace=False))
        found = layout(dataset)
        frames = {}
        for pair in (pairs[index] for index in chosen):
            checked = read_checked(pair, found)
            image, labels = (
                Image.open(io.BytesIO(encoded))
                for encoded in (checked.image, checked.label)
            )
            frames[f"{pair.split}: {pair.name}"] = (
                np.asarray(image.convert("RGB")),
                np.asarray(labels),
            )
        _save(plot_frames(frames, found.classes), out)
        say(f"{count} of {len(pairs)} frames: {out}")


@app.command()
def convert(
    path: Folder,
    out: Annotated[str, typer.Argument(help="The folder to make.")],
    dataset: Dataset = "camvid",
    split: Splits = None,
    allowed_failures: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of pairs that may be unfit."),
    ] = 0.0,
    shard_megabytes: Annotated[
        int, typer.Option(min=1, help="About how much a record file holds.")
    ] = 128,
    beam: Annotated[
        str,
        typer.Option(
            help="Beam's own options, e.g. \"--direct_num_workers=2 "
            '--direct_running_mode=multi_processing" or "--runner=FlinkRunner".'
        ),
    ] = "",
) -> None:
    """Writes TFRecords: all of them, or nothing."""
    with refusals():
        pairs = _by_split(_find(path, dataset, split))
        # After the look at the files: Beam takes seconds to load.
        from pipeline.ingest.convert import convert as write
        from wseg_tf.data.layouts import layout

        with _quiet_logs():
            counts = write(
                pairs,
                layout(dataset),
                out,
                allowed_failures,
                beam,
                shard_megabytes,
            )
        written = {
            name: sum(drive.images for drive in own.values())
            for name, own in counts.items()
        }
        listed = ", ".join(f"{name} {n}" for name, n in written.items())
        left_out = sum(map(len, pairs.values())) - sum(written.values())
        say(
            f"{out}: {sum(written.values())} records ({listed})"
            + (f"; {left_out} left out: quarantine.jsonl" * (left_out > 0))
            + "."
        )


@app.command()
def classes(
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="A built-in set, or a YAML file. Else all names."),
    ] = None,
) -> None:
    """Prints a set of classes as YAML, to copy and edit."""
    with refusals():
        from wseg_tf.classes import CLASS_SETS, class_set

        if name is not None:
            say(class_set(name).to_yaml().rstrip())
            return
        for each in CLASS_SETS:
            say(f"{each}: {len(class_set(each))} classes")


def _find(path: str, dataset: str, splits: list[str] | None) -> list[Pair]:
    from wseg_tf.data.layouts import find_pairs

    return find_pairs(dataset, path, splits or None)


def _inspect(pairs: list[Pair], dataset: str) -> Inspection:
    from wseg_tf.data.inspection import inspect
    from wseg_tf.data.layouts import layout

    return inspect(pairs, layout(dataset))


def _by_split(pairs: list[Pair]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.split, []).append(pair)
    return found


def _counts(found: Inspection) -> StatisticsBySplit:
    counts: StatisticsBySplit = {}
    for (split, drive), statistics in found.statistics.items():
        counts.setdefault(split, {})[drive] = statistics
    return counts


def _totals(counts: StatisticsBySplit) -> dict[str, PixelStatistics]:
    from pipeline.ingest.pixel_counts import total

    return {split: total(drives) for split, drives in counts.items()}


def _drives(counts: StatisticsBySplit) -> dict[str, PixelStatistics]:
    return {
        f"{split} {drive}": statistics
        for split, own in counts.items()
        for drive, statistics in sorted(own.items())
    }


def _weights(
    classes: ClassSet, training: PixelStatistics
) -> dict[str, list[float]]:
    from wseg_tf.data.statistics import class_weights, group_weights

    return {
        "median": list(class_weights(training)),
        "log": list(class_weights(training, "logarithmic")),
        "group log": list(group_weights(training, classes)),
    }


def _show_table(
    title: str,
    classes: ClassSet,
    shown: Mapping[str, PixelStatistics],
    weights: Mapping[str, list[float]],
) -> None:
    table = Table(title=title)
    table.add_column("class")
    table.add_column("group", justify="right")
    for heading in (*shown, *weights):
        table.add_column(heading, justify="right")
    statistics = shown.values()
    for k, name in enumerate(classes.names):
        shares = (f"{100 * s.frequencies[k]:.2f}" for s in statistics)
        own = (f"{each[k]:.2f}" for each in weights.values())
        table.add_row(name, str(classes.groups[k]), *shares, *own)
    table.add_section()
    for heading, row in (
        ("void, %", [f"{100 * s.void_share:.2f}" for s in statistics]),
        ("images", [f"{s.images:,}" for s in statistics]),
        ("HxW", [_sizes(s) for s in statistics]),
    ):
        table.add_row(heading, "", *row)
    SCREEN.print(table)


def _plain(statistics: PixelStatistics, classes: ClassSet) -> dict[str, Any]:
    shares = map(float, statistics.frequencies)
    return {
        "images": statistics.images,
        "void": float(statistics.void_share),
        "shares": dict(zip(classes.names, shares, strict=True)),
        "sizes": {f"{h}x{w}": n for (h, w), n in statistics.sizes.items()},
    }


def _sizes(statistics: PixelStatistics) -> str:
    """The commonest size, and how many others there are."""
    ordered = sorted(statistics.sizes, key=lambda s: -statistics.sizes[s])
    height, width = ordered[0]
    more = f" and {len(ordered) - 1} more" if len(ordered) > 1 else ""
    return f"{height}x{width}{more}"


def _say_alike(splits: Mapping[str, list[Pair]]) -> None:
    """Names images of one split that look like images of another."""
    from wseg_tf.data.likeness import find_alike

    for one, other in combinations(splits, 2):
        found = [*find_alike(splits[other], splits[one], os.cpu_count() or 1)]
        if found:
            first, theirs = found[0]
            say(
                f"Careful: of {other}, {len(found)} of "
                f"{len(splits[other])} images look like images of {one} (such "
                f"as {first.name} like {theirs.name}): the same, encoded again "
                "or resized, or a car that stands."
            )


def _say_drives(counts: StatisticsBySplit) -> None:
    """Names the drives two splits share: their frames resemble each other."""
    splits: dict[str, list[str]] = {}
    for split, drives in counts.items():
        for drive in drives:
            splits.setdefault(drive, []).append(split)
    for drive, names in sorted(splits.items()):
        if len(names) > 1:
            say(
                f"Drive {drive} is in {' and '.join(names)}: scores on one "
                "flatter a model trained on the other."
            )


def _save(figure: Figure, path: str) -> None:
    import tensorflow as tf

    suffix = re.search(r"\.(\w+)$", path)
    picture = io.BytesIO()
    figure.savefig(picture, format=suffix[1] if suffix else "png")
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(picture.getvalue())


@contextlib.contextmanager
def _quiet_logs() -> Iterator[None]:
    """Keeps Beam from printing the traceback of what is then refused."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
