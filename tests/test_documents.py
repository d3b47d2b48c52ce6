"""What the documents name is there, and their blocks run as they stand."""

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest
import typer.cli
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from tests.pages import PAGES, ROOT, Block, blocks, name, prose, run
from wseg_tf import configuration

pytestmark = pytest.mark.skipif(
    not keras.__version__.startswith("2"), reason="the pipeline is Keras 2's"
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCKS = [block for path in PAGES for block in blocks(path)]
# What a block of these languages says is checked; others are what is printed.
RUN = ("python", "sh")


def of(language: str) -> list[tuple[str, str]]:
    """Every block of a language, with the page it is in."""
    return [
        (each.page, each.text) for each in BLOCKS if each.language == language
    ]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for link in LINK.findall(prose(path)):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        # The site makes a page of each notebook.
        target = (path.parent / file).resolve() if file else path
        if target.parent.name == "notebooks":
            target = target.with_suffix(".ipynb")
        lost = not target.exists() or (anchor and anchor not in anchors(target))
        # Sources are for whoever changes them; readers get the reference.
        if lost or target.suffix == ".py":
            broken.append(link)
    assert broken == []


def commands() -> Iterator[tuple[str, str]]:
    """Every `wseg` command line of the shell blocks."""
    for page, text in of("sh"):
        for line in text.replace("\\\n", " ").splitlines():
            plain = line.split(" # ")[0].strip()
            for part in re.split(r"&&|;|\|", plain):
                found = re.match(r"(?:\S*/)?wseg +(.*)", part.strip())
                if found:
                    yield page, found[1]


def test_there_are_commands_in_the_documents() -> None:
    assert len({*commands()}) > 20


def parsed(line: str) -> None:
    """Reads a line as `wseg` does, and runs nothing."""
    from pipeline.cli import app

    command: Any = typer.main.get_command(app)
    # What the shell takes, and a number that the reader puts in.
    words = shlex.split(line.partition(" >")[0].replace(" VERSION", " 1"))
    while isinstance(command, TyperGroup):
        command, words = command.commands[words[0]], words[1:]
    if "..." not in words:
        command.make_context("wseg", words, resilient_parsing=False)


@pytest.mark.parametrize(("page", "line"), sorted({*commands()}))
def test_commands_and_options_exist(page: str, line: str) -> None:
    parsed(line)


@pytest.mark.parametrize(
    "line", ["shine", "data shine", "keys --shine", "data check"]
)
def test_a_command_that_there_is_not_is_seen(line: str) -> None:
    with pytest.raises(Exception, match=r"shine|Missing"):
        parsed(line)


def test_the_front_page_names_every_command() -> None:
    from pipeline.cli import app

    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    told = re.findall(r"`(?:wseg )?([a-z]+)", (ROOT / "README.md").read_text())
    assert {*command.commands} - {*told} == set()


@pytest.mark.parametrize(("page", "text"), of("python"))
def test_python_is_python_and_its_imports_are_there(
    page: str, text: str
) -> None:
    for node in ast.walk(ast.parse(text, page)):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        if node.module.partition(".")[0] not in ("wseg_tf", "pipeline"):
            continue
        module = importlib.import_module(node.module)
        for alias in node.names:
            assert hasattr(module, alias.name) or importlib.import_module(
                f"{node.module}.{alias.name}"
            ), f"{page}: {alias.name}"


@pytest.mark.parametrize(("page", "text"), of("yaml"))
def test_yaml_is_read_as_strictly_as_a_configuration(
    page: str, text: str
) -> None:
    configuration.parse_any(text, page)


def test_the_page_of_commands_is_what_typer_writes() -> None:
    told = ["--name", "wseg", "--title", "All commands"]
    words = ["pipeline.cli", "utils", "docs", *told]
    written = CliRunner().invoke(typer.cli.app, words).output
    page = ROOT / "docs" / "reference" / "commands.md"
    assert page.read_text().strip() == written.strip(), (
        "write it anew: python -m typer pipeline.cli utils docs --name wseg "
        "--title 'All commands' --output docs/reference/commands.md"
    )


def test_blocks_that_are_not_run_say_why() -> None:
    for block in BLOCKS:
        if block.said.startswith("Run by"):
            assert (ROOT / block.reason.split()[0].rstrip(",")).exists(), block
        elif block.said.startswith("Not run"):
            assert len(block.reason.split()) > 3, block
        else:
            assert block.said == "" or block.said.startswith("Setup"), block


RUNNING = [
    path
    for path in PAGES
    if any(each.language in RUN and not each.reason for each in blocks(path))
]


@pytest.mark.parametrize("path", RUNNING, ids=name)
def test_blocks_run_in_their_order(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("configs", "docs"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(path):
        if not block.reason:
            run(block, names)


def test_a_block_that_fails_is_seen(tmp_path: Path) -> None:
    for language, text in (
        ("python", "import wseg_tf\nwseg_tf.nothing"),
        ("sh", "wseg data check nowhere"),
        ("sh", "ls nowhere"),
        ("sh", "wseg keys training.ground  # exit code 2"),
    ):
        with pytest.raises((AssertionError, AttributeError)):
            run(Block("page", language, text, ""), {})
