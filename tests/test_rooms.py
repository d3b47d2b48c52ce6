"""Imports run one way: down the lists of rooms, never up."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the top of the house down; docs/architecture.md shows it.
ROOMS = {
    "pipeline": [
        "__main__",
        "cli",
        "commands",
        "experiments",
        "runners",
        "adaptation",
        "graph",
        "report",
        "release",
        "training",
        "ingest",
        "config",
        "gate",
        "machines",
    ],
    "wseg_tf": [
        "registration",
        "adaptation",
        "training",
        "plots",
        "conversion",
        "serving",
        "cards",
        "function_names",
        "saved_models",
        "views",
        "decisions",
        "losses",
        "metrics",
        "transport",
        "data",
        "models",
        "ground",
        "classes",
        "palettes",
        "class_ids",
        "pixel_weights",
        "refusal",
        "class_values",
        "code",
        "locks",
        "configuration",
        "overriding",
        "array_files",
        "json_files",
        "typed",
        "ranges",
        "filesystems",
        "file_digests",
    ],
}


# What the library must not lean on.
OUTSIDE = ("pipeline", "tfx", "apache_beam")


def room(module: str) -> tuple[str, str]:
    """Returns the package of a module and its room, "" for the package."""
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0]


def imported(path: Path) -> Iterator[str]:
    """Yields the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            yield from (f"{node.module}.{each.name}" for each in node.names)


def upward(package: str, order: list[str]) -> Iterator[str]:
    """Yields the imports that run up, or out of the house, in a package."""
    for path in sorted((ROOT / package).rglob("*.py")):
        place = path.relative_to(ROOT / package).with_suffix("").parts
        own = place[0]
        if own == "__init__":
            continue  # The package's front door names what is behind it.
        assert own in order, f"{path} is in no room of the list"
        for module in imported(path):
            other, its = room(module)
            if other == package and its in order:
                if order.index(its) < order.index(own):
                    yield f"{path.relative_to(ROOT)} imports {module}"
            elif package == "wseg_tf" and other in OUTSIDE:
                yield f"{path.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("package", ROOMS)
def test_imports_run_down(package: str) -> None:
    assert list(upward(package, ROOMS[package])) == []


def test_every_room_is_in_the_list_and_there() -> None:
    for package, order in ROOMS.items():
        there = {
            path.stem
            for path in (ROOT / package).iterdir()
            if path.suffix == ".py" or (path / "__init__.py").exists()
        }
        assert there - {"__init__"} == {*order}


def test_tests_mirror_the_rooms() -> None:
    for package, order in ROOMS.items():
        for folder in (ROOT / "tests" / package).iterdir():
            if folder.is_dir() and folder.name != "__pycache__":
                assert folder.name in order


def test_an_import_that_runs_up_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.test_rooms.ROOT", tmp_path)
    for name, text in (
        ("pipeline/gate/rules.py", "def f():\n    import pipeline.cli"),
        ("pipeline/cli.py", "from pipeline import gate"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert list(upward("pipeline", ROOMS["pipeline"])) == [
        "pipeline/gate/rules.py imports pipeline.cli"
    ]
