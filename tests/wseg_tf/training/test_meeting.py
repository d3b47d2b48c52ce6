"""Workers wait for each other, and for nobody against their will."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from wseg_tf.training.meeting import wait_for


def ports(count: int) -> list[str]:
    found = [socket.create_server(("", 0)) for _ in range(count)]
    numbers = [each.getsockname()[1] for each in found]
    for each in found:
        each.close()
    return [f"localhost:{number}" for number in numbers]


def test_three_workers_meet_whoever_comes_last() -> None:
    names = ports(3)
    met: list[str] = []
    taken_over: list[socket.socket] = []

    def come(own: str) -> None:
        wait_for(names, own, 0.01)
        # As TensorFlow does: its server takes the port over.
        number = int(own.rpartition(":")[2])
        taken_over.append(socket.create_server(("", number)))
        met.append(own)

    threads = [threading.Thread(target=come, args=[each]) for each in names]
    for thread in threads[:2]:
        thread.start()
    time.sleep(0.2)
    assert not met
    threads[2].start()
    for thread in threads:
        thread.join(20)
    assert sorted(met) == sorted(names)
    for each in taken_over:
        each.close()


def test_alone_there_is_nobody_to_wait_for() -> None:
    [own] = ports(1)
    wait_for([own], own)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_waiting(number: signal.Signals) -> None:
    names = ports(2)
    script = (
        "import logging, sys; logging.basicConfig(level=logging.INFO)\n"
        "from wseg_tf.training.meeting import wait_for\n"
        f"wait_for({names}, {names[0]!r}, 0.01)"
    )
    waiting = subprocess.Popen(
        [sys.executable, "-c", script],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert waiting.stderr is not None
    for line in waiting.stderr:
        if "Waiting for the workers" in line:
            assert names[1] in line
            break
    waiting.send_signal(number)
    waiting.communicate(timeout=20)
    assert waiting.returncode == -number


def test_a_port_that_is_taken_is_told() -> None:
    [own, other] = ports(2)
    number = int(own.rpartition(":")[2])
    with (
        socket.create_server(("", number)),
        pytest.raises(ValueError, match=f"TF_CONFIG.*{own} .*in use"),
    ):
        wait_for([own, other], own)
