"""`wseg experiment`: compares losses from the same start."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands.arguments import DataFolder, Overrides
from pipeline.commands.screen import refusals, refuse, say
from pipeline.commands.train import endings, log_lines

if TYPE_CHECKING:
    from pipeline.experiments.results import Results

Comparison = Annotated[
    str,
    typer.Argument(
        help="A file of configs/tables/, or each results.json of one plan."
    ),
]
Summary = Annotated[
    bool, typer.Option("--summary", help="Show the tested differences alone.")
]
Trained = Annotated[
    bool,
    typer.Option(
        "--trained", help="Beside --summary: leave out what decides by D."
    ),
]
Plots = Annotated[
    Optional[str],  # noqa: UP045 (typer reads it at run time)
    typer.Option(help="A folder for the pictures of methods, too."),
]

Reference = Annotated[
    Optional[str],  # noqa: UP045 (typer reads it at run time)
    typer.Option(help="Of a results.json: what methods are compared with."),
]


def experiment(
    comparison: Comparison,
    overrides: Overrides = None,
    data: DataFolder = None,
    summary: Summary = False,
    trained: Trained = False,
    plots: Plots = None,
    reference: Reference = None,
) -> None:
    """Trains all methods with all seeds; run again, it goes on.

    Of the results.json of an earlier comparison, it shows the tables again; of
    several, whose seeds are others, one table of all seeds.
    """
    if trained and not summary:
        with refusals():
            refuse(
                "Invalid value for argument `--trained`. Expected `--summary` "
                "beside it. Received: --trained alone."
            )
    if comparison.endswith(".json"):
        found = _read([comparison, *(overrides or [])], data, reference)
        _show(found, summary, trained)
        _draw(found, plots)
        return
    with contextlib.ExitStack() as stack:
        with refusals():
            if reference is not None:
                refuse(
                    "Invalid value for argument `--reference`. Expected none "
                    "beside a plan, which takes reference=NAME. Received: "
                    f"{reference}."
                )
            from pipeline.experiments import plan, report, run
            from pipeline.experiments.frames import find_frames

            chosen = plan.load(comparison, overrides or [], data)
            stack.enter_context(run.alone(chosen))
            frames = find_frames(chosen)
        with endings(plan.folder(chosen)), log_lines():
            outcomes = run.run(chosen, frames)
            found = report.write(chosen, frames, outcomes)
    _show(found, summary, trained)
    _draw(found, plots)
    say(f"Results: {plan.folder(chosen)}/results.md and results.json")


def _read(paths: list[str], data: str | None, reference: str | None) -> Results:
    with refusals():
        from pipeline.experiments.joining import compared, joined
        from pipeline.experiments.results import read

        others = [each for each in paths if not each.endswith(".json")]
        if given := [each for each in (*others, data) if each]:
            refuse(
                "Invalid arguments. Expected none beside a results.json but "
                "another: its figures are of what it was run with. Received: "
                f"{given}."
            )
        found = joined([read(path) for path in paths])
        return found if reference is None else compared(found, reference)


def _show(results: Results, summary: bool, trained: bool) -> None:
    from pipeline.experiments import report, tables

    computed = tables.figures(results)
    if summary:
        say(tables.summary(results, computed, trained))
    else:
        say(report.page(results, computed))


def _draw(results: Results, folder: str | None) -> None:
    if folder is None:
        return
    with refusals():
        from pipeline.experiments import report, tables

        report.draw(results, tables.figures(results), folder)
