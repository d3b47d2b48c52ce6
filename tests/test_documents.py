"""What the documents name is there: links, commands, options, imports, keys."""

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import keras
import pytest
import typer.main

from wseg_tf import configuration

pytestmark = pytest.mark.skipif(
    not keras.__version__.startswith("2"), reason="the pipeline is Keras 2's"
)
ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def blocks(language: str) -> list[tuple[str, str]]:
    """Every fenced block of a language, with the document it is in."""
    return [
        (path.name, re.sub(f"^{indent}", "", text, flags=re.MULTILINE))
        for path in DOCUMENTS
        for indent, kind, text in BLOCK.findall(path.read_text())
        if kind == language
    ]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    prose = re.sub(r"`[^`]*`", "", BLOCK.sub("", path.read_text()))
    for link in LINK.findall(prose):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def commands() -> Iterator[tuple[str, str]]:
    """Every `wseg` command line of the shell blocks."""
    for document, text in blocks("sh"):
        for line in text.replace("\\\n", " ").splitlines():
            plain = line.split(" # ")[0].strip()
            for part in re.split(r"&&|;|\|", plain):
                found = re.match(r"(?:\S*/)?wseg +(.*)", part.strip())
                if found:
                    yield document, found[1]


def test_there_are_commands_in_the_documents() -> None:
    assert len({*commands()}) > 20


@pytest.mark.parametrize(("document", "line"), sorted({*commands()}))
def test_commands_and_options_exist(document: str, line: str) -> None:
    from pipeline.cli import app

    command = typer.main.get_command(app)
    context = click.Context(command)
    words = shlex.split(line)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, f"{document}: wseg {line}"
        command, words = found, words[1:]
    if "..." in words:
        return
    command.make_context("wseg", words, resilient_parsing=False)


@pytest.mark.parametrize(("document", "text"), blocks("python"))
def test_python_is_python_and_its_imports_are_there(
    document: str, text: str
) -> None:
    for node in ast.walk(ast.parse(text, document)):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        if node.module.partition(".")[0] not in ("wseg_tf", "pipeline"):
            continue
        module = importlib.import_module(node.module)
        for alias in node.names:
            assert hasattr(module, alias.name) or importlib.import_module(
                f"{node.module}.{alias.name}"
            ), f"{document}: {alias.name}"


@pytest.mark.parametrize(("document", "text"), blocks("yaml"))
def test_yaml_is_read_as_strictly_as_a_configuration(
    document: str, text: str
) -> None:
    configuration.parse_any(text, document)
