"""The page of keys is what the dataclasses say, and all of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.commands.keys import page, sections
from pipeline.config.reference import keys

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


@dataclass
class Inner:
    """Within.

    Args:
        cost: What it costs; a colon: is
            no new entry.
    """

    cost: float = 0.5


@dataclass
class Outer(Inner):
    """Around.

    Args:
        one: The one.
        several: Some.
        changed: The one with another default.
        names: Names.

    Raises:
        ValueError: Never.
    """

    one: Inner = field(default_factory=Inner)
    several: list[Inner] = field(default_factory=list)
    changed: Inner = field(default_factory=lambda: Inner(2.0))
    names: Optional[dict[str, int]] = None  # noqa: UP045


def test_keys_are_told_once_with_their_own_defaults():
    meaning = "What it costs; a colon: is no new entry."
    assert [
        (key.name, key.kind, key.default, key.meaning) for key in keys(Outer)
    ] == [
        ("cost", "number", "0.5", meaning),
        ("one", "", "", "The one."),
        ("one.cost", "number", "0.5", meaning),
        ("several", "", "", "Some."),
        ("several[].cost", "number", "0.5", meaning),
        ("changed", "", "", "The one with another default."),
        ("changed.cost", "number", "2.0", meaning),
        ("names", "whole number by name or null", "null", "Names."),
    ]


def test_every_key_of_every_configuration_has_a_meaning():
    for title, found in sections():
        assert found, title
        assert [key.name for key in found if not key.meaning] == []


def test_the_page_is_what_the_command_prints():
    assert PAGE.read_text() == page(dict(sections())) + "\n", (
        "write it anew: wseg keys --markdown > docs/configuration.md"
    )


def test_the_command_lists_what_begins_so_and_refuses_what_is_nothing():
    done = CliRunner().invoke(app, ["keys", "training.ground.t"])
    assert done.exit_code == 0
    assert done.output.startswith(
        "training.ground.tau (number, above 0; 2.0)\n    Where"
    )
    assert done.output.count("\n") == 2
    assert CliRunner().invoke(app, ["keys", "trainig"]).exit_code == 2
