"""`wseg keys`: every key of a configuration, what it takes and means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.screen import quiet_imports, refuse, say

if TYPE_CHECKING:
    from pipeline.config.reference import Key

# Everything heavy is imported inside the commands, as in pipeline.commands.run.

HEAD = """# Every key of a configuration

`wseg keys training.ground` prints those that begin so. What a file leaves out
has its default; a key that is not listed is refused. On the command line
`training.batch=4` sets one, and `training.stages.0.epochs=2` one of the first
stage. This page is what `wseg keys --markdown` prints.
"""
RUN = "A run: `wseg run`, `wseg train`"
ADAPTATION = "An adaptation: what it has beside a run's"
EXPERIMENT = "A comparison: `wseg experiment`"


def keys(
    start: Annotated[
        str, typer.Argument(help="How they begin; all by default.")
    ] = "",
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As docs/configuration.md.")
    ] = False,
) -> None:
    """Lists the keys of configurations: type, default and meaning."""
    quiet_imports()
    found = dict(sections())
    if markdown:
        say(page(found))
        return
    listed = [
        key
        for section in found.values()
        for key in section
        if key.name.startswith(start)
    ]
    if not listed:
        refuse(
            "Invalid value for argument `start`. Expected the beginning of a "
            f"key, e.g. `training.ground`. Received: {start!r}."
        )
    for key in listed:
        takes = f" ({key.kind}; {key.default})" if key.kind else ""
        say(f"{key.name}{takes}\n    {key.meaning}")


def sections() -> Iterator[tuple[str, list[Key]]]:
    """The keys of each kind of configuration that were not told of before."""
    from pipeline.config import reference
    from pipeline.config.adaptation_config import AdaptationConfig
    from pipeline.config.pipeline_config import PipelineConfig
    from pipeline.experiments.plan import Experiment

    told: reference.Told = {}
    run = list(reference.keys(PipelineConfig, told=told))
    shared = {key.name for key in run}
    yield RUN, run
    own = reference.keys(AdaptationConfig, told=told)
    yield ADAPTATION, [key for key in own if key.name not in shared]
    yield EXPERIMENT, list(reference.keys(Experiment, told=told))


def page(found: dict[str, list[Key]]) -> str:
    """The page of the documentation."""
    from pipeline.config.reference import markdown

    parts = [f"## {title}\n\n{markdown(rows)}" for title, rows in found.items()]
    return "\n".join([HEAD, *parts]).rstrip()
