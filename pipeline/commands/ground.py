"""`wseg ground`: what a ground matrix says, and a first one to edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.table import Table

from pipeline.commands.arguments import JsonFile, Overrides
from pipeline.commands.json_output import json_target, write_json
from pipeline.commands.screen import SCREEN, refusals, say

if TYPE_CHECKING:
    from wseg_tf.classes import ClassSet
    from wseg_tf.ground import GroundMatrix
    from wseg_tf.ground.words import Share

# Everything heavy is imported inside the commands, as in pipeline.commands.run.

app = typer.Typer(
    help="Shows, explains and proposes ground matrices.", no_args_is_help=True
)

Source = Annotated[
    str,
    typer.Argument(
        help="A file of configs/, or a D of YAML or CSV with names."
    ),
]
Classes = Annotated[
    Optional[str],  # noqa: UP045 (typer reads it at run time)
    typer.Option(help="Class set of a D file: a name or a file."),
]
CSV = ".csv"


@app.command()
def show(
    source: Source,
    overrides: Overrides = None,
    classes: Classes = None,
    out: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Draw it: a PNG, SVG or PDF to write."),
    ] = None,
    report: JsonFile = None,
) -> None:
    """Prints D by importance groups, before and after its map f."""
    with refusals():
        from pipeline.commands.outputs import check_outputs
        from wseg_tf.filesystems import local_target
        from wseg_tf.plots import plot_ground

        outputs = json_target(report) + ([out] if out else [])
        check_outputs(outputs, [source, classes or source])
        before, after, described = _read(source, classes, overrides or [])
        names = before.classes or ()
        kind = "no structure" if after.kind == "none" else f"a {after.kind}"
        say(f"{source}: {len(names)} classes; {kind}")
        if described is not None:
            SCREEN.print(_by_groups("D", before, described))
            if after != before:
                SCREEN.print(_by_groups("f(D)", after, described))
        elif out is None:
            SCREEN.print(_by_classes(before))
        write_json(report, _plain(before, after, described))
        if out is not None:
            figure = plot_ground(after, described)
            with local_target(out) as path:
                figure.savefig(path, dpi=150)
            say(f"Written: {out}")


@app.command()
def explain(
    source: Source,
    name: Annotated[str, typer.Argument(metavar="CLASS", help="A class.")],
    classes: Classes = None,
) -> None:
    """Says in words what taking a class for others costs."""
    with refusals():
        from wseg_tf.ground import words

        _, ground, _ = _read(source, classes)
        for line in words.explain(ground, name):
            say(line)


@app.command()
def propose(
    classes: Annotated[str, typer.Argument(help="A class set, or its file.")],
    out: Annotated[
        str, typer.Option(help="The D to write: a new .yaml or .csv file.")
    ],
    severities: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="YAML: what losing a pixel costs, by group or class; "
            "`{4: 6, pedestrian: 10}` or a file."
        ),
    ] = None,
    within: Annotated[
        float, typer.Option(min=0, max=1, help="Share of it inside a group.")
    ] = 0.5,
    confusion: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="What `wseg evaluate --confusion` wrote."),
    ] = None,
    report: JsonFile = None,
) -> None:
    """Writes a first D; with a confusion, says where it would hurt."""
    with refusals():
        from pipeline.commands.outputs import check_outputs
        from wseg_tf.classes import class_set
        from wseg_tf.ground import words

        read = [each for each in (classes, severities, confusion) if each]
        check_outputs([out, *json_target(report)], read)
        described = class_set(classes)
        ground = words.propose(described, _severities(severities), within)
        counts = None if confusion is None else _counts(confusion, described)
        _write(ground, out)
        say(f"Written: {out}. Edit it, then name it as training.ground.file.")
        found = [] if counts is None else words.shares(ground, counts)
        if counts is not None:
            SCREEN.print(_shares(found))
        shares = [asdict(each) for each in found]
        write_json(report, {"D": _named(ground), "shares": shares})


def _read(
    source: str, classes: str | None, overrides: Sequence[str] = ()
) -> tuple[GroundMatrix, GroundMatrix, ClassSet | None]:
    """D before and after its map, and the class set if it is known."""
    from dataclasses import replace

    from pipeline.config.loading import load, parts
    from wseg_tf import configuration
    from wseg_tf.classes import class_set
    from wseg_tf.ground import GroundMatrix
    from wseg_tf.training.objectives import build_ground

    is_matrix = source.endswith(CSV) or "values" in configuration.parse(
        configuration.text_of(source), source
    )
    if is_matrix and overrides:
        raise ValueError(
            "Invalid value for argument `overrides`. Expected none for a "
            f"matrix, {source}. Received: {list(overrides)}."
        )
    if not is_matrix:
        judged = parts(load(source, overrides))[-1]
        described = judged.data.class_set
        options = judged.training.ground
        plain = build_ground(replace(options, map="linear"), described)
        return plain, build_ground(options, described), described
    read = (
        GroundMatrix.from_csv
        if source.endswith(CSV)
        else GroundMatrix.from_yaml
    )
    ground = read(source)
    if ground.classes is None:
        raise ValueError(
            f"{source}: Expected class names beside the costs. Received: none."
        )
    if classes is None:
        return ground, ground, None
    described = class_set(classes)
    ground = ground.subset(described)
    return ground, ground, described


def _severities(given: str | None) -> dict[str, float]:
    from wseg_tf import configuration

    if given is None:
        return {}
    is_file = given.endswith((".yaml", ".yml"))
    text = configuration.text_of(given) if is_file else given
    read = configuration.parse_any(text, "--severities")
    if not isinstance(read, dict) or not all(
        isinstance(cost, (int, float)) and not isinstance(cost, bool)
        for cost in read.values()
    ):
        raise ValueError(
            "Invalid value for option `--severities`. Expected a cost for each "
            f"group or class, as `{{4: 6, pedestrian: 10}}`. Received: {given}."
        )
    return {str(key): float(cost) for key, cost in read.items()}


def _counts(path: str, classes: ClassSet) -> list[list[float]]:
    """The counts of a file, in the class set's order."""
    from wseg_tf.ground.files import named_in_errors, read_csv
    from wseg_tf.ground.validation import positions

    with named_in_errors(path):
        rows, names = read_csv(path)
        if names is None:
            raise ValueError("Expected class names. Received: none.")
        places = positions(classes.names, tuple(names))
    return [[rows[row][column] for column in places] for row in places]


