"""JSON beside tables: alone on the screen, and without what JSON lacks."""

import ast
import inspect
import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline import commands
from pipeline.cli import app
from pipeline.commands.json_output import json_target, write_json
from pipeline.commands.screen import SCREEN, USER_ERROR, say

ROOT = Path(inspect.getfile(commands)).parent
STEP = "training.ground.map=step"
DEMO = str(Path(__file__).parents[3] / "configs" / "demo.yaml")


def test_every_command_that_prints_a_table_has_json() -> None:
    """By its source: the next table cannot be forgotten."""
    printing = set()
    for path in ROOT.glob("*.py"):
        text = path.read_text()
        makes_tables = any(
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") in ("Table", "iou_table")
            for node in ast.walk(ast.parse(text))
        )
        if makes_tables and path.stem != "screen":
            printing.add(path.stem)
            assert "write_json(" in text, path.stem
            assert ": JsonFile = None" in text, path.stem
    assert {"doctor", "evaluate", "ground", "data", "models"} <= printing


def test_json_is_alone_on_the_screen(tmp_path: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["ground", "show", DEMO, "--json", "-"])
    assert done.exit_code == 0
    shown = json.loads(done.stdout)
    assert shown["D"]["pedestrian"]["pole"] == 4
    assert shown["D"]["pole"]["pedestrian"] == 2
    assert shown["groups"]["pedestrian"] == 4
    assert "rows are the group" in done.stderr
    # The next command prints where it always did.
    path = tmp_path / "ground.json"
    done = runner.invoke(
        app,
        ["ground", "show", DEMO, STEP, "--json", str(path)],
    )
    assert "rows are the group" in done.stdout
    assert json.loads(path.read_text())["f(D)"]["pedestrian"]["pole"] == 1
    assert json.loads(path.read_text())["D"]["pedestrian"]["pole"] == 4


def test_what_json_lacks_is_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"a": [math.nan, (1, math.inf)], "b": "nan", "c": {"d": -math.inf}}
    path = tmp_path / "values.json"
    write_json(None, values)
    assert json_target(None) == json_target("-") == []
    try:
        assert json_target(str(path)) == [str(path)]
        say("a line")
        write_json("-", values)
    finally:
        SCREEN.stderr = False
    write_json(str(path), values)
    expected = {"a": [None, [1, None]], "b": "nan", "c": {"d": None}}
    out, err = capsys.readouterr()
    assert json.loads(out) == json.loads(path.read_text()) == expected
    assert err == "a line\n"


@pytest.mark.parametrize(
    "command",
    [
        ["doctor"],
        ["models"],
        ["ground", "show", DEMO],
        ["run", DEMO],
        ["train", DEMO],
    ],
    ids=lambda command: command[0],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    target = str(tmp_path / "file" / "values.json")
    done = CliRunner().invoke(app, [*command, "--json", target])
    assert done.exit_code == USER_ERROR, done.output
    assert "file is no folder" in done.output
    assert "Traceback" not in done.output
