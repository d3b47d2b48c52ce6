"""A Beam engine of this project's own kind: a job server over worker pools.

Beam's Python job server runs a job on workers of other processes, but waits
for ever for one that died. Here the job starts again, without it: what a job
writes appears whole at its end, so that nothing is lost and nothing is twice.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from apache_beam.options.pipeline_options import DirectOptions
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_job_api_pb2,
)
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import (
    fn_runner,
    worker_handlers,
)

from pipeline.runners.worker_pool import serve

LOG = logging.getLogger(__name__)

ATTEMPTS = 4
# Seconds in which a pool must answer, and a process must start to.
ANSWER, START = 10, 120
# Seconds that a job may take.
LONGEST = 30 * 86_400
# What is said of a worker that is gone, here and by Beam.
LOST = "A worker was lost."
CLOSED = "Channel closed prematurely"
POOL = [sys.executable, "-m", "pipeline.runners.worker_pool"]


class Pools(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Several pools as one: each worker starts on the next that answers.

    Args:
        addresses: HOST:PORT of each pool.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._turn = itertools.cycle(addresses)
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Starts a worker; Beam calls it."""
        for _ in self._addresses:
            with self._lock:
                address = next(self._turn)
            with grpc.insecure_channel(address) as channel:
                pool = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(
                    channel
                )
                try:
                    return pool.StartWorker(request, timeout=ANSWER)
                except grpc.RpcError as error:
                    LOG.warning("%s: no worker (%s).", address, error.code())
        return beam_fn_api_pb2.StartWorkerResponse(
            error=f"No pool answers: {', '.join(self._addresses)}."
        )

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Does nothing: a worker ends with its job."""
        return beam_fn_api_pb2.StopWorkerResponse()


class Connection(worker_handlers.ControlConnection):
    """A job's connection to a worker, which notices when the worker is gone.

    Beam's own leaves whoever asked a worker that died waiting for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_lost = False
        watch = threading.Timer(START, self._expect)
        watch.daemon = True
        watch.start()

    def push(self, request: Any) -> Any:
        """Asks the worker for something; Beam calls it."""
        future = super().push(request)
        if self._is_lost and future is not None:
            future.set(beam_fn_api_pb2.InstructionResponse(error=LOST))
        return future

    def _read(self) -> None:
        try:
            super()._read()
        except Exception as error:  # gRPC raises more than one kind.
            LOG.warning("A worker is lost: %s", error)
        self._give_up()

    def _expect(self) -> None:
        unstarted = worker_handlers.BeamFnControlServicer.UNSTARTED_STATE
        if self._state == unstarted:
            self._give_up()

    def _give_up(self) -> None:
        self._is_lost = True
        for future in list(self._futures_by_id.values()):
            future.set(beam_fn_api_pb2.InstructionResponse(error=LOST))


class SurvivingJob(local_job_service.BeamJob):
    """A job of several workers that starts again when it loses one."""

    def _invoke_runner(self) -> Any:
        self.set_state(beam_job_api_pb2.JobState.RUNNING)
        given = vars(self)["_pipeline_proto"]
        options = self.pipeline_options()
        for attempt in range(1, ATTEMPTS + 1):
            runner = fn_runner.FnApiRunner(provision_info=self._provision_info)
            # Beam's own job server leaves it at one.
            asked = options.view_as(DirectOptions).direct_num_workers
            runner._num_workers = int(asked or 1)
            try:
                return runner.run_via_runner_api(copy.deepcopy(given), options)
            except RuntimeError as error:
                is_lost = LOST in str(error) or CLOSED in str(error)
                if not is_lost or attempt == ATTEMPTS:
                    raise
                LOG.warning("Attempt %d lost a worker; again.", attempt)
        raise AssertionError("unreachable")


@dataclass(frozen=True)
class Engine:
    """A running engine.

    Args:
        job_port: Of the job server.
        pool_port: Of the pools together.
        pools: The processes of the pools.
    """

    job_port: int
    pool_port: int
    pools: tuple[subprocess.Popen[bytes], ...]

    @property
    def options(self) -> list[str]:
        """What Beam is told to run a job here."""
        return [
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{self.job_port}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{self.pool_port}",
            f"--direct_num_workers={len(self.pools)}",
            # Seconds: by default a job of more than a minute is given up.
            f"--job_server_timeout={LONGEST}",
        ]


@contextlib.contextmanager
def engine(pools: int, port: int = 0) -> Iterator[Engine]:
    """Starts a job server here, and pools as processes of their own.

    Args:
        pools: How many; a job has a worker on each.
        port: Of the job server; any that is free by default.

    Yields:
        The engine; it ends with the block.
    """
    worker_handlers.ControlConnection = Connection
    ports = [_free_port() for _ in range(pools)]
    started = [
        subprocess.Popen([*POOL, f"--port={own}"], start_new_session=True)
        for own in ports
    ]
    server = jobs = None
    try:
        _await(ports)
        together = Pools([f"localhost:{own}" for own in ports])
        server, pool_port = serve(together, "localhost:0")
        jobs = local_job_service.LocalJobServicer(beam_job_type=SurvivingJob)
        job_port = jobs.start_grpc_server(port)
        yield Engine(job_port, pool_port, tuple(started))
    finally:
        for service in (server, jobs):
            if service is not None:
                service.stop(1)
        for pool in started:
            # With its workers.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pool.pid, signal.SIGKILL)
            pool.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
    return port


def _await(ports: Sequence[int]) -> None:
    """Waits until every pool answers."""
    until = time.monotonic() + START
    for port in ports:
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            ready = grpc.channel_ready_future(channel)
            ready.result(timeout=max(1.0, until - time.monotonic()))
