"""The wheel, installed with its core alone, goes through tutorial two."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from tests.pages import ROOT, Block, blocks, run
from tests.wheels import build

LOCK = "python310" if keras.__version__.startswith("2") else "keras3"
PAGE = ROOT / "docs" / "tutorials" / "own-keras-model.md"
SCRIPTS = """
import importlib.util, runpy, sys
import wseg_tf
assert wseg_tf.__file__.startswith(sys.prefix), wseg_tf.__file__
assert not importlib.util.find_spec("matplotlib")
for script in sys.argv[1:]:
    runpy.run_path(script, run_name="__main__")
"""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel and its core."""
    folder = tmp_path_factory.mktemp("installed")
    wheel, _ = build(folder)
    programs = folder / "clean" / "bin"
    for words in (
        [sys.executable, "-m", "venv", "--without-pip", programs.parent],
        [
            Path(sys.executable).with_name("uv"),
            *("pip", "install", "--python", programs / "python"),
            *("--constraint", ROOT / "locks" / f"{LOCK}.txt", wheel),
        ],
    ):
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return programs


def outside() -> dict[str, str]:
    """This environment without what would lead to these sources."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }


def test_what_is_trained_here_goes_on_and_is_exported_there(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    ordered: list[str] = []
    for block in blocks(PAGE):
        if block.language == "python":
            run(Block(block.page, "python", block.text, ""), {})
        else:
            ordered += block.text.split()[1::2]
    scripts = ("train", "own", "go_on", "export", "ask")
    assert ordered == [f"{name}.py" for name in scripts]
    try:
        runpy.run_path("train.py", run_name="__main__")
    finally:
        sys.modules.pop("street", None)
    done = subprocess.run(
        [
            clean / "python",
            "-c",
            "import sys; sys.path.insert(0, '')\n" + SCRIPTS,
        ]
        + ordered[1:],
        capture_output=True,
        text=True,
        env=outside(),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "steps before and after: 48 60" in done.stdout
    assert "(96, 128)" in done.stdout


def test_the_core_alone_says_what_the_command_lacks(clean: Path) -> None:
    done = subprocess.run(
        [clean / "wseg"], capture_output=True, text=True, env=outside()
    )
    assert done.returncode == 2
    assert "install `wseg_tf[pipeline]`" in done.stderr
