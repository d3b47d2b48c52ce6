"""An object store as S3, on this machine: a server, and what reaches it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from unittest import mock

# A process of its own: TensorFlow holds Python's lock while it asks.
SERVER = "import sys; from moto.server import main; main(sys.argv[1:])"
SECONDS = 60


@contextlib.contextmanager
def object_store(bucket: str) -> Iterator[str]:
    """Starts the server and makes a bucket; yields the bucket's path."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with mock.patch.dict(os.environ, environment(address)):
            _await(address, server)
            import boto3

            boto3.client("s3").create_bucket(Bucket=bucket)
            yield f"s3://{bucket}"
    finally:
        server.kill()
        server.wait()


def environment(address: str) -> dict[str, str]:
    """What TensorFlow and Beam's client each read."""
    return {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address,
        "S3_ENDPOINT": address,
    }


def _await(address: str, server: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{address}/moto-api/").close()
            return
        except OSError:
            assert server.poll() is None, "The server ended."
            assert time.monotonic() < until, "The server does not answer."
            time.sleep(0.1)
