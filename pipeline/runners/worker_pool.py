"""A worker of Beam's that waits for jobs, as a process of its own.

python -m pipeline.runners.worker_pool --port 50001

Beam's own pool starts workers that know nothing of their job's options; here
they do, so they open what the job opens, such as an object store. They run as
threads of this process: what they import is imported once.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
)
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import json_format, text_format

LOG = logging.getLogger(__name__)


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts a worker for each job that asks for one."""

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Starts a worker; Beam calls it."""
        try:
            handler, worker, _ = sdk_worker_main.create_harness(
                {
                    "WORKER_ID": request.worker_id,
                    "CONTROL_API_SERVICE_DESCRIPTOR": _text(
                        request.control_endpoint
                    ),
                    "LOGGING_API_SERVICE_DESCRIPTOR": _text(
                        request.logging_endpoint
                    ),
                    "PIPELINE_OPTIONS": _options(request),
                }
            )
        except Exception as error:  # Beam says it to whoever asked.
            LOG.exception("No worker.")
            return beam_fn_api_pb2.StartWorkerResponse(error=str(error))
        threading.Thread(
            target=_work, args=(worker, handler), daemon=True
        ).start()
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Does nothing: a worker ends with its job."""
        return beam_fn_api_pb2.StopWorkerResponse()


def _work(worker: Any, handler: Any) -> None:
    """Works until the job ends."""
    try:
        worker.run()
    except Exception:
        LOG.warning("A job is gone.", exc_info=True)
    finally:
        if handler is not None:
            logging.getLogger().removeHandler(handler)
            handler.close()


def _text(message: Any) -> str:
    return str(text_format.MessageToString(message))


def _options(request: Any) -> str:
    """Asks the job for its options, as JSON."""
    with grpc.insecure_channel(request.provision_endpoint.url) as channel:
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        answer = stub.GetProvisionInfo(
            beam_provision_api_pb2.GetProvisionInfoRequest(),
            metadata=[("worker_id", request.worker_id)],
        )
    return str(json_format.MessageToJson(answer.info.pipeline_options))


def serve(servicer: Any, address: str) -> tuple[grpc.Server, int]:
    """Serves a pool.

    Args:
        servicer: The pool.
        address: HOST:PORT; port 0 is any that is free.

    Returns:
        The server, started, and its port.
    """
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(
        servicer, server
    )
    port = server.add_insecure_port(address)
    server.start()
    return server, port


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    server, _ = serve(WorkerPool(), f"{given.host}:{given.port}")
    with contextlib.suppress(KeyboardInterrupt):
        server.wait_for_termination()


if __name__ == "__main__":
    main()
