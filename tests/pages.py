"""Runs the blocks of a page as its reader would, in one process.

A comment above a block says what a reader need not see: `Not run: WHY`, or
`Run by FILE`, a test. `<!-- Setup ... -->` holds Python that runs before the
next block, such as a model that the reader is told to have. A block that
begins with `# NAME.py` is a file of that name.
"""

from __future__ import annotations

import glob
import re
import runpy
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]
BLOCK = re.compile(
    r"(?:^<!-- (?P<said>(?:(?!-->).)*?) ?-->\n\n?)?"
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^ *```",
    re.MULTILINE | re.DOTALL,
)
FILE = re.compile(r"# ([\w/]+\.py)\b")
# What a shell keeps for the lines below, as in VERSION=$(ls folder | tail -1).
KEPT = re.compile(r"(\w+)=\$\((.*)\)")
EXIT = re.compile(r"#.*exit code (\d+)")


@dataclass(frozen=True)
class Block:
    """A block of a page."""

    page: str
    language: str
    text: str
    said: str

    @property
    def reason(self) -> str:
        """Why it is not run, or which test runs it; empty if it is run."""
        told = re.match(r"(Not run: |Run by )(.*)", self.said, re.DOTALL)
        return told[2] if told else ""


def name(path: Path) -> str:
    """Names a page in tests."""
    return str(path.relative_to(ROOT))


def blocks(path: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    for found in BLOCK.finditer(path.read_text()):
        text = re.sub(f"^{found['indent']}", "", found["text"], flags=re.M)
        yield Block(name(path), found["language"], text, found["said"] or "")


def prose(path: Path) -> str:
    """A page without its code."""
    return re.sub(r"`[^`]*`", "", BLOCK.sub("", path.read_text()))


def shell_lines(text: str) -> Iterator[str]:
    """The commands of a block, each with its continuation and its input."""
    lines = iter(text.replace("\\\n", " ").splitlines())
    for line in lines:
        here = re.search(r"<<'(\w+)'", line)
        while here and not line.endswith(f"\n{here[1]}"):
            line += "\n" + next(lines)
        while line.count("'") % 2 or line.count('"') % 2:
            line += "\n" + next(lines)
        if line.strip():
            yield line


def run(block: Block, names: dict[str, Any]) -> None:
    """Runs a block where the process is; `names` are the page's own."""
    if block.said.startswith("Setup"):
        exec(block.said.removeprefix("Setup"), names)
    if block.language == "python":
        file = FILE.match(block.text)
        if file:
            Path(file[1]).parent.mkdir(exist_ok=True)
            Path(file[1]).write_text(block.text)
        else:
            exec(compile(block.text, block.page, "exec"), names)
    elif block.language == "sh":
        for line in shell_lines(block.text):
            _command(line, names)


def _command(line: str, names: dict[str, Any]) -> None:
    """Runs `wseg` and `python` in this process, anything else by bash."""
    told, kept = EXIT.search(line), KEPT.fullmatch(line)
    words = [] if "<<" in line else shlex.split(line, comments=True)
    if words[:1] == ["wseg"]:
        from typer.testing import CliRunner

        from pipeline.cli import app

        words = [each for word in words for each in _expanded(word, names)]
        to = words.index(">") if ">" in words else len(words)
        done = CliRunner().invoke(app, words[1:to])
        code, output = done.exit_code, done.output
        if words[to:]:
            Path(words[to + 1]).write_text(output)
    elif words[:2] == ["python", "-c"]:
        exec(words[2], {})
        return
    elif words[:1] == ["python"] and words[1].endswith(".py"):
        runpy.run_path(words[1], run_name="__main__")
        return
    else:
        ended = subprocess.run(
            ["bash", "-euc", kept[2] if kept else line],
            capture_output=True,
            text=True,
        )
        code, output = ended.returncode, ended.stdout + ended.stderr
        if kept:
            names[kept[1]] = ended.stdout.strip()
    assert code == (int(told[1]) if told else 0), f"{line}\n{output}"


def _expanded(word: str, names: dict[str, Any]) -> list[str]:
    """Returns what a shell would make of a word: variables and patterns."""
    word = Template(word).safe_substitute(names)
    return sorted(glob.glob(word)) or [word]
