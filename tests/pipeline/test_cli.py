"""The `wseg` command as a whole: completion, and screens that are logs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


RUN = "import sys; sys.argv[0] = 'wseg'; from pipeline.cli import main; main()"


def wseg(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env={**os.environ, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_shell_completes_commands() -> None:
    done = wseg(
        _WSEG_COMPLETE="complete_bash", COMP_WORDS="wseg gr", COMP_CWORD="1"
    )
    assert (done.returncode, done.stdout) == (0, "ground\n")


def test_what_is_no_terminal_gets_lines_without_codes() -> None:
    """Also where the terminal type would have colours."""
    done = wseg("ground", "show", "configs/demo.yaml", TERM="xterm-256color")
    assert done.returncode == 0, done.stderr
    assert "pedestrian" in done.stdout
    for text in (done.stdout, done.stderr):
        assert "\x1b" not in text
        assert "\r" not in text
    assert done.stderr == ""
