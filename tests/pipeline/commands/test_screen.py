import contextlib
import os
import signal
import subprocess
import sys

import pytest
import tensorflow as tf
from rich.table import Table

from pipeline.commands.screen import (
    ERRORS,
    INTERRUPTED,
    LONGEST,
    SCREEN,
    USER_ERROR,
    first_line,
    interruptible,
    iou_table,
    keep_loopback_direct,
    quiet_native,
    refusals,
    refuse,
    say,
)

# What a terminal's markup would swallow, colour or fail at.
NAMES = ["g[new]", "[red]car[/red]", "[/]", "a[0].b", "[link=x]", r"\[b]"]


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_printed_as_it_stands(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say(name)
    with pytest.raises(SystemExit):
        refuse(f"Received: {name}.")
    ERRORS.print(name)
    table = Table(title=name)
    table.add_column(name)
    table.add_row(name)
    SCREEN.print(table)
    SCREEN.print(iou_table(name, [(name, "class", 0.5)]))
    out, err = capsys.readouterr()
    assert out.count(name) == 6
    assert err == f"Received: {name}.\n{name}\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("Invalid a.\nAnd more."), "Invalid a.\n"),
        (PermissionError(13, "Permission denied", "x"), "x: Permission denied"),
        (OSError(30, "Read-only file system", "/r"), "/r: Read-only file"),
        (OSError("no errno"), "no errno"),
        (tf.errors.ResourceExhaustedError(None, None, "x; No space"), "x; No"),
        (
            tf.errors.UnknownError(
                None, None, "{{function_node f}} OSError: x: gone\nTraceback"
            ),
            "written: OSError: x: gone\n",
        ),
        (
            RuntimeError("Traceback ... DataError: x: bad [while running 'a']"),
            "x: bad\n",
        ),
    ],
)
def test_what_a_user_can_mend_is_one_sentence_and_exit_code_2(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, refusals():
        raise error
    assert ended.value.code == USER_ERROR
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_what_cpp_says_is_kept_off_the_screen(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for fails in (False, True):
        with contextlib.suppress(ValueError), quiet_native():
            os.write(2, b"from C++\n")
            if fails:
                raise ValueError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_ctrl_c_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, interruptible():
        raise KeyboardInterrupt
    assert ended.value.code == INTERRUPTED
    assert capsys.readouterr().err == "Interrupted; nothing was kept.\n"


def test_ctrl_c_that_a_library_makes_an_error_of_is_quiet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stumble() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise ValueError("'NoneType' object has no attribute 'flags'")

    with pytest.raises(SystemExit) as ended, refusals():
        stumble()
    assert ended.value.code == INTERRUPTED
    assert capsys.readouterr().err == "Interrupted; nothing was kept.\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    # And the next error is one again.
    with pytest.raises(SystemExit) as ended, refusals():
        raise ValueError("not 3")
    assert ended.value.code == USER_ERROR


def test_ctrl_c_while_it_loads_is_quiet() -> None:
    code = (
        "import signal, sys\n"
        "import pipeline.cli\n"
        "def app(): signal.raise_signal(signal.SIGINT)\n"
        "pipeline.cli.app = app\n"
        "from pipeline.__main__ import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (INTERRUPTED, "Interrupted.\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "localhost,127.0.0.1,::1"),
        ("", "localhost,127.0.0.1,::1"),
        ("a.org, localhost", "a.org,localhost,127.0.0.1,::1"),
    ],
)
def test_loopback_never_goes_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    if before is not None:
        monkeypatch.setenv("no_proxy", before)
    keep_loopback_direct()
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        assert os.environ[name] == after
        monkeypatch.setenv(name, os.environ[name])  # Restored afterwards.


def test_a_sentence_ends_and_controls_no_screen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = first_line(ValueError(f"Expected a. {'x' * 9999} Received: \x1b[2J"))
    assert said.startswith("Expected a. xxx")
    assert said.endswith("xxx Received: \\x1b[2J")
    assert len(said) == LONGEST
    with pytest.raises(SystemExit):
        refuse(f"Received: \x1b[2J\ud800{'y' * 9999}")
    _, err = capsys.readouterr()
    assert err.startswith("Received: \\x1b[2J\\ud800yyy")
    assert len(err) == LONGEST + 1
    # A path may hold what Python splits lines at.
    assert first_line(ValueError("a\x1cb\nc")) == "a\\x1cb"
