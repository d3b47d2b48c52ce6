"""Beam's portable runner Prism, and workers that it is told of."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[3]
SECONDS = 120


def binary() -> str | None:
    """Returns the program that `make prism` builds, if it is there."""
    return shutil.which(ROOT / ".prism" / "prism") or shutil.which("prism")


@contextlib.contextmanager
def prism(folder: Path) -> Iterator[list[str]]:
    """Starts the job server and a pool of workers.

    Args:
        folder: Where both write their logs.

    Yields:
        The options of a job.
    """
    program = binary()
    assert program is not None
    job, pool = _free_port(), _free_port()
    # The pool starts `python` by its name.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    commands = [
        [program, f"--job_port={job}", "--serve_http=false"],
        [
            sys.executable,
            *("-m", "apache_beam.runners.worker.worker_pool_main"),
            f"--service_port={pool}",
        ],
    ]
    with contextlib.ExitStack() as ends:
        for command, port in zip(commands, (job, pool), strict=True):
            log = ends.enter_context(open(folder / f"{port}.log", "wb"))
            process = subprocess.Popen(
                command,
                env={**os.environ, "PATH": path},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            ends.callback(_end, process)
            _await(port, process)
        yield [
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{job}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{pool}",
        ]


def kill_workers() -> int:
    """Kills the workers that jobs of this process have; says how many."""
    workers = [
        child
        for child in psutil.Process().children(recursive=True)
        if "SdkHarness(" in " ".join(child.cmdline())
    ]
    for worker in workers:
        worker.kill()
    return len(workers)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _await(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("localhost", port)) == 0:
                return
        assert process.poll() is None, "It ended."
        assert time.monotonic() < until, "It does not answer."
        time.sleep(0.1)