def _write(ground: GroundMatrix, out: str) -> None:
    import tensorflow as tf

    if not out.endswith((CSV, ".yaml", ".yml")) or tf.io.gfile.exists(out):
        raise ValueError(
            "Invalid value for option `--out`. Expected a new file that ends "
            f"in .yaml or .csv. Received: {out}."
        )
    (ground.to_csv if out.endswith(CSV) else ground.to_yaml)(out)


def _by_groups(title: str, ground: GroundMatrix, classes: ClassSet) -> Table:
    from wseg_tf.ground.words import by_groups

    costs = by_groups(ground, classes)
    table = Table(title=f"{title}: rows are the group that was there")
    table.add_column("group")
    levels = sorted(classes.levels, reverse=True)
    for level in levels:
        table.add_column(f"taken for {level}", justify="right")
    for true in levels:
        cells = [costs.get((true, predicted)) for predicted in levels]
        table.add_row(
            f"{true}: {', '.join(classes.members(true))}",
            *["" if cell is None else _range(*cell) for cell in cells],
        )
    return table


def _range(least: float, largest: float) -> str:
    return f"{least:.4g}" if least == largest else f"{least:.4g}-{largest:.4g}"


def _by_classes(ground: GroundMatrix) -> Table:
    table = Table(title="D: rows are what was there")
    table.add_column("")
    for name in ground.classes or ():
        table.add_column(name, justify="right")
    for name, row in zip(ground.classes or (), ground.values, strict=True):
        table.add_row(name, *[f"{cost:.4g}" for cost in row])
    return table


def _plain(
    before: GroundMatrix, after: GroundMatrix, classes: ClassSet | None
) -> dict[str, Any]:
    """What `show` says, and every number of D before and after its map."""
    groups = None
    if classes is not None:
        groups = dict(zip(classes.names, classes.groups, strict=True))
    return {
        "kind": after.kind,
        "groups": groups,
        "D": _named(before),
        "f(D)": _named(after),
    }


def _named(ground: GroundMatrix) -> dict[str, dict[str, float]]:
    """The costs by name, what was there first."""
    names = ground.classes or ()
    return {
        name: dict(zip(names, row, strict=True))
        for name, row in zip(names, ground.values.tolist(), strict=True)
    }


def _shares(shares: Sequence[Share]) -> Table:
    table = Table(title="Where the severity of that model comes from")
    for heading in ("true", "taken for", "cost", "pixels", "share"):
        table.add_column(heading, justify="right")
    for found in shares:
        table.add_row(
            found.true,
            found.predicted,
            f"{found.cost:.4g}",
            f"{found.pixels:,}",
            f"{found.share:.1%}",
        )
    return table
