"""Where workers meet: waiting for the others, and hearing a signal meanwhile.

TensorFlow waits for the workers that `TF_CONFIG` names in C++, for ever, and
takes SIGTERM for itself. So each worker first sees, in Python, that all the
others are there.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Iterator, Sequence

LOG = logging.getLogger(__name__)

PAUSE = 0.5


def wait_for(addresses: Sequence[str], own: str, pause: float = PAUSE) -> None:
    """Returns once every other worker has been seen.

    A worker is seen where its port answers: while it waits here, by this; then
    by TensorFlow, which takes the port over.

    Args:
        addresses: HOST:PORT of every worker.
        own: The address of this one.
        pause: Seconds between two looks.

    Raises:
        ValueError: If the port of this one cannot be listened to.
    """
    missing = [address for address in addresses if address != own]
    said = False
    with _answering(own):
        while missing := [each for each in missing if not _answers(each)]:
            if not said:
                LOG.info("Waiting for the workers %s.", ", ".join(missing))
                said = True
            time.sleep(pause)


@contextlib.contextmanager
def _answering(own: str) -> Iterator[None]:
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        # The kernel answers for whoever listens.
        listener = socket.create_server(
            ("", _port(own)), family=family, backlog=128, dualstack_ipv6=both
        )
    except OSError as error:
        raise ValueError(
            "Invalid value of the variable TF_CONFIG. Expected a port that "
            f"this worker can listen to. Received: {own} ({error.strerror})."
        ) from error
    with listener:
        yield


def _answers(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    with contextlib.suppress(OSError):
        socket.create_connection((host, _port(address)), 1.0).close()
        return True
    return False


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
