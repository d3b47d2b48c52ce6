import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wseg_tf.configuration import ConfigurationError
from wseg_tf.locks import InUseError, held

HOLD = """
import sys, time
from wseg_tf.locks import held
with held(sys.argv[1], "a test"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that holds the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_another_process_is_refused_and_told_who_holds_it(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    said = rf"in use by a test \(process {holder.pid} on "
    with pytest.raises(InUseError, match=said), held(str(tmp_path), "a run"):
        pass


def test_a_killed_holder_holds_nothing(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with held(str(tmp_path), "a run"):
        assert {*os.listdir(tmp_path)} == {".lock", ".lock.json"}
    assert {*os.listdir(tmp_path)} <= {".lock"}


def test_who_waits_gets_it(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    later = multiprocessing.get_context("spawn").Process(
        target=_kill_later, args=(holder.pid,)
    )
    later.start()
    with held(str(tmp_path), "a run", wait=30):
        pass
    later.join()


def _kill_later(process: int) -> None:
    time.sleep(0.5)
    os.kill(process, signal.SIGKILL)


def test_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with (
        held(str(tmp_path), "a run"),
        pytest.raises(InUseError),
        held(str(tmp_path), "another"),
    ):
        pass
    with held(str(tmp_path), "a run"):  # Free again.
        pass


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigurationError, match="can be written to"),
        held(str(tmp_path / "file" / "below"), "a test"),
    ):
        pass
